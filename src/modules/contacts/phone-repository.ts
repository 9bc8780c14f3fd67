/** SQL of the phone numbers of people whose Matrix users don't show them. */
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { contacts, ghostPhones } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'

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

export function createPhoneRepository({ orm, committer }: Pick<Db, 'orm' | 'committer'>): PhoneRepository {
  const param = sql.placeholder
  const inBook = orm
    .select({ phone: contacts.phone, askedAt: contacts.seenAt })
    .from(contacts)
    .where(
      and(
        eq(contacts.deviceRowId, textParam('deviceRowId')),
        eq(contacts.matrixUserId, textParam('matrixUserId')),
        isNotNull(contacts.phone),
      ),
    )
    .prepare()
  const told = orm
    .select({ phone: ghostPhones.phone, askedAt: ghostPhones.askedAt })
    .from(ghostPhones)
    .where(
      and(
        eq(ghostPhones.deviceRowId, textParam('deviceRowId')),
        eq(ghostPhones.matrixUserId, textParam('matrixUserId')),
      ),
    )
    .prepare()
  const put = orm
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
    })
    .prepare()

  return {
    find: async (deviceRowId, matrixUserId) =>
      inBook.get({ deviceRowId, matrixUserId }) ?? told.get({ deviceRowId, matrixUserId }) ?? null,
    put: (deviceRowId, matrixUserId, phone, now) =>
      committer.write(() => void put.run({ deviceRowId, matrixUserId, phone, now })),
  }
}
