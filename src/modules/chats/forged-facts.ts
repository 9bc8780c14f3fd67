/**
 * Finds facts that claim to be a bridge's and aren't: anybody may write into a room of their own
 * that it is another bridge's portal.
 */
import type { Chat, Device } from '../../db/schema/index.ts'
import type { Fact } from '../../domain/facts.ts'
import { remoteIdOf } from '../../domain/ghosts.ts'
import type { Bridges } from '../../domain/ports.ts'
import { ghostNamingOf } from '../devices/ghosts.ts'

interface Known {
  bridges: Pick<Bridges, 'platforms' | 'ownsUser'>
  /** Platforms by the bridges' bots. */
  platforms: ReadonlyMap<string, string | null>
  /** Our identities by their Matrix users. */
  identities: ReadonlyMap<string, string>
  /** Devices of the identities that the facts are for. */
  devices: readonly Device[]
  /** The facts' rooms as they are so far. */
  chats: readonly Chat[]
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
export function checkBridgeFacts(facts: readonly Fact[], known: Known): Checked {
  const checked: Checked = { forged: new Set(), unchecked: new Set() }
  const portals = new Map<string, Portal>()
  for (const { roomId, bridgeBot, platform } of known.chats)
    if (bridgeBot !== null) portals.set(roomId, { bridgeBot, platform })
  // First whose portal a room is: its state has no order.
  for (const told of facts) {
    if (told.fact !== 'portal') continue
    const { bridgeBot } = told.portal
    const portal = bridgeBot && { bridgeBot, platform: known.platforms.get(bridgeBot) ?? null }
    if (portal && speaksFor(told.sender, portal, known, checked)) portals.set(told.roomId, portal)
    else checked.forged.add(told)
  }
  for (const told of facts) {
    if (told.fact !== 'features') continue
    const portal = portals.get(told.roomId)
    if (!portal || !speaksFor(told.sender, portal, known, checked)) checked.forged.add(told)
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
  const namings = devices.flatMap(device =>
    device.platform === platform ? (ghostNamingOf(device) ?? []) : [],
  )
  return namings.length === 0 ? null : namings.some(naming => remoteIdOf(userId, naming) !== null)
}

function isOfAnother(platform: string, userId: string, known: Known): boolean {
  return known.bridges.platforms.some(other => other !== platform && owns(other, userId, known) === true)
}

function serverOf(userId: string): string {
  return userId.slice(userId.indexOf(':') + 1)
}
