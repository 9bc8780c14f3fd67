/** Plans the faults from the seed before the run, so that a seed repeats its faults. */
import { type Behaviour, MISBEHAVIOURS } from './load/endpoint.ts'
import type { Random } from './random.ts'

/** Faults of process, disk, database and clock, one after the other. */
export type MainFault =
  | { kind: 'kill -9'; downMs: number }
  | { kind: 'SIGTERM'; downMs: number }
  | { kind: 'disk full'; forMs: number; freeBytes: number; killed: boolean }
  | { kind: 'database busy'; forMs: number }
  | { kind: 'clock jump'; byMs: number }

/** Faults of the sandbox's network, beside the main ones. */
export type NetworkFault =
  | { kind: 'network offline'; forMs: number }
  | { kind: 'sends refused for now'; count: number }
  | { kind: 'sends delayed'; delayMs: number; forMs: number }

export interface EndpointFault {
  kind: Behaviour
  forMs: number
}

/** The fault begins `afterMs` after the end of the one before. */
export type Timed<Fault> = Fault & { afterMs: number }

export interface Plan {
  main: Timed<MainFault>[]
  network: Timed<NetworkFault>[]
  /** By endpoint. */
  endpoints: Timed<EndpointFault>[][]
}

export interface PlanOptions {
  /** Length of the time under faults, in milliseconds. */
  durationMs: number
  endpoints: number
  hasQuota: boolean
  hasClock: boolean
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** Faults per minute of each kind, and the least number. */
const PER_MINUTE = { kills: 8, terms: 0.6, full: 0.7, busy: 0.6, jumps: 0.8 }
const LEAST = { kills: 6, terms: 1, full: 2, busy: 1, jumps: 2 }
/** Far enough for every lease, pace, retry and expiry. */
const JUMPS_MS = [90_000, 11 * MINUTE, 3 * HOUR, 30 * HOUR, 72 * HOUR]

export function planOf(random: Random, { durationMs, endpoints, hasQuota, hasClock }: PlanOptions): Plan {
  const minutes = durationMs / MINUTE
  const many = (kind: keyof typeof LEAST) => Math.max(LEAST[kind], Math.round(PER_MINUTE[kind] * minutes))
  const chance = random.fork('main')
  const repeated = (count: number, make: () => MainFault) => Array.from({ length: count }, make)
  const faults: MainFault[] = chance.shuffled([
    ...repeated(many('kills'), () => ({
      kind: 'kill -9',
      downMs: chance.chance(0.3) ? chance.between(0, 1_500) : 0,
    })),
    ...repeated(many('terms'), () => ({ kind: 'SIGTERM', downMs: chance.between(0, 500) })),
    ...repeated(hasQuota ? many('full') : 0, () => ({
      kind: 'disk full',
      forMs: chance.between(1_500, 5_000),
      // With a few bytes left some writes still fit, and files end in the middle.
      freeBytes: chance.pick([0, 16, 64, 256]) * 1024,
      killed: chance.chance(0.3),
    })),
    ...repeated(many('busy'), () => ({ kind: 'database busy', forMs: chance.between(300, 5_000) })),
    ...(hasClock ? jumps(chance, many('jumps')) : []),
  ])
  return {
    main: spread(faults, durationMs, chance),
    network: networkFaults(random.fork('network'), durationMs),
    endpoints: Array.from({ length: endpoints }, (_none, index) =>
      endpointFaults(random.fork(`endpoint ${index}`), durationMs),
    ),
  }
}

/** Jumps come in pairs, ahead and back in either order, so the clock ends up where it was. */
function jumps(random: Random, count: number): MainFault[] {
  return Array.from({ length: Math.ceil(count / 2) }, () => {
    const byMs = random.pick(JUMPS_MS) * random.pick([-1, 1])
    return [byMs, -byMs].map(byMs => ({ kind: 'clock jump' as const, byMs }))
  }).flat()
}

/** Adds pauses, so that faults and pauses fill the time. */
function spread(faults: MainFault[], durationMs: number, random: Random): Timed<MainFault>[] {
  const taken = faults.reduce((sum, fault) => sum + ('forMs' in fault ? fault.forMs : TAKES_MS), 0)
  const pauseMs = Math.max(300, (durationMs - taken) / faults.length)
  return faults.map(fault => ({ ...fault, afterMs: random.between(0.1 * pauseMs, 1.9 * pauseMs) }))
}

/** Rough length of a restart. */
const TAKES_MS = 1_500

function networkFaults(random: Random, durationMs: number): Timed<NetworkFault>[] {
  const faults: Timed<NetworkFault>[] = []
  for (let at = 0; at < durationMs; ) {
    const afterMs = random.between(3_000, 15_000)
    const fault: NetworkFault = random.pick<() => NetworkFault>([
      () => ({ kind: 'network offline', forMs: random.between(500, 4_000) }),
      () => ({ kind: 'sends refused for now', count: random.between(1, 3) }),
      () => ({
        kind: 'sends delayed',
        delayMs: random.between(50, 800),
        forMs: random.between(1_000, 4_000),
      }),
    ])()
    faults.push({ ...fault, afterMs })
    at += afterMs + ('forMs' in fault ? fault.forMs : 0)
  }
  return faults
}

/** Uses each kind at least once, if the time allows. */
function endpointFaults(random: Random, durationMs: number): Timed<EndpointFault>[] {
  const faults: Timed<EndpointFault>[] = []
  let kinds: Behaviour[] = []
  for (let at = 0; at < durationMs; ) {
    if (kinds.length === 0) kinds = random.shuffled(MISBEHAVIOURS)
    const afterMs = random.between(1_000, Math.min(8_000, durationMs / 8))
    const forMs = random.between(500, Math.min(4_000, durationMs / 12))
    faults.push({ kind: kinds.pop() ?? 'slow', afterMs, forMs })
    at += afterMs + forMs
  }
  return faults
}
