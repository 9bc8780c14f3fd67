/**
 * SQL of forgetting. Each step is one short transaction, as sends are accepted between them: it
 * deletes those of the next few rows that are over and old. Rows that are queued, under way,
 * pending or being replayed stay, however old.
 */
import { asc, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { anyWhere } from '../../db/row-statements.ts'
import { chatMessages, deliveries, events, media, messages, replays } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { type Statement, sqlStatement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { MessageStatus } from '../../domain/states.ts'
import { forgetHistory } from '../history/history-repository.ts'

export interface Step<Cursor> {
  /** Where the next step goes on; null: there is nothing more that is old. */
  next: Cursor | null
  removed: number
  /** Files whose rows are gone, or that are no longer said to be on the disk. */
  files: string[]
}

/** Rows that a step looks at, and how long it may take in milliseconds. */
const ROWS = 200
const BUDGET_MS = 2
/** Pages given back in a step: half a millisecond. They are 4 KiB each. */
const PAGES = 50
/** Fewer are kept, as they'll be used again soon. */
const FREE_PAGES_KEPT = 2_000
const SETTLED: readonly MessageStatus[] = ['sent', 'delivered', 'read', 'failed', 'cancelled']

const param = sql.placeholder
/** The next rows of a table behind a place, in the order of its column `at`. */
function rowsBehind<Shown extends Record<string, SQLiteColumn>>(
  table: SQLiteTable,
  shown: Shown & { at: SQLiteColumn },
  after: SQL = numberParam('after'),
) {
  const { at } = shown
  return statement(orm =>
    orm.select(shown).from(table).where(gt(at, after)).orderBy(asc(at)).limit(limitParam('limit')),
  )
}

const nextMessages = rowsBehind(messages, {
  at: messages.seq,
  createdAt: messages.createdAt,
  updatedAt: messages.updatedAt,
  status: messages.status,
  mediaId: messages.mediaId,
})
const deleteMessage = statement(orm => orm.delete(messages).where(eq(messages.seq, param('at'))))
const messageWithFile = anyWhere(messages, eq(messages.mediaId, textParam('mediaId')))
const nextDeliveries = rowsBehind(deliveries, {
  at: deliveries.seq,
  createdAt: deliveries.createdAt,
  status: deliveries.status,
  settledAt: deliveries.settledAt,
})
const deleteDelivery = statement(orm => orm.delete(deliveries).where(eq(deliveries.seq, param('at'))))
const nextEvents = rowsBehind(events, {
  at: events.seq,
  createdAt: events.receivedAt,
  mediaId: events.mediaId,
  identityId: events.identityId,
})
// By webhook, as the index of a delivery's event begins with it.
const deliveryOfEvent = anyWhere(
  deliveries,
  sql`${deliveries.identityId} = ${textParam('identityId')} and ${deliveries.eventSeq} = ${numberParam('at')}
    and ${deliveries.webhookId} in (select id from webhooks where identity_id = ${textParam('identityId')})`,
)
const replayOf = anyWhere(replays, eq(replays.identityId, textParam('identityId')))
const deleteEvent = statement(orm => orm.delete(events).where(eq(events.seq, param('at'))))
const nextHistory = rowsBehind(chatMessages, {
  at: chatMessages.seq,
  createdAt: chatMessages.storedAt,
  sentAt: chatMessages.sentAt,
  identityId: chatMessages.identityId,
  eventId: chatMessages.eventId,
  mediaId: chatMessages.mediaId,
  roomId: chatMessages.roomId,
  text: chatMessages.text,
  relatesTo: chatMessages.relatesTo,
})
// Spelled out, as a partial index is found by its text.
const historyWithFile = anyWhere(
  chatMessages,
  sql`${chatMessages.mediaId} = ${textParam('mediaId')} and media_id is not null`,
)
const deleteFile = statement(orm => orm.delete(media).where(eq(media.id, param('mediaId'))))
const nextFiles = rowsBehind(
  media,
  { at: media.id, createdAt: media.createdAt, stored: media.stored },
  textParam('after'),
)
const waitingWithFile = anyWhere(
  messages,
  sql`${messages.mediaId} = ${textParam('mediaId')} and ${messages.status} in ('scheduled', 'queued', 'sending')`,
)
const noteRemoved = statement(orm =>
  orm
    .update(media)
    .set({ stored: false })
    .where(eq(media.id, param('mediaId'))),
)
const freePages = sqlStatement<{ freelist_count: number }>('PRAGMA freelist_count')
const giveBack = sqlStatement(`PRAGMA incremental_vacuum(${PAGES})`)
const vacuumMode = sqlStatement<{ auto_vacuum: number }>('PRAGMA auto_vacuum')
/** Older databases have no map of their pages: they shrink only by VACUUM. */
const INCREMENTAL = 2

export type RetentionRepository = ReturnType<typeof createRetentionRepository>

export function createRetentionRepository(db: Pick<Db, 'write'>) {
  /**
   * Makes a step through the rows of a query, which forgets some for as long as it may take.
   * @param isByAge true when the rows come in the order of their age
   * @param forget tells if it did; it adds files whose rows go
   */
  function stepsThrough<Row extends { at: number | string; createdAt: number }>(
    query: Statement<Row>,
    isByAge: boolean,
    forget: (tx: Tx, row: Row, before: number, files: string[]) => Promise<boolean>,
  ) {
    /**
     * @param after where the step before ended
     * @param before epoch milliseconds: older rows may go
     */
    return (after: Row['at'], before: number): Promise<Step<Row['at']>> =>
      db.write(async tx => {
        const rows = await tx.all(query, { after, limit: ROWS })
        const deadline = performance.now() + BUDGET_MS
        const step: Step<Row['at']> = { next: null, removed: 0, files: [] }
        // All of them must be young: clocks are set, and one row may be stamped with a time to
        // come.
        if (isByAge && rows.every(row => row.createdAt >= before)) return step
        for (const row of rows) {
          step.next = row.at
          if (row.createdAt < before && (await forget(tx, row, before, step.files))) step.removed++
          if (performance.now() > deadline) return step
        }
        if (rows.length < ROWS) step.next = null
        return step
      })
  }

  /** Unless the history still has it. */
  async function forgetFile(tx: Tx, mediaId: string, files: string[]): Promise<void> {
    if (await tx.get(historyWithFile, { mediaId })) return
    await tx.run(deleteFile, { mediaId })
    files.push(mediaId)
  }

  return {
    /** Messages that are settled, with the files that no other one has. */
    messages: stepsThrough(nextMessages, true, async (tx, row, before, files) => {
      const { at, status, updatedAt, mediaId } = row
      if (updatedAt >= before || !SETTLED.includes(status)) return false
      await tx.run(deleteMessage, { at })
      if (mediaId !== null && !(await tx.get(messageWithFile, { mediaId })))
        await forgetFile(tx, mediaId, files)
      return true
    }),

    /** Deliveries that succeeded or are dead, with the log of their tries. */
    deliveries: stepsThrough(nextDeliveries, true, async (tx, { at, status, settledAt }, before) => {
      if (status === 'pending' || settledAt === null || settledAt >= before) return false
      await tx.run(deleteDelivery, { at })
      return true
    }),

    /** Events without deliveries, with their files. */
    events: stepsThrough(nextEvents, true, async (tx, { at, identityId, mediaId }, _before, files) => {
      if (await tx.get(deliveryOfEvent, { identityId, at })) return false
      if (await tx.get(replayOf, { identityId })) return false
      await tx.run(deleteEvent, { at })
      if (mediaId !== null) await forgetFile(tx, mediaId, files)
      return true
    }),

    /** The history of chats, by when it was stored. */
    history: stepsThrough(nextHistory, true, async (tx, { at, ...row }, _before, files) => {
      const file = await forgetHistory(tx, { seq: at, ...row })
      if (file !== null) files.push(file)
      return true
    }),

    /** Files that no waiting message needs. Their rows stay: incoming ones can be fetched again. */
    files: stepsThrough(nextFiles, false, async (tx, { at: mediaId, stored }, _before, files) => {
      if (!stored || (await tx.get(waitingWithFile, { mediaId }))) return false
      await tx.run(noteRemoved, { mediaId })
      files.push(mediaId)
      return true
    }),

    /**
     * Gives free pages of the database file back, if there are many.
     * @returns true if more are left
     */
    shrink: () =>
      db.write(async tx => {
        const free = await tx.get(freePages)
        if (!free || free.freelist_count <= FREE_PAGES_KEPT) return false
        await tx.run(giveBack)
        return (await tx.get(vacuumMode))?.auto_vacuum === INCREMENTAL
      }),
  }
}
