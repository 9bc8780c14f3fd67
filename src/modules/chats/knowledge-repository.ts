/** SQL of what is known about rooms and the people in them. */
import { and, isNull } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { equal, rowsBy } from '../../db/row-statements.ts'
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

const chatsOfRoom = rowsBy(chats, 'roomId')
const identity = { id: identities.id, userId: identities.matrixUserId }
const identityOfUser = statement(orm =>
  orm.select(identity).from(identities).where(equal(identities, 'matrixUserId')),
)
const identityById = statement(orm => orm.select(identity).from(identities).where(equal(identities, 'id')))
const listedDevices = statement(orm =>
  orm
    .select()
    .from(devices)
    .where(and(equal(devices, 'identityId'), isNull(devices.removedAt))),
)
const profile = rowsBy(profiles, 'matrixUserId')

export async function readRoomsAndPeople(
  db: Pick<Db, 'read'>,
  roomIds: Iterable<string>,
  userIds: Iterable<string>,
): Promise<RoomsAndPeople> {
  return db.read(async reader => {
    const known: Chat[] = []
    for (const roomId of roomIds) known.push(...(await reader.all(chatsOfRoom, { roomId })))
    const ours = new Map<string, string>()
    for (const matrixUserId of userIds) {
      const found = await reader.get(identityOfUser, { matrixUserId })
      if (found) ours.set(matrixUserId, found.id)
    }
    for (const id of new Set(known.map(chat => chat.identityId))) {
      const found = await reader.get(identityById, { id })
      if (found) ours.set(found.userId, id)
    }
    const linked = new Map<string, Device[]>()
    for (const identityId of ours.values()) {
      const listed = await reader.all(listedDevices, { identityId })
      // Ordered here: SQLite sets up its sorter even for one row, and each batch asks for this.
      linked.set(identityId, listed.sort(linkedThenOldestFirst))
    }
    const names = new Map<string, string>()
    for (const matrixUserId of userIds) {
      const named = await reader.get(profile, { matrixUserId })
      if (named) names.set(matrixUserId, named.displayName)
    }
    return { chats: known, identities: ours, devices: linked, names }
  })
}

function linkedThenOldestFirst(one: Device, other: Device): number {
  const lost = (device: Device) => Number(device.state === 'logged_out')
  return lost(one) - lost(other) || one.createdAt - other.createdAt
}
