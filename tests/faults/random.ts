/** Seeded chance: a seed gives the same plan of load and faults, whatever happens in the run. */

export interface Random {
  /** In [0, 1). */
  next(): number
  /** A whole number from `low` to `high`, inclusive. */
  between(low: number, high: number): number
  pick<T>(choices: readonly T[]): T
  /** True in this share of cases. */
  chance(share: number): boolean
  /** A new order. */
  shuffled<T>(items: readonly T[]): T[]
  /** An independent source: it doesn't depend on how much this one has given. */
  fork(name: string): Random
}

export function seededRandom(seed: number | string): Random {
  let state = typeof seed === 'number' ? seed >>> 0 : hash(seed)
  /** Mulberry32: small, and random enough for a choice of faults. */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  return {
    next,
    between,
    pick: choices => choices[between(0, choices.length - 1)] as (typeof choices)[number],
    chance: share => next() < share,
    shuffled(items) {
      const order = [...items]
      for (let last = order.length - 1; last > 0; last--) {
        const other = between(0, last)
        ;[order[last], order[other]] = [
          order[other] as (typeof items)[number],
          order[last] as (typeof items)[number],
        ]
      }
      return order
    },
    fork: name => seededRandom(`${seed}/${name}`),
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193)
  return value >>> 0
}
