/** The bridges by platform. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridge, Bridges, MatrixSessions } from '../domain/ports.ts'
import type { Hears } from '../domain/signals.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { type BridgeConfig, createBridge } from './bridge.ts'
import { StartWatch } from './start-watch.ts'

export type BridgeSet = ReturnType<typeof createBridges>

interface InUse {
  bridge: Bridge
  baseUrl: string
  /** Undefined for a bridge in this process, which never restarts. */
  watch: StartWatch | undefined
  users: RegExp[] | undefined
}

/** The bridges, which are attached and removed while the gateway runs. */
export function createBridges(options: {
  bridges: BridgeConfig[]
  sessions: Pick<MatrixSessions, 'actingAs'>
  signals: Hears<'bridge-state'>
  clock: Clock
  logger: Logger
}) {
  const { sessions, signals, clock, logger } = options
  const inUse = new Map<string, InUse>()
  const platformByBot = new Map<string, string>()

  function forgetBot(platform: string): void {
    for (const [bot, known] of platformByBot) if (known === platform) platformByBot.delete(bot)
  }

  /** Keeps the watch while the address stays. */
  function watchOf({ platform, baseUrl, fetch }: BridgeConfig): StartWatch | undefined {
    const before = inUse.get(platform)
    if (before?.watch && fetch === undefined && before.baseUrl === baseUrl) return before.watch
    before?.watch?.stop()
    return fetch === undefined ? new StartWatch({ platform, baseUrl, clock, logger }) : undefined
  }

  /** Adds a platform's bridge, or replaces the existing one. */
  function set(config: BridgeConfig): void {
    const { platform, baseUrl } = config
    forgetBot(platform)
    const watch = watchOf(config)
    const bridge = createBridge(config, sessions, clock, watch)
    inUse.set(platform, { bridge, baseUrl, watch, users: config.users?.map(wholeIds) })
  }

  for (const bridge of options.bridges) set(bridge)
  signals.on('bridge-state', (platform, { stateEvent }) => {
    if (stateEvent !== 'STARTING') inUse.get(platform)?.watch?.noteState()
  })

  return {
    get platforms() {
      return [...inUse.keys()]
    },
    set,

    remove(platform: string): void {
      forgetBot(platform)
      inUse.get(platform)?.watch?.stop()
      inUse.delete(platform)
    },

    /** Call it when the platform's program has been started. */
    noteStarted(platform: string): void {
      inUse.get(platform)?.watch?.noteStarted()
    },

    /** Call it when the program has ended, before another one is started in its place. */
    noteStopped(platform: string): void {
      inUse.get(platform)?.watch?.noteStopped()
    },

    /** Resolves when the platform's bridge may receive calls, or when the signal aborts. */
    async untilReady(platform: string, signal: AbortSignal): Promise<void> {
      for (;;) {
        // Another bridge may have replaced it meanwhile.
        const watch = inUse.get(platform)?.watch
        if (!watch || watch.isReady || signal.aborted) return
        await watch.nextChange(signal)
      }
    },

    /** Stops asking all bridges. */
    stop(): void {
      for (const { watch } of inUse.values()) watch?.stop()
    },

    async platformOfBot(bot: string, userId: string): Promise<string | null> {
      const known = platformByBot.get(bot)
      if (known !== undefined) return known
      const asked = [...inUse]
      const answers = await Promise.allSettled(asked.map(([, { bridge }]) => bridge.bot(userId)))
      for (const [index, [platform]] of asked.entries()) {
        const answer = answers[index]
        if (answer?.status === 'fulfilled' && answer.value && inUse.has(platform))
          platformByBot.set(answer.value, platform)
      }
      const found = platformByBot.get(bot)
      const failure = answers.find(answer => answer.status === 'rejected')
      if (found === undefined && failure) throw failure.reason
      return found ?? null
    },

    ownsUser(platform: string, userId: string): boolean | null {
      if (platformByBot.get(userId) === platform) return true
      return inUse.get(platform)?.users?.some(pattern => pattern.test(userId)) ?? null
    },

    forPlatform(platform: string): Bridge {
      const found = inUse.get(platform)
      if (found) return found.bridge
      const platforms = [...inUse.keys()].join(', ')
      const known = platforms ? `expected one of ${platforms}` : 'no bridge is configured'
      throw new GatewayError('bad_request', `platform: "${platform}" is unknown: ${known}`)
    },
  } satisfies Bridges & Record<string, unknown>
}

/** Anchors both ends: an open end would match a user of another server. */
function wholeIds(regex: string): RegExp {
  return new RegExp(`^(?:${regex})$`)
}
