/** Which events claim to be a bridge's and aren't: anybody may write into a room of their own that it is another bridge's portal. */
import type { Device } from '../../db/schema/index.ts'
import { remoteIdOf } from '../../domain/ghosts.ts'
import type { Bridges, RoomEvent } from '../../domain/ports.ts'
import { describeRoom, isBridgeState, isOfBridge } from '../../matrix/portal.ts'
import { ghostNamingOf } from '../contacts/ghosts.ts'

interface Known {
  bridges: Pick<Bridges, 'platforms' | 'ownsUser'>
  /** Platforms by the bridges' bots. */
  platforms: ReadonlyMap<string, string | null>
  /** Of the identities that the events are for. */
  devices: readonly Device[]
}

/** @returns their ids */
export function forgedEvents(events: readonly RoomEvent[], known: Known): Set<string> {
  const isForged = (event: RoomEvent) => isOfBridge(event) && !isGenuine(event, known)
  return new Set(events.filter(isForged).map(event => event.event_id))
}

function isGenuine(event: RoomEvent, known: Known): boolean {
  const { sender } = event
  if (!isBridgeState(event)) return known.bridges.platforms.some(platform => owns(platform, sender, known))
  const { bridgeBot } = describeRoom([event])
  if (bridgeBot === undefined) return false
  if (sender === bridgeBot) return true
  const platform = known.platforms.get(bridgeBot) ?? null
  return platform !== null && serverOf(sender) === serverOf(bridgeBot) && owns(platform, sender, known)
}

/** Of a bridge that wasn't attached by us, ghosts are known by how it names that of an account that is linked. */
function owns(platform: string, userId: string, { bridges, devices }: Known): boolean {
  const isOwn = bridges.ownsUser(platform, userId)
  if (isOwn !== null) return isOwn
  return devices.some(device => {
    const { ghostUserId: own } = device
    if (device.platform !== platform || own === null || serverOf(own) !== serverOf(userId)) return false
    const naming = ghostNamingOf(device)
    return naming !== null && remoteIdOf(userId, naming) !== null
  })
}

function serverOf(userId: string): string {
  return userId.slice(userId.indexOf(':') + 1)
}
