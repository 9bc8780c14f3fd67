/** SQL of the contacts table. */
import { and, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { contacts } from '../../db/schema/index.ts'
import { limitParam, ONE, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
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

const param = sql.placeholder
const ofDevice = eq(contacts.deviceRowId, textParam('deviceRowId'))
const one = statement(orm =>
  orm
    .select()
    .from(contacts)
    .where(and(ofDevice, eq(contacts.matrixUserId, textParam('matrixUserId')))),
)
const byPhone = statement(orm =>
  orm
    .select()
    .from(contacts)
    // Spelled out, as a partial index is found by its text.
    .where(and(ofDevice, sql`${contacts.phone} = ${textParam('phone')} and phone IS NOT NULL`))
    .limit(ONE),
)
const next = statement(orm =>
  orm
    .select()
    .from(contacts)
    .where(and(ofDevice, gt(contacts.matrixUserId, textParam('after'))))
    .orderBy(contacts.matrixUserId)
    .limit(limitParam('limit')),
)
const put = statement(orm =>
  orm
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
    }),
)
const remove = statement(orm =>
  orm.delete(contacts).where(and(ofDevice, eq(contacts.matrixUserId, param('matrixUserId')))),
)

export function createContactRepository(db: Pick<Db, 'read' | 'write'>): ContactRepository {
  /** @returns what the book has otherwise than the table, and whom it no longer has */
  async function changesOf(deviceRowId: string, book: readonly Contact[]) {
    const wanted = new Map(book.map(contact => [contact.matrixUserId, contact]))
    const gone: string[] = []
    for (let after = ''; ; ) {
      const values = { deviceRowId, after, limit: STEP }
      const rows = await db.read(reader => reader.all(next, values))
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

  async function inSteps<T>(all: T[], write: (tx: Tx, each: T) => Promise<void>): Promise<void> {
    while (all.length > 0) {
      const some = all.splice(-STEP)
      await db.write(async tx => {
        for (const each of some) await write(tx, each)
      })
    }
  }

  return {
    find: (deviceRowId, matrixUserId, phone) =>
      db.read(async reader => {
        const found = await reader.get(one, { deviceRowId, matrixUserId })
        if (found || phone === null) return found ?? null
        return (await reader.get(byPhone, { deviceRowId, phone })) ?? null
      }),

    async replace(deviceRowId, book, now) {
      const { changed, gone } = await changesOf(deviceRowId, book)
      await inSteps(changed, (tx, contact) => tx.run(put, { deviceRowId, ...contact, seenAt: now }))
      await inSteps(gone, (tx, matrixUserId) => tx.run(remove, { deviceRowId, matrixUserId }))
    },
  }
}
