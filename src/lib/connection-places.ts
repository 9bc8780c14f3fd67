/** Limits long-lived connections, for each holder and in total. */
import { Tally } from './tally.ts'

const MAX_OF_HOLDER = 20
const MAX_IN_ALL = 2_000
/** Reserved for holders without a connection, so that a few holders can't shut out the others. */
const KEPT_FOR_FIRST = 500

export class ConnectionPlaces {
  private readonly taken = new Tally()

  /** @returns a release function, safe to call twice; or the reason why there is no place */
  take(holder: string, what: string): (() => void) | string {
    const own = this.taken.of(holder)
    if (own >= MAX_OF_HOLDER) return `at most ${MAX_OF_HOLDER} ${what} at a time`
    if (this.taken.total >= MAX_IN_ALL - (own === 0 ? 0 : KEPT_FOR_FIRST))
      return `there are too many ${what} in all for now`
    return this.taken.hold(holder, 1)
  }
}
