/** The bridges there are, by platform. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridge, Bridges, MatrixSessions } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { type BridgeConfig, createBridge } from './bridge.ts'
import { StartWatch } from './start-watch.ts'

/** The set of bridges, which changes while the gateway runs: others are attached, some are taken away. */
export interface BridgeSet extends Bridges {
  /** Adds a platform's bridge, or puts it in the place of the one there is. */
  set(bridge: BridgeConfig): void
  remove(platform: string): void
  /** The platform's bridge reported a state, of a login or of itself. */
  noteState(platform: string, stateEvent: string | null): void
  /** Resolves when the platform's bridge may be sent something, or when the signal aborts. */
  untilReady(platform: string, signal: AbortSignal): Promise<void>
  /** Asks no bridge any more. */
  stop(): void
}

export function createBridges(options: {
  bridges: BridgeConfig[]
  sessions: Pick<MatrixSessions, 'actingAs'>
  clock: Clock
  logger: Logger
}): BridgeSet {
  const { sessions, clock, logger } = options
  const byPlatform = new Map<string, Bridge>()
  const watches = new Map<string, { baseUrl: string; watch: StartWatch }>()
  const platformByBot = new Map<string, string>()
  const ownUsers = new Map<string, RegExp[]>()

  function forgetBot(platform: string): void {
    for (const [bot, known] of platformByBot) if (known === platform) platformByBot.delete(bot)
  }

  /**
   * Keeps the watch while the address stays. Bridges within this process never start by themselves.
   */
  function watchOf({ platform, baseUrl, fetch }: BridgeConfig): StartWatch | undefined {
    const before = watches.get(platform)
    if (before && fetch === undefined && before.baseUrl === baseUrl) return before.watch
    endWatch(platform)
    if (fetch !== undefined) return undefined
    const watch = new StartWatch({ platform, baseUrl, clock, logger })
    watches.set(platform, { baseUrl, watch })
    return watch
  }

  function endWatch(platform: string): void {
    watches.get(platform)?.watch.stop()
    watches.delete(platform)
  }

  function put(bridge: BridgeConfig): void {
    if (bridge.users === undefined) ownUsers.delete(bridge.platform)
    else ownUsers.set(bridge.platform, bridge.users.map(wholeIds))
    byPlatform.set(bridge.platform, createBridge(bridge, sessions, clock, watchOf(bridge)))
  }

  for (const bridge of options.bridges) put(bridge)

  return {
    get platforms() {
      return [...byPlatform.keys()]
    },

    set(bridge) {
      forgetBot(bridge.platform)
      put(bridge)
    },

    remove(platform) {
      forgetBot(platform)
      byPlatform.delete(platform)
      ownUsers.delete(platform)
      endWatch(platform)
    },

    noteState(platform, stateEvent) {
      if (stateEvent !== 'STARTING') watches.get(platform)?.watch.noteState()
    },
    async untilReady(platform, signal) {
      // Another bridge may have taken its place meanwhile.
      for (let one = watches.get(platform); one && !signal.aborted; one = watches.get(platform)) {
        if (one.watch.isReady) return
        await one.watch.nextChange(signal)
      }
    },

    stop() {
      for (const { watch } of watches.values()) watch.stop()
    },

    async platformOfBot(bot, userId) {
      const known = platformByBot.get(bot)
      if (known !== undefined) return known
      const platforms = [...byPlatform.keys()]
      const answers = await Promise.allSettled([...byPlatform.values()].map(bridge => bridge.bot(userId)))
      for (const [index, answer] of answers.entries()) {
        const platform = platforms[index]
        if (answer.status === 'fulfilled' && answer.value && platform && byPlatform.has(platform))
          platformByBot.set(answer.value, platform)
      }
      const found = platformByBot.get(bot)
      const failure = answers.find(answer => answer.status === 'rejected')
      if (found === undefined && failure) throw failure.reason
      return found ?? null
    },

    ownsUser(platform, userId) {
      if (platformByBot.get(userId) === platform) return true
      return ownUsers.get(platform)?.some(pattern => pattern.test(userId)) ?? null
    },

    forPlatform(platform) {
      const bridge = byPlatform.get(platform)
      if (bridge) return bridge
      const platforms = [...byPlatform.keys()].join(', ')
      const known = platforms ? `expected one of ${platforms}` : 'no bridge is configured'
      throw new GatewayError('bad_request', `platform: "${platform}" is unknown: ${known}`)
    },
  }
}

/** Registrations leave the end open, where a user of another server could go on. */
function wholeIds(regex: string): RegExp {
  return new RegExp(`^(?:${regex})$`)
}
