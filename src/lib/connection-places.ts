/** Bounds how many connections that stay open each holder has at a time, and all of them together. */

const MAX_OF_HOLDER = 20
const MAX_IN_ALL = 2_000
/** The last are kept for holders that have none yet, so that a few that have many don't keep all others out. */
const KEPT_FOR_FIRST = 500

export class ConnectionPlaces {
  private readonly taken = new Map<string, number>()
  private takenInAll = 0

  /** @returns what gives the place back, once or several times; a text that says why there is none */
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
