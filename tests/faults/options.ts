/** The options of `make faults` (`bun tests/faults/main.ts [options]`). */
import { parseArgs } from 'node:util'

export const PHASES = ['sandbox', 'synapse', 'synapse-sync'] as const
export type PhaseName = (typeof PHASES)[number]

export interface Options {
  seed: number
  /** Load under faults, all phases together. */
  minutes: number
  quick: boolean
  phases: readonly PhaseName[]
  /** Path of the JSON report. */
  report: string
  source: boolean
  verbose: boolean
}

export const USAGE = `bun tests/faults/main.ts [--seed N] [--minutes M] [--quick] [--phase sandbox|synapse|synapse-sync] [--report FILE] [--source] [--verbose]
  --seed     the plan of load and faults; by default another at each run, which is printed
  --minutes  of load under faults in all, by default 12; more minutes are more of each fault
  --quick    the shortened run: a minute, at least one fault of each kind
  --phase    one of them alone
  --report   where the report is written as JSON, by default dist/faults.json
  --source   the source on Bun instead of the binary
  --verbose  says each fault when it begins`

const DEFAULT_MINUTES = 12
const QUICK_MINUTES = 1

/** @throws Error for an unknown option */
export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string' },
      quick: { type: 'boolean', default: false },
      phase: { type: 'string', multiple: true },
      report: { type: 'string', default: 'dist/faults.json' },
      source: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  })
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error('--seed: expected a whole number')
  const minutes = Number(values.minutes ?? (values.quick ? QUICK_MINUTES : DEFAULT_MINUTES))
  if (!(minutes > 0)) throw new Error('--minutes: expected a number above 0')
  const phases = values.phase ?? PHASES
  if (!phases.every(isPhase)) throw new Error(`--phase: expected ${PHASES.join(' or ')}`)
  const { quick, report, source, verbose } = values
  return { seed, minutes, quick, phases, report, source, verbose }
}

function isPhase(name: string): name is PhaseName {
  return (PHASES as readonly string[]).includes(name)
}
