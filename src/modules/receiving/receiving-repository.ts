/** SQL of receiving: rows that a batch rests on, and the one transaction that stores its plan. */
import { asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { equal, putRow, rowsBy } from '../../db/row-statements.ts'
import {
  appserviceTransactions,
  type Chat,
  chats,
  events,
  heldEvents,
  identities,
  profiles,
  unmatchedStatuses,
} from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import { isMessageEvent } from '../../domain/events.ts'
import type { Observer } from '../../domain/observation.ts'
import type { EventBatch, RoomEvent } from '../../domain/ports.ts'
import { rememberFeatures, settleMoves } from '../chats/chat-repository.ts'
import { writeEvent } from '../events/event-repository.ts'
import { chatMessage, eraseHistory } from '../history/history-repository.ts'
import type { Backlog } from '../sending/limits.ts'
import { createStatusWriter } from '../sending/statuses/status-repository.ts'
import type { Earlier } from './earlier-said.ts'
import { type HeldFact, heldEventOf, heldFactsOf } from './held-events.ts'
import { ownReadsOf, writeOwnRead } from './own-reads-repository.ts'
import { chatKey } from './plan.ts'
import type { Plan, PlannedChat } from './plan-types.ts'
import { writeSaid } from './said-repository.ts'

type Position = EventBatch['position']

const param = sql.placeholder
const transaction = rowsBy(appserviceTransactions, 'txnId')
const insertTransaction = statement(orm =>
  orm.insert(appserviceTransactions).values({ txnId: param('txnId'), receivedAt: param('now') }),
)
const oneChat = rowsBy(chats, 'identityId', 'roomId')
const putProfile = putRow(profiles, ['matrixUserId'], ['displayName'])
const storedEvent = statement(orm =>
  orm
    .select({ payload: events.payload })
    .from(events)
    .where(equal(events, 'identityId', 'eventId')),
)
const userAtSyncToken = rowsBy(identities, 'matrixUserId', 'syncToken')
const ofRoom = equal(heldEvents, 'identityId', 'roomId')
const heldOfRoom = statement(orm =>
  orm.select({ event: heldEvents.event }).from(heldEvents).where(ofRoom).orderBy(asc(heldEvents.seq)),
)
const heldSeqs = statement(orm => orm.select({ seq: heldEvents.seq }).from(heldEvents).where(ofRoom))
const releaseHeld = statement(orm => orm.delete(heldEvents).where(ofRoom))
const forgetTransactions = statement(orm =>
  orm.delete(appserviceTransactions).where(sql`${appserviceTransactions.receivedAt} < ${param('before')}`),
)
const forgetStatuses = statement(orm =>
  orm.delete(unmatchedStatuses).where(sql`${unmatchedStatuses.receivedAt} < ${param('before')}`),
)

export type ReceivingRepository = ReturnType<typeof createReceivingRepository>

export function createReceivingRepository(
  db: Pick<Db, 'read' | 'write'>,
  observer?: Pick<Observer, 'messageSettled'>,
  backlog?: Pick<Backlog, 'leave' | 'requeue'>,
) {
  const statuses = createStatusWriter(observer, backlog)

  /** Writes everything of a plan but its position. */
  async function write(tx: Tx, plan: Plan, now: number): Promise<void> {
    for (const features of plan.features) await rememberFeatures(tx, features)
    for (const chat of plan.chats.values()) await writeChat(tx, chat, now)
    for (const [matrixUserId, displayName] of plan.names)
      await tx.run(putProfile, { matrixUserId, displayName })
    for (const { identityId, said } of plan.held) {
      const row = { identityId, roomId: said.roomId, event: heldEventOf(said) }
      await tx.run(orm => orm.insert(heldEvents).values(row))
    }
    await writeSaid(tx, plan.messages, now)
    for (const event of plan.events)
      await writeEvent(tx, { ...event, lane: event.roomId, senderUserId: '', mediaId: null }, now)
    for (const event of plan.erased) await eraseHistory(tx, event, now)
    for (const status of plan.statuses) await statuses.report(tx, status, now)
    for (const receipt of plan.reads) {
      await statuses.read(tx, receipt, now)
      for (const read of await ownReadsOf(tx, receipt)) await writeOwnRead(tx, read, now)
    }
    for (const read of plan.ownReads) await writeOwnRead(tx, read, now)
  }

  return {
    /** True when the batch at this position has been stored already. */
    isRepeat: (position: Position) => db.read(reader => isStored(reader, position)),

    /** Finds what the history of any of the identities has, else its events, by the events’ ids. */
    earlier: (identityIds: readonly string[], eventIds: readonly string[]) =>
      db.read(async reader => {
        const found = new Map<string, Earlier>()
        for (const eventId of eventIds) {
          for (const identityId of identityIds) {
            const said = await reader.get(chatMessage, { identityId, eventId })
            if (said?.content) {
              found.set(eventId, { ...said.content, message: said.text, relatesTo: said.relatesTo })
              continue
            }
            const payload = (await reader.get(storedEvent, { identityId, eventId }))?.payload
            if (!payload || !isMessageEvent(payload)) continue
            const { event, message, relates_to: relatesTo, poll } = payload
            found.set(eventId, { event, message, relatesTo, ...(poll ? { poll } : {}) })
          }
        }
        return found
      }),

    /** @returns false when what the plan rests on has changed: nothing was written, plan again */
    store: (plan: Plan, now: number) =>
      db.write(async tx => {
        if (plan.position && (await isStored(tx, plan.position))) return true
        if (await isStale(tx, plan)) return false
        if (plan.position) await writePosition(tx, plan.position, now)
        await write(tx, plan, now)
        return true
      }),

    /** Facts that wait for a room's join, oldest first, and the number of rows that hold them. */
    async held(identityId: string, roomId: string): Promise<{ facts: HeldFact[]; count: number }> {
      const rows = await db.read(reader => reader.all(heldOfRoom, { identityId, roomId }))
      const facts = rows.flatMap(row => heldFactsOf(row.event as unknown as RoomEvent))
      return { facts, count: rows.length }
    },

    /**
     * Stores the end of a join and removes the held events.
     * @returns false when there are no longer `heldCount` of them: nothing was written, plan again
     */
    storeJoin: (
      plan: Plan,
      { identityId, roomId }: Pick<Chat, 'identityId' | 'roomId'>,
      heldCount: number,
      now: number,
    ) =>
      db.write(async tx => {
        const heldNow = await tx.all(heldSeqs, { identityId, roomId })
        if (heldNow.length !== heldCount) return false
        await tx.run(releaseHeld, { identityId, roomId })
        await write(tx, plan, now)
        return true
      }),

    /** Removes rows that only served to recognise repeats and can't come any more. */
    forget: (before: number) =>
      db.write(async tx => {
        await tx.run(forgetTransactions, { before })
        await tx.run(forgetStatuses, { before })
      }),
  }
}

/** True when an event of the plan would be held for a join that is complete by now. */
async function isStale(tx: Tx, { held, rejoined }: Plan): Promise<boolean> {
  for (const { identityId, said } of held) {
    const { roomId } = said
    if (rejoined.has(chatKey(identityId, roomId))) continue
    if ((await tx.get(oneChat, { identityId, roomId }))?.membership === 'joined') return true
  }
  return false
}

async function writeChat(tx: Tx, { chat, change }: PlannedChat, now: number): Promise<void> {
  await tx.run(orm =>
    orm
      .insert(chats)
      .values({ ...chat, activityAt: now, createdAt: now, updatedAt: now })
      // Nothing else: sending may have described the chat since the plan was made.
      .onConflictDoUpdate({ target: [chats.identityId, chats.roomId], set: { ...change, updatedAt: now } }),
  )
  await settleMoves(tx, chat.identityId, chat.roomId, change.movedTo)
  if (chat.membership === 'invited' || chat.membership === 'joining') tx.emit('invited')
}

async function isStored(reader: Reader, position: Position): Promise<boolean> {
  if (position.kind === 'look_back') return false
  const found = await (position.kind === 'transaction'
    ? reader.get(transaction, { txnId: position.txnId })
    : reader.get(userAtSyncToken, { matrixUserId: position.userId, syncToken: position.nextBatch }))
  return found !== undefined
}

async function writePosition(tx: Tx, position: Position, now: number): Promise<void> {
  if (position.kind === 'transaction') await tx.run(insertTransaction, { txnId: position.txnId, now })
  if (position.kind === 'sync') {
    const own = eq(identities.matrixUserId, position.userId)
    const set = { syncToken: position.nextBatch, updatedAt: now }
    await tx.run(orm => orm.update(identities).set(set).where(own))
  }
}
