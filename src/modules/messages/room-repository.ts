/** SQL of what was found out about recipients: the room of each device's chat with them. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { resolvedRecipients } from '../../db/schema/index.ts'

export interface RecipientRooms {
  /** @returns null when it isn't known */
  find(deviceRowId: string, recipientKey: string): Promise<string | null>
  remember(deviceRowId: string, recipientKey: string, roomId: string, now: number): Promise<void>
  forget(deviceRowId: string, roomId: string): Promise<void>
}

export function createRecipientRooms({ orm, committer }: Db): RecipientRooms {
  const resolved = orm
    .select({ roomId: resolvedRecipients.roomId })
    .from(resolvedRecipients)
    .where(
      and(
        eq(resolvedRecipients.deviceRowId, sql.placeholder('deviceRowId')),
        eq(resolvedRecipients.recipientKey, sql.placeholder('recipientKey')),
      ),
    )
    .prepare()

  return {
    find: async (deviceRowId, recipientKey) => resolved.get({ deviceRowId, recipientKey })?.roomId ?? null,

    remember: (deviceRowId, recipientKey, roomId, now) =>
      committer.write(() => {
        orm
          .insert(resolvedRecipients)
          .values({ deviceRowId, recipientKey, roomId, resolvedAt: now })
          .onConflictDoUpdate({
            target: [resolvedRecipients.deviceRowId, resolvedRecipients.recipientKey],
            set: { roomId, resolvedAt: now },
          })
          .run()
      }),

    forget: (deviceRowId, roomId) =>
      committer.write(() => {
        const ofRoom = and(
          eq(resolvedRecipients.deviceRowId, deviceRowId),
          eq(resolvedRecipients.roomId, roomId),
        )
        orm.delete(resolvedRecipients).where(ofRoom).run()
      }),
  }
}
