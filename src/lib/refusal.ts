/**
 * Decides whether a request refused over the Matrix APIs may be tried again. Callers give up on a
 * final refusal, so that no message blocks those behind it. Webhook deliveries have their own rule:
 * an endpoint may be mended after any refusal.
 */

/**
 * `passing`: a later try may succeed. `place`: the sender or destination is wrong, so anything else
 * would be refused too. `final`: this request will never be accepted.
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

/** @param status of an unsuccessful answer */
export function refusalOf(status: number): Refusal {
  if (status === REQUEST_TIMEOUT || status === TOO_EARLY || status === TOO_MANY_REQUESTS) return 'passing'
  if (OF_THE_PLACE.includes(status) || status === NOT_IMPLEMENTED || status < 400) return 'place'
  return status < 500 ? 'final' : 'passing'
}
