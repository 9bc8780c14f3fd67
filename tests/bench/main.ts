/**
 * `make bench`: measures the program's figures and prints them beside their limits. Other machines
 * are slower, so being slow is no failure; it exits 1 when the program loses, doubles or refuses a
 * message, or doesn't stop.
 */
import { type Bench, type Figure, messageOf, type Row } from './figure.ts'
import { accepts } from './figures/accepts.ts'
import { fileMemory } from './figures/file-memory.ts'
import { flakyEndpoint } from './figures/flaky-endpoint.ts'
import { growth } from './figures/growth.ts'
import { idle } from './figures/idle.ts'
import { incoming } from './figures/incoming.ts'
import { startTime } from './figures/start-time.ts'
import { syncMemory } from './figures/sync-memory.ts'
import { throughput } from './figures/throughput.ts'
import { describeMachine } from './machine.ts'
import { parseOptions, USAGE } from './options.ts'
import { findProgram } from './program.ts'
import { table } from './table.ts'

const FIGURES: readonly Figure[] = [
  accepts,
  throughput,
  incoming,
  idle,
  syncMemory,
  fileMemory,
  startTime,
  flakyEndpoint,
  growth,
]

process.exit(await main())

async function main(): Promise<number> {
  const tell = (line: string) => console.error(`  ${line}`)
  try {
    const options = parseOptions(process.argv.slice(2))
    const bench: Bench = { program: findProgram(options), quick: options.quick, tell }
    const chosen = FIGURES.filter(({ number }) => options.only.length === 0 || options.only.includes(number))
    const { rows, malfunctions } = await measure(chosen, bench)
    console.log(`\n${describeMachine()} · ${bench.program.description}${bench.quick ? ' · quick' : ''}\n`)
    console.log(table(rows))
    for (const line of malfunctions) console.error(`\nMALFUNCTION ${line}`)
    return malfunctions.length === 0 ? 0 : 1
  } catch (error) {
    console.error(`${messageOf(error)}\n${USAGE}`)
    return 1
  }
}

async function measure(
  figures: readonly Figure[],
  bench: Bench,
): Promise<{ rows: Row[]; malfunctions: string[] }> {
  const rows: Row[] = []
  const malfunctions: string[] = []
  for (const figure of figures) {
    console.error(`${figure.number} ${figure.title}`)
    try {
      rows.push(...(await figure.run(bench)))
    } catch (error) {
      malfunctions.push(`${figure.number} ${figure.title}: ${messageOf(error)}`)
      rows.push({
        figure: `${figure.number} ${figure.title}`,
        measured: 'malfunction',
        limit: '-',
        met: false,
      })
    }
  }
  return { rows, malfunctions }
}
