/** Runs a limited number of works at once; others wait in order. */
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
        // Hands the place straight to the next in line, so that nobody slips in between.
        const next = waiting.shift()
        if (next) next()
        else running--
      }
    },
  }
}
