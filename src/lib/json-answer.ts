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
  const first = await nextChunk(pieces)
  if (first.isLast) return jsonText(first.text)
  const encoder = new TextEncoder()
  let waiting: string | undefined = first.text
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk: Chunk =
          waiting === undefined ? await nextChunk(pieces) : { text: waiting, isLast: false }
        waiting = undefined
        if (chunk.text !== '') controller.enqueue(encoder.encode(chunk.text))
        if (chunk.isLast) controller.close()
      },
      async cancel() {
        await pieces.return()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: HEADERS })
}

interface Chunk {
  text: string
  isLast: boolean
}

async function nextChunk(pieces: Pieces): Promise<Chunk> {
  let text = ''
  while (text.length < CHUNK_CHARACTERS) {
    const next = await pieces.next()
    if (next.done) return { text, isLast: true }
    text += next.value
  }
  return { text, isLast: false }
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
