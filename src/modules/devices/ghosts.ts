/**
 * Reads a ghost's Matrix id for facts about its person, by how the device's bridge names its
 * ghosts.
 */
import type { Device } from '../../db/schema/index.ts'
import { type GhostNaming, ghostNamingFrom, remoteIdOf } from '../../domain/ghosts.ts'

/** How the bridge of a device names its ghosts, as far as the account's own ghost shows it. */
export function ghostNamingOf({ ghostUserId, loginId, phone }: Device): GhostNaming | null {
  if (ghostUserId === null) return null
  return (
    ghostNamingFrom(ghostUserId, loginId) ?? (phone === null ? null : ghostNamingFrom(ghostUserId, phone))
  )
}

/**
 * The phone number that is a ghost's id, on networks where an account is its number; null
 * elsewhere.
 */
export function phoneOfGhost(device: Device, userId: string): string | null {
  if (device.loginId !== device.phone) return null
  const id = remoteIdOf(userId, ghostNamingOf(device))
  return id !== null && /^\d{5,15}$/.test(id) ? id : null
}

/** True for the Matrix user by which the device's own account speaks. */
export function isOwnGhost(userId: string, device: Device): boolean {
  return userId === device.ghostUserId || remoteIdOf(userId, ghostNamingOf(device)) === device.loginId
}
