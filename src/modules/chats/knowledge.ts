/**
 * Looks up the rooms and people that facts speak of, and finds forged facts: anybody may write into
 * a room of their own that it is another bridge's portal.
 */
import type { Db } from '../../db/open.ts'
import type { Chat, Device } from '../../db/schema/index.ts'
import type { Fact } from '../../domain/facts.ts'
import { remoteIdOf } from '../../domain/ghosts.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { Logger } from '../../lib/logger.ts'
import { ghostNamingOf } from '../devices/ghosts.ts'
import { type RoomsAndPeople, readRoomsAndPeople } from './knowledge-repository.ts'

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

/** The device of the login that the portal names, else the identity's first on the platform. */
export function deviceOfChat(
  { devices }: Pick<RoomsAndPeople, 'devices'>,
  { identityId, platform, receiver }: Pick<Chat, 'identityId' | 'platform' | 'receiver'>,
): Device | undefined {
  const linked = (devices.get(identityId) ?? []).filter(device => device.platform === platform)
  return receiver === null ? linked[0] : linked.find(device => device.loginId === receiver)
}

export function createKnowledge(options: {
  db: Pick<Db, 'read'>
  bridges: Pick<Bridges, 'platforms' | 'platformOfBot' | 'ownsUser'>
  logger: Logger
}): KnowledgeOf {
  const { db, bridges, logger } = options
  /** Platforms that the log has been told of. */
  const uncheckedPlatforms = new Set<string>()

  async function platformsIn(
    facts: readonly Fact[],
    identities: RoomsAndPeople['identities'],
  ): Promise<Map<string, string | null>> {
    const platforms = new Map<string, string | null>()
    const [anyUser] = identities.keys()
    for (const fact of facts) {
      const bot = fact.fact === 'portal' ? fact.portal.bridgeBot : undefined
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
    const { forged, unchecked } = checkBridgeFacts(facts, { ...known, bridges, platforms })
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
    for (const fact of facts) {
      // Statuses and receipts name the message that they are about by its event.
      if ('roomId' in fact && fact.fact !== 'receipt') roomIds.add(fact.roomId)
      if ('userId' in fact) userIds.add(fact.userId)
      if (fact.fact === 'membership' && fact.change) userIds.add(fact.change.sender)
      if ('sender' in fact && fact.fact !== 'status') userIds.add(fact.sender)
    }
    const known = await readRoomsAndPeople(db, roomIds, userIds)
    const platforms = await platformsIn(facts, known.identities)
    return { ...known, platforms, forged: forgedOf(facts, known, platforms) }
  }
}

interface Known extends RoomsAndPeople, Pick<ChatKnowledge, 'platforms'> {
  bridges: Pick<Bridges, 'platforms' | 'ownsUser'>
}

interface Portal {
  bridgeBot: string
  platform: string | null
}

interface Checked {
  /** Those that are none of the bridge's whose portal their room is. */
  forged: Set<Fact>
  /** Platforms that were believed although nothing tells how their bridge names its users. */
  unchecked: Set<string>
}

/** Holds facts against the portal that their room is, or that it becomes by one of them. */
function checkBridgeFacts(facts: readonly Fact[], known: Known): Checked {
  const checked: Checked = { forged: new Set(), unchecked: new Set() }
  const portals = new Map<string, Portal>()
  for (const { roomId, bridgeBot, platform } of known.chats)
    if (bridgeBot !== null) portals.set(roomId, { bridgeBot, platform })
  // First whose portal a room is: its state has no order.
  for (const fact of facts) {
    if (fact.fact !== 'portal') continue
    const { bridgeBot } = fact.portal
    const portal = bridgeBot && { bridgeBot, platform: known.platforms.get(bridgeBot) ?? null }
    if (portal && speaksFor(fact.sender, portal, known, checked)) portals.set(fact.roomId, portal)
    else checked.forged.add(fact)
  }
  for (const fact of facts) {
    if (fact.fact !== 'features' && fact.fact !== 'moved') continue
    const portal = portals.get(fact.roomId)
    if (!portal || !speaksFor(fact.sender, portal, known, checked)) checked.forged.add(fact)
  }
  return checked
}

function speaksFor(sender: string, { bridgeBot, platform }: Portal, known: Known, checked: Checked): boolean {
  if (sender === bridgeBot) return true
  if (platform === null || serverOf(sender) !== serverOf(bridgeBot)) return false
  const isOwn = owns(platform, sender, known)
  if (isOwn !== null) return isOwn
  // Some bridges let ghosts write it, and without it every message of the chat is dropped: it is
  // left out only where somebody else is known to be the sender.
  if (known.identities.has(sender) || isOfAnother(platform, sender, known)) return false
  checked.unchecked.add(platform)
  return true
}

/**
 * Without its registration, a bridge's ghosts are known by how it names a linked account's own.
 * @returns null where no account shows that (yet)
 */
function owns(platform: string, userId: string, { bridges, devices }: Known): boolean | null {
  const isOwn = bridges.ownsUser(platform, userId)
  if (isOwn !== null) return isOwn
  const linked = [...devices.values()].flat().filter(device => device.platform === platform)
  const namings = linked.flatMap(device => ghostNamingOf(device) ?? [])
  return namings.length === 0 ? null : namings.some(naming => remoteIdOf(userId, naming) !== null)
}

function isOfAnother(platform: string, userId: string, known: Known): boolean {
  return known.bridges.platforms.some(other => other !== platform && owns(other, userId, known) === true)
}

function serverOf(userId: string): string {
  return userId.slice(userId.indexOf(':') + 1)
}
