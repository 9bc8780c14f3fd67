/**
 * The phase with Synapse and a real bridge: Synapse is down, slow, fails or drops connections to
 * the gateway, and each of the three programs is ended and started again.
 */
import {
  attachedGateway,
  type Deployment,
  type HomeserverKind,
  hasHomeserver,
} from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { waitFor } from '../../support/wait-for.ts'
import { conclude } from '../conclusion.ts'
import type { Whereabouts } from '../count.ts'
import { HOMESERVER_TROUBLES, type HomeserverMode, HomeserverProxy } from '../faults/homeserver-proxy.ts'
import { GatewayUnderTest } from '../gateway.ts'
import { type Load, startLoad } from '../load/load.ts'
import { Injected, type Phase, pause } from '../phase.ts'
import type { Random } from '../random.ts'
import type { PhaseReport } from '../report.ts'
import { isEmpty, messageRows, storedTexts } from '../stuck.ts'
import { databaseIn, PLATFORM, TestnetPeople } from './testnet-people.ts'

type Fault =
  | { kind: 'homeserver'; mode: Exclude<HomeserverMode, 'well'>; forMs: number }
  | { kind: 'homeserver restarted'; downMs: number }
  | { kind: 'bridge kill -9'; downMs: number }
  | { kind: 'gateway kill -9' | 'gateway SIGTERM'; downMs: number }
type TimedFault = Fault & { afterMs: number }

/** Faults per minute of each kind. */
const PER_MINUTE = { troubles: 1.2, kills: 2.5, terms: 0.6, homeserver: 0.6, bridge: 0.6 }
/** Time for everything on its way to arrive: by then, a slow machine has a backlog. */
const QUIET_MS = 240_000
const LOOK_MS = 200

export async function runHomeserverPhase(phase: Phase, kind: HomeserverKind): Promise<PhaseReport | null> {
  if (!testBridge || !hasHomeserver(kind)) return null
  const { command, random, tell } = phase
  await using stack = new AsyncDisposableStack()
  let gateway: GatewayUnderTest | undefined
  let directory = ''
  let proxy: HomeserverProxy | undefined
  const deployment = stack.use(
    await attachedGateway(
      kind,
      { [PLATFORM]: { program: testBridge } },
      {
        homeserverUrl: async ({ url }) => {
          proxy = stack.use(await HomeserverProxy.before(url))
          return proxy.url
        },
        createGateway(folder, env) {
          directory = folder
          const created = new GatewayUnderTest({ command, directory, env })
          gateway = created
          return {
            start: () => created.start(),
            stop: () => created.terminate().then(() => 0),
            kill: () => created.kill(),
            output: () => created.output(),
            [Symbol.asyncDispose]: () => created[Symbol.asyncDispose](),
          }
        },
      },
    ),
  )
  if (!gateway || !proxy) throw new Error('the deployment has no gateway or no proxy')
  const people = stack.use(new TestnetPeople(deployment))
  await people.moveIn()
  const databaseFile = databaseIn(directory)
  const endpoints = people.hooked.map(({ endpoint }) => endpoint)

  const startedAt = performance.now()
  const injected = new Injected()
  const load = startLoad(people, phase)
  const track: Track = {
    deployment,
    gateway,
    proxy,
    load,
    databaseFile,
    injected,
    tell,
  }
  for (const fault of faultsOf(random.fork('plan'), phase)) {
    await pause(fault.afterMs, new AbortController().signal)
    tell(`${new Date().toISOString()} ${JSON.stringify(fault)}`)
    await inject(track, fault)
  }
  await load.stop()
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  for (const [mode, count] of Object.entries(proxy.met))
    injected.add(`requests that met a homeserver ${mode}`, count)
  const counted = await conclude({
    gateway,
    databaseFile,
    clock: null,
    load,
    endpoints,
    whereabouts: whereaboutsIn(track),
    tell,
  })
  const name = `homeserver (${kind === 'synapse' ? 'Synapse, application service' : 'Synapse, /sync'})`
  return { name, seconds, injected: injected.counts, leftOut: [], ...counted, usage: null }
}

/** A quick run has each trouble once, briefly, and restarts only the gateway, by kill. */
function faultsOf(random: Random, { durationMs, isQuick }: Phase): TimedFault[] {
  const repeated = (perMinute: number, least: number, make: () => Fault) =>
    Array.from({ length: Math.max(least, Math.round((perMinute * durationMs) / 60_000)) }, make)
  const downMs = () => random.between(0, 2_000)
  const longestMs = isQuick ? 2_500 : 6_000
  const rarely = isQuick ? 0 : 1
  const faults = random.shuffled<Fault>([
    ...HOMESERVER_TROUBLES.flatMap(mode =>
      repeated(PER_MINUTE.troubles, 1, () => ({
        kind: 'homeserver',
        mode,
        forMs: random.between(1_000, longestMs),
      })),
    ),
    ...repeated(PER_MINUTE.kills, 2, () => ({ kind: 'gateway kill -9', downMs: downMs() })),
    ...repeated(PER_MINUTE.terms, rarely, () => ({ kind: 'gateway SIGTERM', downMs: downMs() })),
    ...repeated(PER_MINUTE.homeserver, rarely, () => ({ kind: 'homeserver restarted', downMs: downMs() })),
    ...repeated(PER_MINUTE.bridge, rarely, () => ({ kind: 'bridge kill -9', downMs: downMs() })),
  ])
  const pauseMs = Math.max(1_000, durationMs / faults.length - TAKES_MS)
  return faults.map(fault => ({ ...fault, afterMs: random.between(0.2 * pauseMs, 1.8 * pauseMs) }))
}

