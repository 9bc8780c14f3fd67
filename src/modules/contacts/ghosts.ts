/** What the Matrix id of a ghost tells of the person it stands for, by how the bridge of a device names its ghosts. */
import type { Device } from '../../db/schema/index.ts'
import { type GhostNaming, ghostNamingFrom, remoteIdOf } from '../../domain/ghosts.ts'

/** How the bridge of a device names its ghosts, as far as the account's own ghost shows it. */
export function ghostNamingOf({ ghostUserId, loginId, phone }: Device): GhostNaming | null {
  if (ghostUserId === null) return null
  return (
    ghostNamingFrom(ghostUserId, loginId) ?? (phone === null ? null : ghostNamingFrom(ghostUserId, phone))
  )
}

/** The phone number that is a ghost's id, as on networks where an account is its number; null where it isn't. */
export function phoneOfGhost(device: Device, userId: string): string | null {
  if (device.loginId !== device.phone) return null
  const id = remoteIdOf(userId, ghostNamingOf(device))
  return id !== null && /^\d{5,15}$/.test(id) ? id : null
}
