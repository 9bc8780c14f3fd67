/** The bridges by platform. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridge, Bridges, MatrixSessions } from '../domain/ports.ts'
import type { Hears } from '../domain/signals.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { type BridgeConfig, createBridge } from './bridge.ts'
import { StartWatch } from './start-watch.ts'

/** The bridges, which are attached and removed while the gateway runs. */
export interface BridgeSet extends Bridges {
  /** Adds a platform's bridge, or replaces the existing one. */
  set(bridge: BridgeConfig): void
  remove(platform: string): void
  /** Resolves when the platform's bridge may receive calls, or when the signal aborts. */
  untilReady(platform: string, signal: AbortSignal): Promise<void>
  /** Stops asking all bridges. */
  stop(): void
}

export function createBridges(options: {
  bridges: BridgeConfig[]
  sessions: Pick<MatrixSessions, 'actingAs'>
  signals: Hears<'bridge-state'>
  clock: Clock
  logger: Logger
}): BridgeSet {
  const { sessions, signals, clock, logger } = options
  const byPlatform = new Map<string, Bridge>()
  const watches = new Map<string, { baseUrl: string; watch: StartWatch }>()
  const platformByBot = new Map<string, string>()
  const ownUsers = new Map<string, RegExp[]>()

  function forgetBot(platform: string): void {
    for (const [bot, known] of platformByBot) if (known === platform) platformByBot.delete(bot)
  }

  /** Keeps the watch while the address stays. Bridges in this process never restart: no watch. */
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
  signals.on('bridge-state', (platform, { stateEvent }) => {
    if (stateEvent !== 'STARTING') watches.get(platform)?.watch.noteState()
  })

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

    async untilReady(platform, signal) {
      // Another bridge may have replaced it meanwhile.
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

/** Anchors both ends: an open end would match a user of another server. */
function wholeIds(regex: string): RegExp {
  return new RegExp(`^(?:${regex})$`)
}
