/** Keeps what becomes known of a request while it is answered. */
import type { RefusalReason } from '../domain/observation.ts'

interface Notes {
  /** The other end of its connection: a client, or a proxy. */
  socketAddress?: string
  /** The template of its route, such as /api/v1/messages/:id. */
  route?: string
  /** Why it is answered 429, where that isn't a limit of what it asks for. */
  refusal?: RefusalReason
  /** It became a WebSocket, of which the answer says nothing. */
  upgraded?: true
  /** Ids of the messages that it made. */
  messages?: readonly string[]
}

const notes = new WeakMap<Request, Notes>()

export function noteRequest(request: Request, note: Notes): void {
  const known = notes.get(request)
  if (known) Object.assign(known, note)
  else notes.set(request, note)
}

export function notesOf(request: Request): Readonly<Notes> {
  return notes.get(request) ?? {}
}
