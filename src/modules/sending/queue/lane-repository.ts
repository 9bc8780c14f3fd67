/**
 * SQL of lanes: how messages come into them, and what waits in them. A lane holds the messages of
 * one device to one recipient, which are sent in order.
 */
import { eq, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../../db/open.ts'
import { devices, type Message, messages, outboxDevices, outboxLanes } from '../../../db/schema/index.ts'
import { numberParam, textParam } from '../../../db/stable-params.ts'
import { sqlStatement, statement } from '../../../db/statement.ts'
import type { Reader, Tx } from '../../../db/transaction.ts'
import { backoffMs } from '../../../lib/backoff.ts'
import { lanesOfRecipients } from './recipient-lanes-repository.ts'

export type QueuedMessage = Pick<Message, 'seq' | 'lane'>

/** How far a queued message is from being sent. */
export interface Turn {
  seq: number
  /** When its lane may be tried; null while a message of the lane is being sent. */
  dueAt: number | null
  /** Messages that its device sends first, as lanes take turns; null beyond thousands of lanes. */
  before: number | null
}

/** A lane's place in the line of its device. */
interface LanePlace {
  lane: string
  dueAt: number
}

interface LanesOfLength {
  lane: string | null
  lanes: number
  messages: number
  dueAt: number | null
}

export type Resent = Pick<Message, 'seq' | 'lane' | 'deviceRowId' | 'resends'>

/** Where an estimate is too early. */
const MAX_LANES_LOOKED_AT = 5_000
/** With a device that is connected; while it isn't, its messages wait without being counted. */
const MAX_RESENDS = 8
const RETRY = { baseMs: 2_000, capMs: 300_000 }

const param = sql.placeholder

const insertLane = statement(orm =>
  orm
    .insert(outboxLanes)
    .values({
      lane: param('lane'),
      deviceRowId: param('deviceRowId'),
      dueAt: param('dueAt'),
      leaseId: null,
    })
    .onConflictDoNothing(),
)
const makeDue = statement(orm =>
  orm
    .update(outboxLanes)
    .set({ dueAt: sql`${param('now')}` })
    .where(
      sql`${outboxLanes.lane} = ${param('lane')} and ${outboxLanes.leaseId} is null and ${outboxLanes.dueAt} > ${param('now')}`,
    ),
)
const again = statement(orm =>
  orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${param('reason')}`,
      eventId: null,
      resends: sql`${messages.resends} + 1`,
      resendAt: sql`${param('resendAt')}`,
      failingSince: null,
      refusedSince: null,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq'))),
)
// Counted within the indexes messages_waiting and messages_scheduled_lanes, whose lanes begin with
// their device.
const waitingByIdentity = statement(orm =>
  orm
    .select({ identityId: devices.identityId, count: sql<number>`sum(lanes.count)` })
    .from(
      sql`(select substr(lane, 1, instr(lane, '/') - 1) as device, count(*) as count from messages
          where status in ('queued', 'sending') group by lane
        union all select substr(lane, 1, instr(lane, '/') - 1), count(*) from messages
          where status = 'scheduled' group by lane) as lanes`,
    )
    .innerJoin(devices, sql`${devices.id} = lanes.device`)
    .groupBy(devices.identityId),
)
const paceOfDevice = statement(orm =>
  orm
    .select({ nextSendAt: outboxDevices.nextSendAt })
    .from(outboxDevices)
    .where(eq(outboxDevices.deviceRowId, param('deviceRowId'))),
)
const laneNamed = statement(orm =>
  orm
    .select({ lane: outboxLanes.lane, dueAt: outboxLanes.dueAt, leaseId: outboxLanes.leaseId })
    .from(outboxLanes)
    .where(eq(outboxLanes.lane, param('lane'))),
)
const waitingBetween = statement(orm =>
  orm
    .select({ count: sql<number>`count(*)` })
    .from(messages)
    .where(
      sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending')
        and ${messages.seq} >= ${numberParam('from')} and ${messages.seq} < ${numberParam('before')}`,
    ),
)
// From one place in the device's line of lanes up to another, in the order of the index.
const lanesBetween = sqlStatement<{ count: number }>(`
  SELECT count(*) AS count FROM (
    SELECT 1 FROM outbox_lanes WHERE device_row_id = $deviceRowId
      AND due_at >= $fromDueAt AND (due_at > $fromDueAt OR lane >= $fromLane)
      AND due_at <= $dueAt AND (due_at < $dueAt OR lane < $lane)
    LIMIT ${MAX_LANES_LOOKED_AT + 1})`)
// Lanes in which one message waits together, without a name, and the others one by one. A message
// that is being sent waits no more.
const lanesByLength = sqlStatement<LanesOfLength>(`
  WITH leased AS MATERIALIZED (
      SELECT lane FROM outbox_lanes WHERE device_row_id = $deviceRowId AND due_at > $now AND lease_id IS NOT NULL),
    waiting AS (
      SELECT lane, count(*) - (lane IN (SELECT lane FROM leased)) AS count FROM messages
      WHERE lane >= $from AND lane < $to AND status IN ('queued', 'sending') GROUP BY lane
      LIMIT ${MAX_LANES_LOOKED_AT + 1}),
    long AS (
      SELECT CASE WHEN count > 1 THEN lane END AS lane, count(*) AS lanes, sum(count) AS messages
      FROM waiting GROUP BY 1)
  SELECT long.*, due_at AS dueAt FROM long LEFT JOIN outbox_lanes ON outbox_lanes.lane = long.lane`)

