/**
 * SQL of people: devices' address books, and the phone numbers of those whose Matrix users don't
 * show them.
 */
import { and, eq, getTableColumns, gt, isNotNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { equal, putRow, rowsBy } from '../../db/row-statements.ts'
import { contacts, ghostPhones, profiles } from '../../db/schema/index.ts'
import { limitParam, ONE, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'

export interface Contact {
  matrixUserId: string
  name: string
  phone: string | null
}

/** Rows read or written in one go: a millisecond or two. */
const STEP = 200

const ofDevice = eq(contacts.deviceRowId, textParam('deviceRowId'))
const hasNumber = sql`${ghostPhones.deviceRowId} = ${textParam('deviceRowId')} and ${ghostPhones.phone} = ${textParam('phone')}`
const contact = rowsBy(contacts, 'deviceRowId', 'matrixUserId')
// Their Matrix user in the book, or another one that stands for the number.
const byPhone = statement(orm =>
  orm
    .select()
    .from(contacts)
    // Spelled out, as a partial index is found by its text.
    .where(and(ofDevice, sql`${contacts.phone} = ${textParam('phone')} and phone IS NOT NULL`))
    .unionAll(
      orm
        .select(getTableColumns(contacts))
        .from(ghostPhones)
        .innerJoin(
          contacts,
          and(
            eq(contacts.deviceRowId, ghostPhones.deviceRowId),
            eq(contacts.matrixUserId, ghostPhones.matrixUserId),
          ),
        )
        .where(hasNumber),
    )
    .limit(ONE),
)
const nextContacts = statement(orm =>
  orm
    .select()
    .from(contacts)
    .where(and(ofDevice, gt(contacts.matrixUserId, textParam('after'))))
    .orderBy(contacts.matrixUserId)
    .limit(limitParam('limit')),
)
const putContact = putRow(contacts, ['deviceRowId', 'matrixUserId'], ['name', 'phone', 'seenAt'])
const removeContact = statement(orm =>
  orm.delete(contacts).where(equal(contacts, 'deviceRowId', 'matrixUserId')),
)

const profile = rowsBy(profiles, 'matrixUserId')
const phoneInBook = statement(orm =>
  orm
    .select({ phone: contacts.phone, askedAt: contacts.seenAt })
    .from(contacts)
    .where(and(equal(contacts, 'deviceRowId', 'matrixUserId'), isNotNull(contacts.phone))),
)
const phoneOfGhost = rowsBy(ghostPhones, 'deviceRowId', 'matrixUserId')
const putPhone = putRow(ghostPhones, ['deviceRowId', 'matrixUserId'], ['phone', 'askedAt'])

const usersWithNumber = statement(orm =>
  orm
    .select({ id: ghostPhones.matrixUserId })
    .from(ghostPhones)
    .where(hasNumber)
    .unionAll(
      orm
        .select({ id: contacts.matrixUserId })
        .from(contacts)
        .where(and(ofDevice, sql`${contacts.phone} = ${textParam('phone')}`)),
    ),
)

/** @returns Matrix users that are known to stand for a number, other than by their names */
export async function usersOfNumber(reader: Reader, deviceRowId: string, phone: string): Promise<string[]> {
  const found = await reader.all(usersWithNumber, { deviceRowId, phone })
  return [...new Set(found.map(({ id }) => id))]
}

export type PeopleRepository = ReturnType<typeof createPeopleRepository>

export function createPeopleRepository(db: Pick<Db, 'read' | 'write'>) {
  /** @returns what the book has otherwise than the table, and whom it no longer has */
  async function changesOf(deviceRowId: string, book: readonly Contact[]) {
    const wanted = new Map(book.map(contact => [contact.matrixUserId, contact]))
    const gone: string[] = []
    for (let after = ''; ; ) {
      const values = { deviceRowId, after, limit: STEP }
      const rows = await db.read(reader => reader.all(nextContacts, values))
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
    /**
     * Looks for the Matrix user, then for the phone number, then for others whose number it is: one
     * person may speak by several Matrix users.
     */
    findContact: (deviceRowId: string, matrixUserId: string, phone: string | null) =>
      db.read(async (reader): Promise<Contact | null> => {
        const found = await reader.get(contact, { deviceRowId, matrixUserId })
        if (found || phone === null) return found ?? null
        return (await reader.get(byPhone, { deviceRowId, phone })) ?? null
      }),

    /** @returns the name by which a Matrix user goes; null while nothing has shown it */
    nameOf: async (matrixUserId: string): Promise<string | null> =>
      (await db.read(reader => reader.get(profile, { matrixUserId })))?.displayName ?? null,

    usersOf: (deviceRowId: string, phone: string) =>
      db.read(reader => usersOfNumber(reader, deviceRowId, phone)),

    /**
     * Makes the table hold a device's address book: writes the changes, and lets others in between.
     * Runs one at a time for each device.
     */
    async replaceContacts(deviceRowId: string, book: readonly Contact[], now: number): Promise<void> {
      const { changed, gone } = await changesOf(deviceRowId, book)
      await inSteps(changed, (tx, contact) => tx.run(putContact, { deviceRowId, ...contact, seenAt: now }))
      await inSteps(gone, (tx, matrixUserId) => tx.run(removeContact, { deviceRowId, matrixUserId }))
    },

    /**
     * @returns the number in the address book, else the bridge's answer, whose `phone` is null
     * where it knew none; null: neither is known
     */
    findPhone: (deviceRowId: string, matrixUserId: string) =>
      db.read(async reader => {
        const ids = { deviceRowId, matrixUserId }
        const inBook = await reader.get(phoneInBook, ids)
        const known = inBook ?? (await reader.get(phoneOfGhost, ids))
        return known ? { ...known, isInBook: inBook !== undefined } : null
      }),

    /** @returns numbers by Matrix user, of those whose number is known */
    async findPhones(deviceRowId: string, matrixUserIds: readonly string[]): Promise<Map<string, string>> {
      const found = new Map<string, string>()
      for (let start = 0; start < matrixUserIds.length; start += STEP) {
        if (start > 0) await yieldToEventLoop()
        await db.read(async reader => {
          for (const matrixUserId of matrixUserIds.slice(start, start + STEP)) {
            const phone = (await reader.get(phoneOfGhost, { deviceRowId, matrixUserId }))?.phone
            if (phone) found.set(matrixUserId, phone)
          }
        })
      }
      return found
    },

    putPhone: (deviceRowId: string, matrixUserId: string, phone: string | null, now: number) =>
      db.write(tx => tx.run(putPhone, { deviceRowId, matrixUserId, phone, askedAt: now })),
  }
}
