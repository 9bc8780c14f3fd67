/** SQL of what is known about rooms and the people in them. */
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Chat, chats, type Device, devices, identities, profiles } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'

/** Rooms and people as they are known before the facts that speak of them. */
export interface RoomsAndPeople {
  /** Our identities among the people and with chats in the rooms, by Matrix user id. */
  identities: ReadonlyMap<string, string>
  chats: readonly Chat[]
  /** Devices by identity id, those that are linked first. */
  devices: ReadonlyMap<string, readonly Device[]>
  /** Display names by Matrix user id. */
  names: ReadonlyMap<string, string>
}

const param = sql.placeholder
const chatsOfRoom = statement(orm =>
  orm
    .select()
    .from(chats)
    .where(eq(chats.roomId, param('roomId'))),
)
const identityByUser = statement(orm =>
  orm
    .select({ id: identities.id })
    .from(identities)
    .where(eq(identities.matrixUserId, param('userId'))),
)
const userOfIdentity = statement(orm =>
  orm
    .select({ userId: identities.matrixUserId })
    .from(identities)
    .where(eq(identities.id, param('id'))),
)
const listedDevices = statement(orm =>
  orm
    .select()
    .from(devices)
    .where(and(eq(devices.identityId, param('identityId')), isNull(devices.removedAt))),
)
const profile = statement(orm =>
  orm
    .select()
    .from(profiles)
    .where(eq(profiles.matrixUserId, param('userId'))),
)

export async function readRoomsAndPeople(
  db: Pick<Db, 'read'>,
  roomIds: Iterable<string>,
  userIds: Iterable<string>,
): Promise<RoomsAndPeople> {
  return db.read(async reader => {
    const known: Chat[] = []
    for (const roomId of roomIds) known.push(...(await reader.all(chatsOfRoom, { roomId })))
    const ours = new Map<string, string>()
    for (const userId of userIds) {
      const identity = await reader.get(identityByUser, { userId })
      if (identity) ours.set(userId, identity.id)
    }
    for (const id of new Set(known.map(chat => chat.identityId))) {
      const identity = await reader.get(userOfIdentity, { id })
      if (identity) ours.set(identity.userId, id)
    }
    const linked = new Map<string, Device[]>()
    for (const identityId of ours.values()) {
      const listed = await reader.all(listedDevices, { identityId })
      // Ordered here: SQLite sets up its sorter even for one row, and each batch asks for this.
      linked.set(identityId, listed.sort(linkedThenOldestFirst))
    }
    const names = new Map<string, string>()
    for (const userId of userIds) {
      const named = await reader.get(profile, { userId })
      if (named) names.set(userId, named.displayName)
    }
    return { chats: known, identities: ours, devices: linked, names }
  })
}

function linkedThenOldestFirst(one: Device, other: Device): number {
  const lost = (device: Device) => Number(device.state === 'logged_out')
  return lost(one) - lost(other) || one.createdAt - other.createdAt
}
