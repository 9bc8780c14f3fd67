/** Limits long-lived connections, for each holder and in total. */

const MAX_OF_HOLDER = 20
const MAX_IN_ALL = 2_000
/** Reserved for holders without a connection, so that a few holders can't shut out the others. */
const KEPT_FOR_FIRST = 500

export class ConnectionPlaces {
  private readonly taken = new Map<string, number>()
  private takenInAll = 0

  /** @returns a release function, safe to call twice; or the reason why there is no place */
  take(holder: string, what: string): (() => void) | string {
    const own = this.taken.get(holder) ?? 0
    if (own >= MAX_OF_HOLDER) return `at most ${MAX_OF_HOLDER} ${what} at a time`
    if (this.takenInAll >= MAX_IN_ALL - (own === 0 ? 0 : KEPT_FOR_FIRST))
      return `there are too many ${what} in all for now`
    this.add(holder, 1)
    let isTaken = true
    return () => {
      if (isTaken) this.add(holder, -1)
      isTaken = false
    }
  }

  private add(holder: string, change: 1 | -1): void {
    const own = (this.taken.get(holder) ?? 0) + change
    this.takenInAll += change
    if (own > 0) this.taken.set(holder, own)
    else this.taken.delete(holder)
  }
}
