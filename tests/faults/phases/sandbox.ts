/**
 * The sandbox phase: kills, stops, a full disk, a busy database and clock jumps, while the network
 * and the webhooks' endpoints have troubles of their own.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayClient } from '../../support/gateway-client.ts'
import { freePort } from '../../support/program.ts'
import { quotaFolder } from '../../support/quota-folder.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { conclude } from '../conclusion.ts'
import { shiftedClock } from '../faults/clock.ts'
import { replayMissed, runEndpointTrack, switchOn } from '../faults/endpoint-track.ts'
import { runMainTrack } from '../faults/main-track.ts'
import { calm, runNetworkTrack } from '../faults/network-track.ts'
import { GatewayUnderTest } from '../gateway.ts'
import { startLoad } from '../load/load.ts'
import { Injected, type Phase } from '../phase.ts'
import { planOf } from '../plan.ts'
import type { PhaseReport } from '../report.ts'
import { growth, UsageWatch } from '../usage.ts'
import { SandboxPeople } from './sandbox-people.ts'

const CLIENT_ID = 'admin'
const CLIENT_SECRET = 'a secret of the faults'
/** Share of the time at the end without restarts, so that a growing memory shows. */
const STEADY_SHARE = 0.2
const LEAST_STEADY_MS = 15_000

export async function runSandboxPhase(phase: Phase): Promise<PhaseReport> {
  const { command, random, durationMs, tell } = phase
  using folder = tempDir()
  const dataDir = folder.file('data')
  mkdirSync(dataDir)
  using quota = quotaFolder(dataDir)
  const clock = shiftedClock(folder.path)
  const url = `http://127.0.0.1:${freePort()}`
  const settings = {
    PORT: new URL(url).port,
    CLIENT_ID,
    CLIENT_SECRET,
    SECRET_KEY: 'a secret key of the faults',
    WEBHOOK_TIMEOUT_MS: '1500',
  }
  await using gateway = new GatewayUnderTest({
    command,
    directory: folder.path,
    env: { ...settings, ...clock?.env },
  })
  await gateway.start()
  const client = new GatewayClient({ url, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET })
  await using people = new SandboxPeople(client)
  await people.moveIn()
  const databaseFile = join(dataDir, 'meshgate.db')

  const startedAt = performance.now()
  const steadyMs = Math.max(LEAST_STEADY_MS, durationMs * STEADY_SHARE)
  const plan = planOf(random.fork('plan'), {
    durationMs: durationMs - steadyMs,
    endpoints: people.hooked.length,
    hasQuota: quota !== null,
    hasClock: clock !== null,
  })
  const injected = new Injected()
  const load = startLoad(people, phase)
  const faults = new AbortController()
  const beside = [
    runNetworkTrack(client.sandbox, plan.network, injected, faults.signal),
    ...people.hooked.map((hooked, index) =>
      runEndpointTrack(url, hooked, plan.endpoints[index] ?? [], injected, faults.signal),
    ),
  ]
  await runMainTrack({ gateway, databaseFile, quota, clock, injected, tell }, plan.main)
  tell('steady load')
  const watch = new UsageWatch(gateway.pid ?? 0, Number(settings.PORT))
  await Bun.sleep(steadyMs)
  watch.pause()
  await load.stop()
  faults.abort()
  await Promise.all(beside)
  await calm(client.sandbox)
  for (const hooked of people.hooked) {
    await switchOn(url, hooked)
    await replayMissed(url, hooked)
  }
  const usage = await watch.conclude()
  const seconds = Math.round((performance.now() - startedAt) / 1000)

  const endpoints = people.hooked.map(({ endpoint }) => endpoint)
  for (const { met } of endpoints) {
    for (const [kind, count] of Object.entries(met))
      injected.add(`requests that met an endpoint ${kind}`, count)
  }
  const { problems, ...counted } = await conclude({ gateway, databaseFile, clock, load, endpoints, tell })
  return {
    name: 'sandbox',
    seconds,
    injected: injected.counts,
    leftOut: [
      ...(quota ? [] : ['disk full: nothing may be mounted here']),
      ...(clock ? [] : ['clock jumps: there is no C compiler here']),
    ],
    ...counted,
    usage,
    problems: [...problems, ...growth(usage)],
  }
}
