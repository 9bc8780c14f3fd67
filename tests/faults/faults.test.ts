/** The short run of `make faults`, always with the same plan: some kills, and each fault once. */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { hasHomeserver } from '../support/attached-gateway.ts'
import { testBridge } from '../support/bridge-program.ts'
import { tempDir } from '../support/temp-dir.ts'
import type { PhaseReport, Report } from './report.ts'

const SEED = 5
/** A run takes one to two minutes; a slow machine must also build the program first. */
const TIMEOUT_MS = 600_000

async function run(phase: string): Promise<PhaseReport> {
  using folder = tempDir()
  const file = folder.file('report.json')
  const main = join(import.meta.dir, 'main.ts')
  const options = ['--quick', '--seed', String(SEED), '--phase', phase, '--report', file]
  const child = Bun.spawn([process.execPath, main, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [text, complaints] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  const exitCode = await child.exited
  if (!(await Bun.file(file).exists())) throw new Error(`no report: ${complaints}`)
  const [report] = ((await Bun.file(file).json()) as Report).phases
  if (!report) throw new Error(`no phase: ${complaints}`)
  // A failure prints the whole table, which says more than a wrong number.
  expect(report.problems, text).toEqual([])
  expect(exitCode, text).toBe(0)
  return report
}

/** @returns kinds of faults injected less often than wanted */
function missing({ injected }: PhaseReport, wanted: Record<string, number>): string[] {
  return Object.keys(wanted).filter(kind => (injected[kind] ?? 0) < (wanted[kind] ?? 0))
}

describe('under faults nothing is lost, doubled, out of order or stuck', () => {
  test(
    'with the sandbox: kills, stops, a full disk, a busy database, a clock that is set, and endpoints of every bad kind',
    async () => {
      const report = await run('sandbox')
      expect(missing(report, { 'kill -9': 5, SIGTERM: 1, 'database busy': 1, 'endpoint 500': 1 })).toEqual([])
      expect(report.outgoing.accepted).toBeGreaterThan(100)
      expect(report.incoming.sent).toBeGreaterThan(100)
      const acts = ['react', 'unreact', 'edit', 'unsend', 'vote', 'read']
      expect(Object.keys(report.acts?.accepted ?? {}).sort()).toEqual(acts.sort())
      expect(report.acts?.arrived).toBeGreaterThan(100)
      // In CI, every fault can be injected.
      expect(process.env.CI === 'true' ? report.leftOut : []).toEqual([])
      if (report.leftOut.length === 0) {
        expect(missing(report, { 'disk full': 1, 'clock jump': 2 })).toEqual([])
        expect(report.answers['507 storage_full']).toBeGreaterThan(0)
      }
    },
    TIMEOUT_MS,
  )

  test.skipIf(!testBridge || !hasHomeserver('synapse'))(
    'with Synapse and a bridge: a homeserver that is down, slow, fails and drops connections',
    async () => {
      const report = await run('synapse-sync')
      const wanted = { 'homeserver down': 1, 'homeserver slow': 1, 'homeserver 500': 1, 'gateway kill -9': 2 }
      expect(missing(report, { ...wanted, 'homeserver dropping connections': 1 })).toEqual([])
      expect(report.outgoing.accepted).toBeGreaterThan(20)
    },
    TIMEOUT_MS,
  )
})
