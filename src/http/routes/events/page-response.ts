/**
 * Answers with a page of events. A large one is written as fast as its client reads it, and is the
 * reader's until then: clients that ask for pages and don't read them use up the identity's
 * readers, not the gateway's memory.
 */
import type { FeedEvent, FeedPage } from '../../../modules/events/events.ts'
import { jsonResponse, PIECE_SIZE, pulled } from '../../json-body.ts'

export interface PageResponseOptions {
  /** Nobody takes anything of an answer to HEAD, so nothing would end it. */
  hasBody: boolean
  /** Called when the page is written or given up: once or several times. */
  done(): void
}

export function pageResponse(page: FeedPage, { hasBody, done }: PageResponseOptions): Response {
  const size = page.events.reduce((sum, { payload }) => sum + payload.length, 0)
  if (size > PIECE_SIZE && hasBody) return jsonResponse(pulled(piecesOf(page), done))
  done()
  return jsonResponse([...piecesOf(page)].join(''))
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
