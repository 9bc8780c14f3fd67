/**
 * The one reader of a request's body, so that whoever stops in the middle leaves the rest to
 * somebody else: cancelling an unfinished body breaks the connection of a client that wanted it
 * closed.
 */
import { Readable } from 'node:stream'
import type { ReadableStreamDefaultReader } from 'node:stream/web'

export type BodyReader = Pick<ReadableStreamDefaultReader<Uint8Array>, 'read' | 'cancel'>

const readers = new WeakMap<Request, BodyReader>()

/** @returns undefined when there is nothing to read, or somebody has read it otherwise */
export function readerOf(request: Request): BodyReader | undefined {
  const known = readers.get(request)
  if (known || request.body === null || request.bodyUsed || request.body.locked) return known
  const reader: BodyReader = request.body.getReader()
  readers.set(request, reader)
  return reader
}

/** The body as a stream whose end leaves what hasn't been read. */
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
