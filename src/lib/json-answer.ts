/** Writes JSON answers piece by piece, at the client's pace, so that they may have any size. */

/** Parts of a JSON text, in order. */
export type Pieces = AsyncGenerator<string, void>

/** Characters sent at a time. A shorter answer is sent whole. */
const CHUNK_CHARACTERS = 64 * 1024
const HEADERS = { 'content-type': 'application/json' }

export function jsonText(text: string): Response {
  return new Response(text, { headers: HEADERS })
}

/** An error in the first chunk rejects; a later one breaks off the answer. */
export async function streamed(pieces: Pieces): Promise<Response> {
  const chunks = chunksOf(pieces)
  const first = (await chunks.next()).value ?? ''
  if (first.length < CHUNK_CHARACTERS) return jsonText(first)
  const encoder = new TextEncoder()
  let waiting: string | undefined = first
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = waiting ?? (await chunks.next()).value
        waiting = undefined
        if (chunk === undefined) controller.close()
        else controller.enqueue(encoder.encode(chunk))
      },
      async cancel() {
        await chunks.return()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: HEADERS })
}

async function* chunksOf(pieces: Pieces): Pieces {
  let text = ''
  for await (const piece of pieces) {
    text += piece
    if (text.length < CHUNK_CHARACTERS) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

/** Yields `head`, the items with commas between them, then `tail`. */
export async function* enclosed(
  head: string,
  items: AsyncIterable<string> | Iterable<string>,
  tail: string,
): Pieces {
  yield head
  yield* separated(items)
  yield tail
}

export async function* separated(items: AsyncIterable<string> | Iterable<string>): Pieces {
  let isFirst = true
  for await (const item of items) {
    yield isFirst ? item : `,${item}`
    isFirst = false
  }
}
