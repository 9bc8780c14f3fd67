/** Counts what each holder has and what all have together: what limits and fair shares rest on. */

export class Tally {
  private readonly counts = new Map<string, number>()
  private sum = 0

  /** @param counted what holders have already */
  constructor(counted: Iterable<readonly [string, number]> = []) {
    for (const [holder, amount] of counted) this.add(holder, amount)
  }

  get total(): number {
    return this.sum
  }

  of(holder: string): number {
    return this.counts.get(holder) ?? 0
  }

  /** @param amount negative to give some of it back */
  add(holder: string, amount: number): void {
    const own = this.of(holder) + amount
    this.sum += amount
    if (own > 0) this.counts.set(holder, own)
    else this.counts.delete(holder)
  }

  /** Adds an amount. @returns a function that gives it back, safe to call twice */
  hold(holder: string, amount: number): () => void {
    this.add(holder, amount)
    let isHeld = true
    return () => {
      if (isHeld) this.add(holder, -amount)
      isHeld = false
    }
  }
}
