/** Lists the platforms, with their abilities as their bridges state them. */
import { messageOf } from '../../domain/errors.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { PlatformView } from '../../domain/views/platform.ts'
import { type Clock, within } from '../../lib/clock.ts'

/** A bridge that doesn't answer within this doesn't hold up the others, in milliseconds. */
const PATIENCE_MS = 3_000

export type Platforms = ReturnType<typeof createPlatforms>

export function createPlatforms({ bridges, clock }: { bridges: Bridges; clock: Clock }) {
  async function describe(platform: string, userId: string): Promise<PlatformView> {
    try {
      const described = await within(clock, PATIENCE_MS, bridges.forPlatform(platform).describe(userId))
      if (described) return { platform, state: 'available', reason: null, ...described }
      return unavailable(platform, `the ${platform} bridge didn't answer within ${PATIENCE_MS / 1000} s`)
    } catch (error) {
      return unavailable(platform, messageOf(error))
    }
  }

  return {
    /** Every platform there is; one whose bridge doesn't answer soon is unavailable. */
    list: (matrixUserId: string) =>
      Promise.all(bridges.platforms.toSorted().map(platform => describe(platform, matrixUserId))),
  }
}

function unavailable(platform: string, reason: string): PlatformView {
  const nothing = { driver: null, bot: null, flows: [], capabilities: null }
  return { platform, name: platform, state: 'unavailable', reason, ...nothing }
}
