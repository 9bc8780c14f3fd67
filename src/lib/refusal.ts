/**
 * The one notion of what a refusal over the Matrix APIs means for trying again, shared by all that
 * call one another by them. They give up and report a final refusal, so that no message holds up
 * those behind it for ever. Webhook deliveries have their own rule: their endpoints may be mended
 * after any refusal.
 */

/**
 * `passing`: the same may be taken later. `place`: the refusal isn't about what was sent. Its
 * sender or destination isn't what we take it for, and anything else would be refused as well.
 * `final`: this will never be taken.
 */
export type Refusal = 'passing' | 'place' | 'final'

const REQUEST_TIMEOUT = 408
const TOO_EARLY = 425
const TOO_MANY_REQUESTS = 429
const NOT_IMPLEMENTED = 501
/**
 * Unauthorized, payment required, forbidden, not found, method not allowed, proxy authentication,
 * gone, misdirected.
 */
const OF_THE_PLACE = [401, 402, 403, 404, 405, 407, 410, 421]

/** @param status of an answer that isn't a success */
export function refusalOf(status: number): Refusal {
  if (status === REQUEST_TIMEOUT || status === TOO_EARLY || status === TOO_MANY_REQUESTS) return 'passing'
  if (OF_THE_PLACE.includes(status) || status === NOT_IMPLEMENTED || status < 400) return 'place'
  return status < 500 ? 'final' : 'passing'
}
