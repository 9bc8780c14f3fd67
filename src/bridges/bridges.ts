/** The bridges there are, by platform. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridges, MatrixSessions } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { type BridgeConfig, createBridge } from './bridge.ts'

/** The set of bridges, which changes while the gateway runs: others are attached, some are taken away. */
export interface BridgeSet extends Bridges {
  /** Adds a platform's bridge, or puts it in the place of the one there is. */
  set(bridge: BridgeConfig): void
  remove(platform: string): void
}

export function createBridges(options: {
  bridges: BridgeConfig[]
  sessions: Pick<MatrixSessions, 'actingAs'>
  clock: Clock
}): BridgeSet {
  const byPlatform = new Map(
    options.bridges.map(bridge => [bridge.platform, createBridge(bridge, options.sessions, options.clock)]),
  )
  const platformByBot = new Map<string, string>()

  function forgetBot(platform: string): void {
    for (const [bot, known] of platformByBot) if (known === platform) platformByBot.delete(bot)
  }

  return {
    get platforms() {
      return [...byPlatform.keys()]
    },

    set(bridge) {
      forgetBot(bridge.platform)
      byPlatform.set(bridge.platform, createBridge(bridge, options.sessions, options.clock))
    },

    remove(platform) {
      forgetBot(platform)
      byPlatform.delete(platform)
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

    forPlatform(platform) {
      const bridge = byPlatform.get(platform)
      if (bridge) return bridge
      const platforms = [...byPlatform.keys()].join(', ')
      const known = platforms ? `expected one of ${platforms}` : 'no bridge is configured'
      throw new GatewayError('bad_request', `platform: "${platform}" is unknown: ${known}`)
    },
  }
}
