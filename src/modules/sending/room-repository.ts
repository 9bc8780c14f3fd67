/** SQL of what was found out about recipients: the room of each device's chat with them. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { resolvedRecipients } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'

export interface RecipientRooms {
  /** @returns null when it isn't known */
  find(deviceRowId: string, recipientKey: string): Promise<string | null>
  remember(deviceRowId: string, recipientKey: string, roomId: string, now: number): Promise<void>
  forget(deviceRowId: string, roomId: string): Promise<void>
}

const param = sql.placeholder
const ofDevice = eq(resolvedRecipients.deviceRowId, param('deviceRowId'))
const resolved = statement(orm =>
  orm
    .select({ roomId: resolvedRecipients.roomId })
    .from(resolvedRecipients)
    .where(and(ofDevice, eq(resolvedRecipients.recipientKey, param('recipientKey')))),
)
const put = statement(orm =>
  orm
    .insert(resolvedRecipients)
    .values({
      deviceRowId: param('deviceRowId'),
      recipientKey: param('recipientKey'),
      roomId: param('roomId'),
      resolvedAt: param('now'),
    })
    .onConflictDoUpdate({
      target: [resolvedRecipients.deviceRowId, resolvedRecipients.recipientKey],
      set: { roomId: sql`excluded.room_id`, resolvedAt: sql`excluded.resolved_at` },
    }),
)
const remove = statement(orm =>
  orm.delete(resolvedRecipients).where(and(ofDevice, eq(resolvedRecipients.roomId, param('roomId')))),
)

export function createRecipientRooms(db: Pick<Db, 'read' | 'write'>): RecipientRooms {
  return {
    async find(deviceRowId, recipientKey) {
      const found = await db.read(reader => reader.get(resolved, { deviceRowId, recipientKey }))
      return found?.roomId ?? null
    },

    remember: (deviceRowId, recipientKey, roomId, now) =>
      db.write(tx => tx.run(put, { deviceRowId, recipientKey, roomId, now })),

    forget: (deviceRowId, roomId) => db.write(tx => tx.run(remove, { deviceRowId, roomId })),
  }
}
