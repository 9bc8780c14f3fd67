/** What becomes known of a request while it is answered, for its log line and the metrics. */

interface Notes {
  /** The template of its route, such as /api/v1/messages/:id. */
  route?: string
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
