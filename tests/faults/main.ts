/**
 * `make faults`: loads the program steadily while everything around it fails, and counts both ends.
 * Exits 1 when a message is lost, doubled, out of order or stuck, or the process misbehaves.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describeMachine } from '../bench/machine.ts'
import { findProgram } from '../bench/program.ts'
import { mountingPrefix } from '../support/quota-folder.ts'
import { type Options, type PhaseName, parseOptions, USAGE } from './options.ts'
import type { Phase } from './phase.ts'
import { runHomeserverPhase } from './phases/homeserver.ts'
import { runSandboxPhase } from './phases/sandbox.ts'
import { seededRandom } from './random.ts'
import { type PhaseReport, type Report, textOf } from './report.ts'

const RUN: Record<PhaseName, (phase: Phase) => Promise<PhaseReport | null>> = {
  sandbox: runSandboxPhase,
  synapse: phase => runHomeserverPhase(phase, 'synapse'),
  'synapse-sync': phase => runHomeserverPhase(phase, 'synapse-sync'),
}
/** Share of the minutes for each phase. */
const SHARE: Record<PhaseName, number> = { sandbox: 0.7, synapse: 0.15, 'synapse-sync': 0.15 }

process.exit(await main())

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2))
    // Where mounting isn't allowed, the run leaves out the full disk.
    const prefix = mountingPrefix() ?? []
    if (prefix.length > 0) return await againBehind(prefix)
    const report = await run(options)
    mkdirSync(dirname(options.report), { recursive: true })
    writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`)
    console.log(`\n${textOf(report)}`)
    return report.passed ? 0 : 1
  } catch (error) {
    console.error(`${error instanceof Error ? error.stack : error}\n${USAGE}`)
    return 1
  }
}

async function run(options: Options): Promise<Report> {
  const { seed, minutes, quick, source, verbose } = options
  const program = findProgram({ only: [], quick, source, command: undefined })
  console.error(`seed ${seed}`)
  const shares = options.phases.reduce((sum, name) => sum + SHARE[name], 0)
  const phases: PhaseReport[] = []
  const brokenOff: string[] = []
  for (const name of options.phases) {
    const phase: Phase = {
      command: program.command,
      random: seededRandom(`${seed}/${name}`),
      durationMs: (minutes * 60_000 * SHARE[name]) / shares,
      isQuick: quick,
      tell: line => (verbose ? console.error(`  ${line}`) : undefined),
    }
    try {
      const report = await RUN[name](phase)
      if (report) phases.push(report)
      else console.error(`  the ${name} phase is left out: this machine doesn't have what it takes`)
    } catch (error) {
      // The report keeps the other phases' findings.
      brokenOff.push(`${name}: ${error instanceof Error ? error.stack : error}`)
    }
  }
  return {
    seed,
    command: `make faults FAULTS="--seed ${seed} --minutes ${minutes}${options.phases.map(name => ` --phase ${name}`).join('')}"`,
    program: program.description,
    machine: describeMachine(),
    phases,
    brokenOff,
    passed:
      phases.length > 0 && brokenOff.length === 0 && phases.every(({ problems }) => problems.length === 0),
  }
}

async function againBehind(prefix: string[]): Promise<number> {
  const again = Bun.spawn([...prefix, process.execPath, import.meta.filename, ...process.argv.slice(2)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return again.exited
}
