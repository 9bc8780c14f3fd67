/** SQL of the phone numbers of people whose Matrix users don't show them. */
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { contacts, ghostPhones } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'

/** `phone` is null where the bridge was asked at `askedAt` and knew none. */
export interface KnownPhone {
  phone: string | null
  askedAt: number
}

export interface PhoneRepository {
  /**
   * Looks in the device's address book, then in its bridge's answers.
   * @returns null when nothing is known
   */
  find(deviceRowId: string, matrixUserId: string): Promise<KnownPhone | null>
  put(deviceRowId: string, matrixUserId: string, phone: string | null, now: number): Promise<void>
}

const param = sql.placeholder
const inBook = statement(orm =>
  orm
    .select({ phone: contacts.phone, askedAt: contacts.seenAt })
    .from(contacts)
    .where(
      and(
        eq(contacts.deviceRowId, textParam('deviceRowId')),
        eq(contacts.matrixUserId, textParam('matrixUserId')),
        isNotNull(contacts.phone),
      ),
    ),
)
const told = statement(orm =>
  orm
    .select({ phone: ghostPhones.phone, askedAt: ghostPhones.askedAt })
    .from(ghostPhones)
    .where(
      and(
        eq(ghostPhones.deviceRowId, textParam('deviceRowId')),
        eq(ghostPhones.matrixUserId, textParam('matrixUserId')),
      ),
    ),
)
const put = statement(orm =>
  orm
    .insert(ghostPhones)
    .values({
      deviceRowId: param('deviceRowId'),
      matrixUserId: param('matrixUserId'),
      phone: param('phone'),
      askedAt: param('now'),
    })
    .onConflictDoUpdate({
      target: [ghostPhones.matrixUserId, ghostPhones.deviceRowId],
      set: { phone: sql`excluded.phone`, askedAt: sql`excluded.asked_at` },
    }),
)

export function createPhoneRepository(db: Pick<Db, 'read' | 'write'>): PhoneRepository {
  return {
    find: (deviceRowId, matrixUserId) =>
      db.read(async reader => {
        const ids = { deviceRowId, matrixUserId }
        return (await reader.get(inBook, ids)) ?? (await reader.get(told, ids)) ?? null
      }),

    put: (deviceRowId, matrixUserId, phone, now) =>
      db.write(tx => tx.run(put, { deviceRowId, matrixUserId, phone, now })),
  }
}
