/** The options of `make bench` (`bun tests/bench/main.ts [options]`). */
import { parseArgs } from 'node:util'

export interface Options {
  /** Figures to measure; empty for all. */
  only: number[]
  quick: boolean
  source: boolean
  command: string | undefined
}

export const USAGE = `bun tests/bench/main.ts [--only 1,3] [--quick] [--source] [--command "path/to/meshgate"]
  --only     figures by number
  --quick    short runs: shows that all works, the numbers mean little
  --source   measures the source on Bun instead of the binary
  --command  measures another program`

/** @throws Error for an unknown option */
export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      source: { type: 'boolean', default: false },
      command: { type: 'string' },
    },
  })
  const only = values.only?.split(',').map(Number) ?? []
  if (only.some(number => !Number.isInteger(number))) throw new Error('--only: expected numbers like 1,3')
  return { only, quick: values.quick, source: values.source, command: values.command }
}
