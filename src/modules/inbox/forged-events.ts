/**
 * Finds events that claim to be a bridge's and aren't: anybody may write into a room of their own
 * that it is another bridge's portal.
 */
import type { Chat, Device } from '../../db/schema/index.ts'
import { remoteIdOf } from '../../domain/ghosts.ts'
import type { Bridges, RoomEvent } from '../../domain/ports.ts'
import { describeRoom, isBridgeState, isOfBridge } from '../../matrix/portal.ts'
import { ghostNamingOf } from '../devices/ghosts.ts'

interface Known {
  bridges: Pick<Bridges, 'platforms' | 'ownsUser'>
  /** Platforms by the bridges' bots. */
  platforms: ReadonlyMap<string, string | null>
  /** Our identities by their Matrix users. */
  identities: ReadonlyMap<string, string>
  /** Devices of the identities that the events are for. */
  devices: readonly Device[]
  /** The events' rooms as they are so far. */
  chats: readonly Chat[]
}

interface Portal {
  bridgeBot: string
  platform: string | null
}

interface Checked {
  /** Ids of events that are none of the bridge's whose portal their room is. */
  forged: Set<string>
  /** Platforms that were believed although nothing tells how their bridge names its users. */
  unchecked: Set<string>
}

/** Holds events against the portal that their room is, or that it becomes by one of them. */
export function checkBridgeEvents(events: readonly RoomEvent[], known: Known): Checked {
  const checked: Checked = { forged: new Set(), unchecked: new Set() }
  const portals = new Map<string, Portal>()
  for (const { roomId, bridgeBot, platform } of known.chats)
    if (bridgeBot !== null) portals.set(roomId, { bridgeBot, platform })
  // States first: they tell whose portal a room is, and a room's state has no order.
  for (const event of events.filter(isBridgeState)) {
    if (!isOfBridge(event)) continue
    const { bridgeBot } = describeRoom([event])
    const portal = bridgeBot && { bridgeBot, platform: known.platforms.get(bridgeBot) ?? null }
    if (portal && speaksFor(event.sender, portal, known, checked)) portals.set(event.room_id, portal)
    else checked.forged.add(event.event_id)
  }
  for (const event of events) {
    if (!isOfBridge(event) || isBridgeState(event)) continue
    const portal = portals.get(event.room_id)
    if (!portal || !speaksFor(event.sender, portal, known, checked)) checked.forged.add(event.event_id)
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
