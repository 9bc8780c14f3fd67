/** Answers in JSON that is text already: as a whole, or as fast as the client reads it. */

/** Characters or bytes written at a time. A smaller answer is handed over as a whole. */
export const PIECE_SIZE = 64 * 1024

export function jsonResponse(body: string | ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { 'Content-Type': 'application/json;charset=utf-8' } })
}

/**
 * Nothing is made ready before the client has taken what came before.
 * @param done called when all is written or given up
 */
export function pulled(
  pieces: Iterator<string | Uint8Array, void>,
  done: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces.next()
        if (!piece.done) {
          controller.enqueue(typeof piece.value === 'string' ? encoder.encode(piece.value) : piece.value)
          return
        }
        done()
        controller.close()
      },
      cancel: done,
    },
    { highWaterMark: 0 },
  )
}
