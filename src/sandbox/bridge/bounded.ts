/** At most so many things at once; the others wait their turn, in order. */
export interface Bounded {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createBounded(limit: number): Bounded {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(work) {
      if (running >= limit) await new Promise<void>(resolve => waiting.push(resolve))
      else running++
      try {
        return await work()
      } finally {
        // The place goes straight to the next in line, so that nobody slips in between.
        const next = waiting.shift()
        if (next) next()
        else running--
      }
    },
  }
}