/** Rough length of a fault. */
const TAKES_MS = 3_500

interface Track {
  deployment: Deployment
  gateway: GatewayUnderTest
  proxy: HomeserverProxy
  load: Load
  databaseFile: string
  injected: Injected
  tell: Phase['tell']
}

async function inject(track: Track, fault: Fault): Promise<void> {
  const { gateway, proxy, injected } = track
  injected.add(fault.kind === 'homeserver' ? `homeserver ${fault.mode}` : fault.kind)
  switch (fault.kind) {
    case 'homeserver':
      proxy.begin(fault.mode)
      await Bun.sleep(fault.forMs)
      return proxy.begin('well')
    case 'homeserver restarted':
      return restartHomeserver(track, fault.downMs)
    case 'gateway kill -9':
      await gateway.kill()
      await Bun.sleep(fault.downMs)
      return gateway.start()
    case 'gateway SIGTERM':
      await gateway.terminate()
      await Bun.sleep(fault.downMs)
      return gateway.start()
    case 'bridge kill -9':
      return killBridge(track, fault.downMs)
  }
}

/**
 * Phones are quiet meanwhile: a bridge that loses the homeserver's answer repeats its message as
 * another event. Clients go on: the gateway's repeats must be the same event.
 */
async function restartHomeserver(track: Track, downMs: number): Promise<void> {
  const goOn = track.load.hold()
  await untilQuiet(track, () => notArrived(track))
  await track.deployment.synapse?.stop()
  await Bun.sleep(downMs)
  await track.deployment.synapse?.start()
  goOn()
}

/**
 * Messages inside a bridge may be lost or doubled with it, so none are on their way at the kill.
 * Clients send while the bridge is away, but not in the instant it is back: Synapse may keep events
 * of the instant it has caught up with a bridge, until it has to catch up again.
 */
async function killBridge(track: Track, downMs: number): Promise<void> {
  const { deployment, load, databaseFile } = track
  const goOn = load.hold('all')
  await untilQuiet(track, async () => {
    const rows = messageRows(databaseFile)
    return isEmpty(rows) ? notArrived(track) : [JSON.stringify(rows)]
  })
  const bridge = deployment.bridge(PLATFORM)
  const isCaughtUp = () => {
    const { synapse } = deployment
    if (!synapse) return true
    return synapse.recoveriesOf(bridge.appserviceId) >= synapse.outagesOf(bridge.appserviceId)
  }
  await bridge.kill()
  for (const chat of load.outgoing) await chat.sendNext(NEVER)
  await Bun.sleep(downMs)
  await bridge.start()
  // The gateway may have noticed the outage first: then nothing was pushed meanwhile.
  await waitFor(isCaughtUp, {
    what: 'Synapse to catch up with the bridge',
    deadlineMs: QUIET_MS,
  }).catch(error => track.tell(String(error)))
  goOn()
}

/** From the homeserver's database: a message the bridge has taken is the bridge's to lose. */
function whereaboutsIn({ deployment, tell }: Track): Whereabouts {
  const { synapse } = deployment
  const { appserviceId } = deployment.bridge(PLATFORM)
  const eventsOf = async (text: string) => (await synapse?.eventsWith(`${text}"`)) ?? []
  return {
    async homeserverHas(text) {
      const events = await eventsOf(text)
      tell(`Synapse about ${text}: ${JSON.stringify(events)}`)
      return events.length > 0
    },
    async pushState(text) {
      const events = await eventsOf(text)
      const states = await Promise.all(events.map(({ id }) => synapse?.pushStateOf(id, appserviceId)))
      return (['taken', 'kept'] as const).find(state => states.includes(state)) ?? 'forgotten'
    },
    async homeserverKept(text) {
      const kept = (await eventsOf(text)).map(({ id }) => synapse?.wasOvertaken(id, appserviceId))
      return (await Promise.all(kept)).includes(true)
    },
  }
}

const NEVER = new AbortController().signal

/** Gives up after a while; the count then shows losses. @param onItsWay lists what still is */
async function untilQuiet({ tell }: Track, onItsWay: () => Promise<string[]>): Promise<void> {
  let last: string[] = []
  await waitFor(
    async () => {
      await Bun.sleep(LOOK_MS)
      last = await onItsWay()
      return last.length === 0
    },
    { what: 'nothing on its way', deadlineMs: QUIET_MS },
  ).catch(error => tell(`${error}: ${last.slice(0, 10).join(', ')}`))
}

/** Texts that phones sent and the gateway hasn't stored: until then, the bridge may have them. */
async function notArrived({ load, databaseFile }: Track): Promise<string[]> {
  const arrived = storedTexts(databaseFile)
  const sent = await Promise.all(load.incoming.map(({ chat }) => chat.sent()))
  const keys = load.incoming.map(({ chat }) => `${chat.key}#`)
  return sent
    .flat()
    .map(({ text }) => text)
    .filter(text => keys.some(key => text.startsWith(key)) && !arrived.has(text))
}
