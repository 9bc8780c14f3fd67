/** SQL of the contacts table. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { contacts } from '../../db/schema/index.ts'

export interface Contact {
  matrixUserId: string
  name: string
  phone: string | null
}

export interface ContactRepository {
  find(deviceRowId: string, matrixUserId: string): Promise<Contact | null>
  /** The whole address book of a device, in place of what was there. */
  replace(deviceRowId: string, book: readonly Contact[], now: number): Promise<void>
}

export function createContactRepository(db: Db): ContactRepository {
  const one = db.orm
    .select()
    .from(contacts)
    .where(
      and(
        eq(contacts.deviceRowId, sql.placeholder('deviceRowId')),
        eq(contacts.matrixUserId, sql.placeholder('matrixUserId')),
      ),
    )
    .prepare()
  const insert = db.orm
    .insert(contacts)
    .values({
      deviceRowId: sql.placeholder('deviceRowId'),
      matrixUserId: sql.placeholder('matrixUserId'),
      name: sql.placeholder('name'),
      phone: sql.placeholder('phone'),
      seenAt: sql.placeholder('seenAt'),
    })
    .onConflictDoNothing()
    .prepare()

  return {
    find: async (deviceRowId, matrixUserId) => one.get({ deviceRowId, matrixUserId }) ?? null,
    replace: (deviceRowId, book, now) =>
      db.committer.write(() => {
        db.orm.delete(contacts).where(eq(contacts.deviceRowId, deviceRowId)).run()
        for (const contact of book) insert.run({ deviceRowId, ...contact, seenAt: now })
      }),
  }
}
