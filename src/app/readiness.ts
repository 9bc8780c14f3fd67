/**
 * Tells if the gateway can do its work, part by part. The disk and bridges are asked at most every
 * few seconds, however many want to know, and get little time: a part that hangs must hang nobody
 * else.
 */
import { LRUCache } from 'lru-cache'
import { createBridgeProbe } from '../bridges/bridge-probe.ts'
import type { BridgeProcesses } from '../bridges/processes.ts'
import type { Db } from '../db/open.ts'
import { messageOf } from '../domain/errors.ts'
import type { Readiness } from '../http/services.ts'
import { type Clock, within } from '../lib/clock.ts'
import type { Supervisor } from '../runtime/supervisor.ts'

/** How a part is doing that isn't just well or broken. */
export interface PartState {
  /** True when the gateway can do its work all the same. */
  isReady: boolean
  /** `ok`, or what is wrong. */
  detail: string
}

export interface ReadinessOptions {
  db: Pick<Db, 'committer'>
  /** Writes a row, to see whether that works. */
  tryWrite(): Promise<unknown>
  supervisor: Pick<Supervisor, 'health'>
  /** As it is known by itself; null while nothing tells. */
  homeserver(): PartState | null
  /** Asks it. @returns `ok`, or what is wrong */
  askHomeserver(): Promise<string>
  processes: Pick<BridgeProcesses, 'states'>
  /** Where the bridge of each platform is; null: within this process. */
  bridges(): ReadonlyMap<string, string | null>
  /** The failed update of each platform's bridge, in words. */
  failedUpdates(): ReadonlyMap<string, string>
  clock: Clock
}

export type ReadinessCheck = ReturnType<typeof createReadiness>

/** A part's answer serves for this long, in milliseconds. */
const SERVES_MS = 5_000
/** More than there are parts and bridges. */
const MAX_PARTS = 1_000
/** How long a part may take to answer, in milliseconds. */
const PATIENCE_MS = 2_000
const OK = 'ok'

export function createReadiness(options: ReadinessOptions) {
  const { db, supervisor, processes, clock } = options
  const asked = new LRUCache<string, Promise<string>>({
    max: MAX_PARTS,
    ttl: SERVES_MS,
    ttlResolution: 0,
    perf: { now: () => clock.steady() },
  })
  let isDraining = false

  /** The part's last answer, or a new one when that is too old. */
  function ask(part: string, question: () => Promise<string>): Promise<string> {
    const last = asked.get(part)
    if (last) return last
    const answer = inTime(question().catch(messageOf))
    asked.set(part, answer)
    return answer
  }

  async function inTime(answer: Promise<string>): Promise<string> {
    return (await within(clock, PATIENCE_MS, answer)) ?? `no answer within ${PATIENCE_MS} ms`
  }

  async function database(): Promise<string> {
    const trouble = db.committer.trouble()
    if (trouble !== null) return messageOf(trouble)
    return ask('database', () => options.tryWrite().then(() => OK))
  }

  async function homeserverState(): Promise<PartState> {
    const known = options.homeserver()
    if (known !== null) return known
    const detail = await ask('homeserver', options.askHomeserver)
    return { isReady: detail === OK, detail }
  }

  async function bridge(platform: string, url: string | null): Promise<string> {
    const process = processes.states().get(platform)
    if (process && process.pid === null) return `restarting: ${process.lastExit ?? 'not started yet'}`
    if (url === null) return OK
    return ask(`bridge-${platform}`, async () => {
      const found = await createBridgeProbe(url).reach()
      return 'error' in found ? found.error : OK
    })
  }

  async function bridgeChecks(): Promise<[string, string][]> {
    const addresses = new Map(options.bridges())
    for (const platform of processes.states().keys())
      if (!addresses.has(platform)) addresses.set(platform, null)
    return Promise.all(
      [...addresses].map(
        async ([platform, url]): Promise<[string, string]> => [
          `bridge-${platform}`,
          await bridge(platform, url),
        ],
      ),
    )
  }

  const updateChecks = () =>
    [...options.failedUpdates()].map(([platform, told]) => [`bridge-${platform}-update`, told])

  return {
    async check(): Promise<Readiness> {
      const workers = supervisor
        .health()
        .map(({ name, state, lastError }) => [
          name,
          state === 'running' ? OK : `${state}: ${lastError ?? ''}`,
        ])
      // A bridge that is away doesn't make us unready: other platforms work, and its messages wait.
      const [databaseState, homeserver, bridges] = await Promise.all([
        database(),
        homeserverState(),
        bridgeChecks(),
      ])
      const isReady =
        !isDraining &&
        databaseState === OK &&
        homeserver.isReady &&
        workers.every(([, state]) => state === OK)
      return {
        ready: isReady,
        ...(isDraining ? { stopping: true } : {}),
        checks: {
          ...(isDraining ? { shutdown: 'the gateway is stopping' } : {}),
          database: databaseState,
          homeserver: homeserver.detail,
          ...Object.fromEntries([...workers, ...bridges, ...updateChecks()]),
        },
      }
    },
    /** A stop was asked for: from now on the gateway isn't ready. */
    drain(): void {
      isDraining = true
    },
  }
}
