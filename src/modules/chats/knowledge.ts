/** Looks up the rooms and people that facts speak of, and finds the facts that are forged. */
import type { Fact } from '../../domain/facts.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { Logger } from '../../lib/logger.ts'
import { checkBridgeFacts } from './forged-facts.ts'
import type { KnowledgeRepository, RoomsAndPeople } from './knowledge-repository.ts'

export interface ChatKnowledge extends RoomsAndPeople {
  /** Platforms by the bridges' bots. */
  platforms: ReadonlyMap<string, string | null>
  /** Those that only a bridge can know, and that come from none of its users. */
  forged: ReadonlySet<Fact>
}

/**
 * Tells what is known about facts.
 * @param also rooms and Matrix users beside those that the facts speak of
 * @throws GatewayError bridge_unavailable when it can't be told whose bot one is
 */
export type KnowledgeOf = (
  facts: readonly Fact[],
  also?: { rooms?: readonly string[]; users?: readonly string[] },
) => Promise<ChatKnowledge>

export function createKnowledge(options: {
  repository: KnowledgeRepository
  bridges: Pick<Bridges, 'platforms' | 'platformOfBot' | 'ownsUser'>
  logger: Logger
}): KnowledgeOf {
  const { repository, bridges, logger } = options
  /** Platforms that the log has been told of. */
  const uncheckedPlatforms = new Set<string>()

  async function platformsIn(
    facts: readonly Fact[],
    identities: RoomsAndPeople['identities'],
  ): Promise<Map<string, string | null>> {
    const platforms = new Map<string, string | null>()
    const [anyUser] = identities.keys()
    for (const told of facts) {
      const bot = told.fact === 'portal' ? told.portal.bridgeBot : undefined
      if (bot !== undefined && anyUser !== undefined && !platforms.has(bot))
        platforms.set(bot, await bridges.platformOfBot(bot, anyUser))
    }
    return platforms
  }

  function forgedOf(
    facts: readonly Fact[],
    known: RoomsAndPeople,
    platforms: ChatKnowledge['platforms'],
  ): ChatKnowledge['forged'] {
    const devices = [...known.devices.values()].flat()
    const { forged, unchecked } = checkBridgeFacts(facts, { ...known, bridges, platforms, devices })
    if (forged.size > 0)
      logger.warn({ events: forged.size }, "state of a portal that isn't its bridge's was left out")
    for (const platform of unchecked.difference(uncheckedPlatforms)) {
      uncheckedPlatforms.add(platform)
      logger.warn(
        { platform },
        "it isn't known which Matrix users are this bridge's, so anybody on its homeserver is believed to be one: " +
          'attach it by `meshgate bridge add` instead of BRIDGES, which takes them from its registration',
      )
    }
    return forged
  }

  return async (facts, { rooms = [], users = [] } = {}) => {
    const roomIds = new Set(rooms)
    const userIds = new Set(users)
    for (const told of facts) {
      // Statuses and receipts name the message that they are about by its event.
      if ('roomId' in told && told.fact !== 'receipt') roomIds.add(told.roomId)
      if ('userId' in told) userIds.add(told.userId)
      if ('sender' in told && told.fact !== 'status') userIds.add(told.sender)
    }
    const known = await repository.about(roomIds, userIds)
    const platforms = await platformsIn(facts, known.identities)
    return { ...known, platforms, forged: forgedOf(facts, known, platforms) }
  }
}
