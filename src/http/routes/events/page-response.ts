/**
 * A page of events as an answer. A large one is written as fast as its client reads it, and is the reader's until it is: whoever asks for pages and
 * doesn't read them has used up the identity's readers after a few, not the gateway's memory.
 */
import type { FeedEvent, FeedPage } from '../../../modules/feed/types.ts'

export interface PageResponseOptions {
  /** Of an answer to HEAD nobody takes anything, so that nothing would end it. */
  hasBody: boolean
  /** Called when the page is written or given up: once or several times. */
  done(): void
}

/** What is written at a time, in characters. A page that is no larger is handed over as a whole. */
const PIECE_SIZE = 64 * 1024

export function pageResponse(page: FeedPage, { hasBody, done }: PageResponseOptions): Response {
  const size = page.events.reduce((sum, { payload }) => sum + payload.length, 0)
  if (size > PIECE_SIZE && hasBody) return json(pulled(piecesOf(page), done))
  done()
  return json([...piecesOf(page)].join(''))
}

function json(body: string | ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { 'Content-Type': 'application/json;charset=utf-8' } })
}

/** Nothing is made ready before the client has taken what came before. */
function pulled(pieces: Iterator<string, void>, done: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces.next()
        if (!piece.done) {
          controller.enqueue(encoder.encode(piece.value))
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

/** The page's JSON, in pieces that are no smaller than they need be: an event is never divided. */
function* piecesOf({ events, next }: FeedPage): Generator<string, void> {
  let piece = '{"events":['
  for (const [index, event] of events.entries()) {
    piece += `${index === 0 ? '' : ','}${eventJson(event)}`
    if (piece.length < PIECE_SIZE) continue
    yield piece
    piece = ''
  }
  yield `${piece}],"next":${JSON.stringify(next)}}`
}

function eventJson({ id, event, payload }: FeedEvent): string {
  return `{"id":${JSON.stringify(id)},"event":${JSON.stringify(event)},"payload":${payload}}`
}
