/** SQL of the contacts table. */
import { and, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { contacts } from '../../db/schema/index.ts'
import { limitParam, ONE, textParam } from '../../db/stable-params.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'

export interface Contact {
  matrixUserId: string
  name: string
  phone: string | null
}

export interface ContactRepository {
  /**
   * Looks for the Matrix user, then for the phone number: one person may speak by several Matrix
   * users.
   */
  find(deviceRowId: string, matrixUserId: string, phone: string | null): Promise<Contact | null>
  /**
   * Makes the table hold a device's address book: writes the changes, and lets others in between.
   * Runs one at a time for each device.
   */
  replace(deviceRowId: string, book: readonly Contact[], now: number): Promise<void>
}

/** Rows read or written in one go: a millisecond or two. */
const STEP = 200

export function createContactRepository({
  orm,
  committer,
}: Pick<Db, 'orm' | 'committer'>): ContactRepository {
  const param = sql.placeholder
  const ofDevice = eq(contacts.deviceRowId, textParam('deviceRowId'))
  const one = orm
    .select()
    .from(contacts)
    .where(and(ofDevice, eq(contacts.matrixUserId, textParam('matrixUserId'))))
    .prepare()
  const byPhone = orm
    .select()
    .from(contacts)
    // Spelled out, as a partial index is found by its text.
    .where(and(ofDevice, sql`${contacts.phone} = ${textParam('phone')} and phone IS NOT NULL`))
    .limit(ONE)
    .prepare()
  const next = orm
    .select()
    .from(contacts)
    .where(and(ofDevice, gt(contacts.matrixUserId, textParam('after'))))
    .orderBy(contacts.matrixUserId)
    .limit(limitParam('limit'))
    .prepare()
  const put = orm
    .insert(contacts)
    .values({
      deviceRowId: param('deviceRowId'),
      matrixUserId: param('matrixUserId'),
      name: param('name'),
      phone: param('phone'),
      seenAt: param('seenAt'),
    })
    .onConflictDoUpdate({
      target: [contacts.deviceRowId, contacts.matrixUserId],
      set: { name: sql`excluded.name`, phone: sql`excluded.phone`, seenAt: sql`excluded.seen_at` },
    })
    .prepare()
  const remove = orm
    .delete(contacts)
    .where(and(ofDevice, eq(contacts.matrixUserId, param('matrixUserId'))))
    .prepare()

  /** @returns what the book has otherwise than the table, and whom it no longer has */
  async function changesOf(deviceRowId: string, book: readonly Contact[]) {
    const wanted = new Map(book.map(contact => [contact.matrixUserId, contact]))
    const gone: string[] = []
    for (let after = ''; ; ) {
      const rows = next.all({ deviceRowId, after, limit: STEP })
      for (const { matrixUserId, name, phone } of rows) {
        const contact = wanted.get(matrixUserId)
        if (!contact) gone.push(matrixUserId)
        else if (contact.name === name && contact.phone === phone) wanted.delete(matrixUserId)
      }
      if (rows.length < STEP) return { changed: [...wanted.values()], gone }
      after = rows.at(-1)?.matrixUserId ?? ''
      await yieldToEventLoop()
    }
  }

  async function inSteps<T>(all: T[], write: (each: T) => void): Promise<void> {
    while (all.length > 0) {
      const some = all.splice(-STEP)
      await committer.write(() => some.forEach(write))
    }
  }

  return {
    find: async (deviceRowId, matrixUserId, phone) =>
      one.get({ deviceRowId, matrixUserId }) ??
      (phone === null ? null : (byPhone.get({ deviceRowId, phone }) ?? null)),

    async replace(deviceRowId, book, now) {
      const { changed, gone } = await changesOf(deviceRowId, book)
      await inSteps(changed, contact => put.run({ deviceRowId, ...contact, seenAt: now }))
      await inSteps(gone, matrixUserId => remove.run({ deviceRowId, matrixUserId }))
    },
  }
}
