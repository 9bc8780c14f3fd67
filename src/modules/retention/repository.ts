/**
 * SQL of forgetting. Each step is one short transaction, as sends are accepted between them: it looks at the next few rows in the order of their age
 * and deletes those that are over and old. What is queued, under way, pending or being replayed stays, however old.
 */
import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { deliveries, inboxEvents, media, messages, replays } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import type { MessageStatus } from '../../domain/states.ts'

export interface Step<Cursor> {
  /** Where the next step goes on; null: there is nothing more that is old. */
  next: Cursor | null
  removed: number
  /** Files whose rows are gone, or that are no longer said to be on the disk. */
  files: string[]
}

/** @param after where the step before ended @param before in milliseconds since the epoch: what is older may go */
type Forget<Cursor> = (after: Cursor, before: number) => Promise<Step<Cursor>>

export interface RetentionRepository {
  /** Messages that are settled, with the files that no other one has. */
  messages: Forget<number>
  /** Deliveries that succeeded or are dead, with the log of their tries. */
  deliveries: Forget<number>
  /** Events without deliveries, with their files. */
  events: Forget<number>
  /** Files that no waiting message needs. Their rows stay: an incoming one can be fetched from the homeserver again. */
  files: Forget<string>
  /** Gives free pages of the database file back, if there are many. @returns whether there are more */
  shrink(): Promise<boolean>
}

/** Rows that a step looks at, and how long it may take in milliseconds: what is left is for the next one. */
const ROWS = 200
const BUDGET_MS = 2
/** Pages given back in a step: half a millisecond. They are 4 KiB each. */
const PAGES = 50
/** Fewer are kept, as they'll be used again soon. */
const FREE_PAGES_KEPT = 2_000
const SETTLED: readonly MessageStatus[] = ['sent', 'delivered', 'read', 'failed', 'cancelled']

