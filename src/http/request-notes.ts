/** What becomes known of a request while it is answered: for those who authenticate it, its log line and the metrics. */
import type { Accepted } from './unknown-fields.ts'

interface Notes {
  /** The template of its route, such as /api/v1/messages/:id. */
  route?: string
  /** What its route takes. */
  accepted?: Accepted | undefined
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
