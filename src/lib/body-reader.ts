/**
 * Shares one reader of a request's body, so that a reader who stops leaves the rest to the next:
 * cancelling an unfinished body breaks the connection of a client that sent `Connection: close`.
 */
import { Readable } from 'node:stream'
import type { ReadableStreamDefaultReader } from 'node:stream/web'

export type BodyReader = Pick<ReadableStreamDefaultReader<Uint8Array>, 'read' | 'cancel'>

const readers = new WeakMap<Request, BodyReader>()

/** @returns undefined when there is no body, or other code has already read it */
export function readerOf(request: Request): BodyReader | undefined {
  const known = readers.get(request)
  if (known || request.body === null || request.bodyUsed || request.body.locked) return known
  const reader: BodyReader = request.body.getReader()
  readers.set(request, reader)
  return reader
}

/** The body as a stream; ending it early leaves the unread rest in place. */
export function bodyStream(request: Request): Readable {
  const reader = readerOf(request)
  return new Readable({
    read() {
      if (!reader) this.push(null)
      else
        reader.read().then(
          ({ done, value }) => this.push(done ? null : value),
          error => this.destroy(error),
        )
    },
  })
}