/**
 * Opens a lane in which a message begins to wait, and emits `accepted`. A lane that exists keeps
 * its time: it waits for a retry, or its holder will see the message.
 */
export function openLane(tx: Tx, lane: { lane: string; deviceRowId: string; dueAt: number }): Promise<void> {
  tx.emit('accepted')
  return tx.run(insertLane, lane)
}

/**
 * Puts a message that the network didn't take back into its lane, to be sent as a new event.
 * @param atOnce without the wait that a network needs which has just refused it
 * @returns false, with nothing done, when it was sent often enough
 */
export async function resend(
  tx: Tx,
  { seq, lane, deviceRowId, resends }: Resent,
  reason: string | null,
  atOnce: boolean,
  now: number,
): Promise<boolean> {
  if (resends >= MAX_RESENDS) return false
  const resendAt = atOnce ? null : now + backoffMs(resends + 1, RETRY)
  await tx.run(again, { seq, reason, resendAt, now })
  await openLane(tx, { lane, deviceRowId, dueAt: resendAt ?? now })
  return true
}

/**
 * Finds all messages of a device's lanes by their index: the lanes' names begin with the device's
 * id and a slash. Binds what `lanesOf` gives.
 * @param lane the column of the lane's name
 */
export function isLaneOfDevice(lane: SQLiteColumn): SQL {
  return sql`${lane} >= ${textParam('from')} and ${lane} < ${textParam('to')}`
}

/** The names of a device's lanes are from the first up to the second: `0` follows the slash. */
export function lanesOf(deviceRowId: string): { from: string; to: string } {
  return { from: `${deviceRowId}/`, to: `${deviceRowId}0` }
}

/** Lets a lane be tried now instead of after its wait. */
export function hurryLane(tx: Tx, lane: string, now: number): Promise<void> {
  tx.emit('accepted')
  return tx.run(makeDue, { lane, now })
}

export type WaitingMessages = ReturnType<typeof createWaitingMessages>

export function createWaitingMessages(db: Pick<Db, 'read'>) {
  return {
    /** @returns how many messages wait to be sent, by identity */
    async countByIdentity(): Promise<Map<string, number>> {
      const found = await db.read(reader => reader.all(waitingByIdentity))
      return new Map(found.map(({ identityId, count }) => [identityId, count]))
    },

    /** As `lanesOfRecipients`. */
    lanesOfPeople: (deviceRowId: string, recipients: readonly { key: string; recipient: string }[]) =>
      db.read(reader => lanesOfRecipients(reader, deviceRowId, recipients)),

    /** @returns when the device may send next, and the turns of those messages that wait */
    turns: (deviceRowId: string, queued: readonly QueuedMessage[], now: number) =>
      db.read(async reader => ({
        nextSendAt: (await reader.get(paceOfDevice, { deviceRowId }))?.nextSendAt ?? 0,
        turns: await turnsIn(reader, deviceRowId, queued, now),
      })),
  }
}

async function turnsIn(
  reader: Reader,
  deviceRowId: string,
  queued: readonly QueuedMessage[],
  now: number,
): Promise<Turn[]> {
  const turns: Turn[] = []
  const byLane = Map.groupBy(queued, message => message.lane)
  const found = await Promise.all([...byLane.keys()].map(lane => reader.get(laneNamed, { lane })))
  let from = { fromDueAt: Number.MIN_SAFE_INTEGER, fromLane: '' }
  let lanesBefore = 0
  let others: LanesOfLength[] | undefined
  // In the order of the line, so that lanes before all of them are counted once.
  for (const { leaseId, ...place } of found.filter(lane => lane !== undefined).sort(inLine)) {
    const { lane, dueAt } = place
    lanesBefore += (await reader.get(lanesBetween, { deviceRowId, ...place, ...from }))?.count ?? 0
    from = { fromDueAt: dueAt, fromLane: lane }
    let turn = leaseId === null ? 0 : -1
    let fromSeq = 0
    for (const { seq } of (byLane.get(lane) ?? []).toSorted((one, other) => one.seq - other.seq)) {
      turn += (await reader.get(waitingBetween, { lane, from: fromSeq, before: seq }))?.count ?? 0
      fromSeq = seq
      if (turn > 0) others ??= await reader.all(lanesByLength, { deviceRowId, now, ...lanesOf(deviceRowId) })
      const before = others && turn > 0 ? sentBefore(others, place, turn) : within(lanesBefore, lanesBefore)
      turns.push({ seq, dueAt: leaseId === null ? dueAt : null, before })
    }
  }
  return turns
}

/**
 * Counts messages that all lanes send before one: each as many as its own lane, and one more if it
 * comes first.
 * @param turn of the message in its lane, above 0
 */
function sentBefore(others: readonly LanesOfLength[], own: LanePlace, turn: number): number | null {
  let before = turn
  let count = 0
  for (const { lane, dueAt, lanes, messages } of others) {
    count += lanes
    if (lane === null) before += messages
    else if (lane !== own.lane) {
      const comesFirst = inLine({ lane, dueAt: dueAt ?? 0 }, own) < 0
      before += Math.min(messages, turn + (comesFirst ? 1 : 0))
    }
  }
  return within(count, before)
}

function within(lanes: number, before: number): number | null {
  return lanes > MAX_LANES_LOOKED_AT ? null : before
}

function inLine(one: LanePlace, other: LanePlace): number {
  return one.dueAt - other.dueAt || (one.lane < other.lane ? -1 : 1)
}