export function createRetentionRepository({ connection, orm, committer }: Db): RetentionRepository {
  const param = sql.placeholder
  const nextMessages = orm
    .select({
      at: messages.seq,
      createdAt: messages.createdAt,
      updatedAt: messages.updatedAt,
      status: messages.status,
      mediaId: messages.mediaId,
    })
    .from(messages)
    .where(gt(messages.seq, numberParam('after')))
    .orderBy(asc(messages.seq))
    .limit(limitParam('limit'))
    .prepare()
  const deleteMessage = orm
    .delete(messages)
    .where(eq(messages.seq, param('at')))
    .prepare()
  const messageWithFile = orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(eq(messages.mediaId, textParam('mediaId')))
    .limit(ONE)
    .prepare()
  const nextDeliveries = orm
    .select({
      at: deliveries.seq,
      createdAt: deliveries.createdAt,
      status: deliveries.status,
      settledAt: deliveries.settledAt,
    })
    .from(deliveries)
    .where(gt(deliveries.seq, numberParam('after')))
    .orderBy(asc(deliveries.seq))
    .limit(limitParam('limit'))
    .prepare()
  const deleteDelivery = orm
    .delete(deliveries)
    .where(eq(deliveries.seq, param('at')))
    .prepare()
  const nextEvents = orm
    .select({
      at: inboxEvents.seq,
      createdAt: inboxEvents.receivedAt,
      mediaId: inboxEvents.mediaId,
      identityId: inboxEvents.identityId,
    })
    .from(inboxEvents)
    .where(gt(inboxEvents.seq, numberParam('after')))
    .orderBy(asc(inboxEvents.seq))
    .limit(limitParam('limit'))
    .prepare()
  // By webhook, as the index of a delivery's event begins with it.
  const deliveryOfEvent = orm
    .select({ seq: deliveries.seq })
    .from(deliveries)
    .where(
      sql`${deliveries.identityId} = ${textParam('identityId')} and ${deliveries.inboxSeq} = ${numberParam('at')}
        and ${deliveries.webhookId} in (select id from webhooks where identity_id = ${textParam('identityId')})`,
    )
    .limit(ONE)
    .prepare()
  const replayOf = orm
    .select({ identityId: replays.identityId })
    .from(replays)
    .where(eq(replays.identityId, textParam('identityId')))
    .limit(ONE)
    .prepare()
  const deleteEvent = orm
    .delete(inboxEvents)
    .where(eq(inboxEvents.seq, param('at')))
    .prepare()
  const deleteFile = orm
    .delete(media)
    .where(eq(media.id, param('mediaId')))
    .prepare()
  const nextFiles = orm
    .select({ at: media.id, createdAt: media.createdAt, stored: media.stored })
    .from(media)
    .where(gt(media.id, textParam('after')))
    .orderBy(asc(media.id))
    .limit(limitParam('limit'))
    .prepare()
  const waitingWithFile = orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(and(eq(messages.mediaId, textParam('mediaId')), sql`${messages.status} in ('queued', 'sending')`))
    .limit(ONE)
    .prepare()
  const noteRemoved = orm
    .update(media)
    .set({ stored: false })
    .where(eq(media.id, param('mediaId')))
    .prepare()

  /** Deletes what `forget` takes of some rows, for as long as a step may take. */
  function stepThrough<Cursor extends number | string, Row extends { at: Cursor; createdAt: number }>(
    rows: readonly Row[],
    { before, isByAge }: { before: number; isByAge: boolean },
    forget: (row: Row, files: string[]) => boolean,
  ): Step<Cursor> {
    const deadline = performance.now() + BUDGET_MS
    const step: Step<Cursor> = { next: null, removed: 0, files: [] }
    // A whole step of young ones, and not just one: clocks are set, and one row may be stamped with a time to come.
    if (isByAge && rows.every(row => row.createdAt >= before)) return step
    for (const row of rows) {
      step.next = row.at
      if (row.createdAt < before && forget(row, step.files)) step.removed++
      if (performance.now() > deadline) return step
    }
    if (rows.length < ROWS) step.next = null
    return step
  }

  return {
    messages: (after, before) =>
      committer.write(() =>
        stepThrough(nextMessages.all({ after, limit: ROWS }), { before, isByAge: true }, (row, files) => {
          if (row.updatedAt >= before || !SETTLED.includes(row.status)) return false
          deleteMessage.run({ at: row.at })
          const { mediaId } = row
          if (mediaId !== null && !messageWithFile.get({ mediaId })) {
            deleteFile.run({ mediaId })
            files.push(mediaId)
          }
          return true
        }),
      ),

    deliveries: (after, before) =>
      committer.write(() =>
        stepThrough(nextDeliveries.all({ after, limit: ROWS }), { before, isByAge: true }, row => {
          if (row.status === 'pending' || row.settledAt === null || row.settledAt >= before) return false
          deleteDelivery.run({ at: row.at })
          return true
        }),
      ),

    events: (after, before) =>
      committer.write(() =>
        stepThrough(nextEvents.all({ after, limit: ROWS }), { before, isByAge: true }, (row, files) => {
          const { at, identityId, mediaId } = row
          if (deliveryOfEvent.get({ identityId, at }) || replayOf.get({ identityId })) return false
          deleteEvent.run({ at })
          if (mediaId !== null) {
            deleteFile.run({ mediaId })
            files.push(mediaId)
          }
          return true
        }),
      ),

    files: (after, before) =>
      committer.write(() =>
        stepThrough(nextFiles.all({ after, limit: ROWS }), { before, isByAge: false }, (row, files) => {
          if (!row.stored || waitingWithFile.get({ mediaId: row.at })) return false
          noteRemoved.run({ mediaId: row.at })
          files.push(row.at)
          return true
        }),
      ),

    shrink: () =>
      committer.write(() => {
        if (freePages() <= FREE_PAGES_KEPT) return false
        connection.run(`PRAGMA incremental_vacuum(${PAGES})`)
        return isShrinkable()
      }),
  }

  function freePages(): number {
    return (
      connection.query<{ freelist_count: number }, []>('PRAGMA freelist_count').get()?.freelist_count ?? 0
    )
  }

  /** Databases of before this have no map of their pages, and keep their size until somebody runs VACUUM. */
  function isShrinkable(): boolean {
    const mode = connection.query<{ auto_vacuum: number }, []>('PRAGMA auto_vacuum').get()?.auto_vacuum
    return mode === 2
  }
}
