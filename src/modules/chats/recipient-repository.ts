/** SQL of the rooms that were found for devices' recipients, so that the bridge is asked once. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { putRow, rowsBy } from '../../db/row-statements.ts'
import { type Chat, chats, type Device, resolvedRecipients } from '../../db/schema/index.ts'
import { ONE, textParam } from '../../db/stable-params.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'

/** The room of a recipient, and who it is; null for a group. */
export interface FoundRoom {
  roomId: string
  matrixUserId: string | null
}

/** A room that was found before; `id` is null where nothing is known of its chat. */
export type KnownRoom = Pick<Chat, 'roomId' | 'features' | 'movedTo'> & { id: string | null }

const param = sql.placeholder
const ofDevice = eq(resolvedRecipients.deviceRowId, textParam('deviceRowId'))
const roomOfRecipient = statement(orm =>
  orm
    .select({
      id: chats.id,
      roomId: resolvedRecipients.roomId,
      features: chats.features,
      movedTo: chats.movedTo,
    })
    .from(resolvedRecipients)
    .leftJoin(
      chats,
      and(eq(chats.identityId, textParam('identityId')), eq(chats.roomId, resolvedRecipients.roomId)),
    )
    .where(and(ofDevice, eq(resolvedRecipients.recipientKey, textParam('recipientKey')))),
)
const putRoom = putRow(
  resolvedRecipients,
  ['deviceRowId', 'recipientKey'],
  ['roomId', 'matrixUserId', 'resolvedAt'],
)
const recipient = rowsBy(resolvedRecipients, 'deviceRowId', 'recipientKey')
// Also in a room from which the chat has moved, as long as nothing was sent in the new one.
const userInRoom = statement(orm =>
  orm
    .select({ matrixUserId: resolvedRecipients.matrixUserId })
    .from(resolvedRecipients)
    .where(
      sql`${ofDevice} and ${resolvedRecipients.matrixUserId} is not null and ${resolvedRecipients.roomId} in (
        select ${textParam('roomId')} union all
        select room_id from chats where identity_id = ${textParam('identityId')} and moved_to = ${textParam('roomId')} and moved_to is not null)`,
    )
    .limit(ONE),
)
const changeRoom = statement(orm =>
  orm
    .update(resolvedRecipients)
    .set({ roomId: sql`${param('movedTo')}` })
    .where(and(ofDevice, eq(resolvedRecipients.roomId, param('roomId')))),
)
const dropRoom = statement(orm =>
  orm.delete(resolvedRecipients).where(and(ofDevice, eq(resolvedRecipients.roomId, param('roomId')))),
)

// In the order of the key, whose first part is the device.
const linksOf = sqlStatement<{ link: string }>(`
  SELECT substr(recipient_key, 7) AS link FROM resolved_recipients
  JOIN devices ON devices.id = device_row_id
  JOIN chats ON chats.identity_id = devices.identity_id AND chats.room_id = resolved_recipients.room_id
  WHERE device_row_id = $deviceRowId AND recipient_key > 'group:https:' AND recipient_key < 'group:https;'
    AND coalesce(channel_id, chats.room_id) = $group`)

/** @returns invite links, in their one spelling, by which a group was written to */
export async function linksOfGroup(reader: Reader, deviceRowId: string, group: string): Promise<string[]> {
  return (await reader.all(linksOf, { deviceRowId, group })).map(({ link }) => link)
}

export type RecipientRepository = ReturnType<typeof createRecipientRepository>

export function createRecipientRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /** @returns the room that was found for a recipient before, with what its chat tells */
    async roomOf(
      { id: deviceRowId, identityId }: Pick<Device, 'id' | 'identityId'>,
      recipientKey: string,
    ): Promise<KnownRoom | null> {
      const key = { deviceRowId, identityId, recipientKey }
      return (await db.read(reader => reader.get(roomOfRecipient, key))) ?? null
    },

    /** @returns the Matrix user who answers to a recipient's key, as far as it was resolved */
    async userOf(deviceRowId: string, recipientKey: string): Promise<string | null> {
      const found = await db.read(reader => reader.get(recipient, { deviceRowId, recipientKey }))
      return found?.matrixUserId ?? null
    },

    /** @returns the Matrix user who was resolved to the room of a direct chat, null if none was */
    async userInRoom(
      { id: deviceRowId, identityId }: Pick<Device, 'id' | 'identityId'>,
      roomId: string,
    ): Promise<string | null> {
      const found = await db.read(reader => reader.get(userInRoom, { deviceRowId, identityId, roomId }))
      return found?.matrixUserId ?? null
    },

    rememberRoom: (deviceRowId: string, recipientKey: string, found: FoundRoom, now: number) =>
      db.write(tx => tx.run(putRoom, { deviceRowId, recipientKey, ...found, resolvedAt: now })),

    /** A device's recipients of one room are in another. */
    moveRoom: (deviceRowId: string, roomId: string, movedTo: string) =>
      db.write(tx => tx.run(changeRoom, { deviceRowId, roomId, movedTo })),

    forgetRoom: (deviceRowId: string, roomId: string) =>
      db.write(tx => tx.run(dropRoom, { deviceRowId, roomId })),
  }
}
