/** Lists the platforms, with their abilities as their bridges state them. */
import { messageOf } from '../../domain/errors.ts'
import type { BridgeDescription, Bridges } from '../../domain/ports.ts'
import type { PlatformView } from '../../domain/views/platform.ts'
import { type Clock, within } from '../../lib/clock.ts'

export interface Platforms {
  /** Every platform there is; one whose bridge doesn't answer soon is unavailable. */
  list(matrixUserId: string): Promise<PlatformView[]>
}

/** A bridge that doesn't answer within this doesn't hold up the others, in milliseconds. */
const PATIENCE_MS = 3_000

export function createPlatforms({ bridges, clock }: { bridges: Bridges; clock: Clock }): Platforms {
  async function describe(platform: string, userId: string): Promise<PlatformView> {
    try {
      const told = await within(clock, PATIENCE_MS, bridges.forPlatform(platform).describe(userId))
      if (told) return available(platform, told)
      return unavailable(platform, `the ${platform} bridge didn't answer within ${PATIENCE_MS / 1000} s`)
    } catch (error) {
      return unavailable(platform, messageOf(error))
    }
  }

  return {
    list: matrixUserId =>
      Promise.all(bridges.platforms.toSorted().map(platform => describe(platform, matrixUserId))),
  }
}

function available(
  platform: string,
  { name, driver, bot, flows, capabilities }: BridgeDescription,
): PlatformView {
  return {
    platform,
    name,
    state: 'available',
    reason: null,
    driver,
    bot,
    flows,
    capabilities: {
      resolve: capabilities.resolve,
      create_chat: capabilities.createChat,
      lookup_phone: capabilities.lookUpPhone,
      lookup_email: capabilities.lookUpEmail,
      lookup_username: capabilities.lookUpUsername,
      contact_list: capabilities.contactList,
      search: capabilities.search,
      group_links: capabilities.groupLinks,
    },
  }
}

function unavailable(platform: string, reason: string): PlatformView {
  const nothing = { driver: null, bot: null, flows: [], capabilities: null }
  return { platform, name: platform, state: 'unavailable', reason, ...nothing }
}
