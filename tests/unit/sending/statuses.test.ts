/**
 * Statuses of our own messages: reports of the bridge and receipts, in their order, up to the
 * webhooks that ask.
 */
import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import {
  chats,
  type Device,
  deliveries,
  events,
  type Message,
  messages,
  outboxLanes,
  unmatchedStatuses,
} from '../../../src/db/schema/index.ts'
import type { StatusEvent } from '../../../src/domain/events.ts'
import type { RoomEvent } from '../../../src/domain/ports.ts'
import type { MessageStatus } from '../../../src/domain/states.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { ReadReceipt, RoomEventSink } from '../../../src/matrix/room-event.ts'
import { translated } from '../../../src/matrix/translate/facts.ts'
import { createReceiving } from '../../../src/modules/receiving/receiving.ts'
import { createReceivingRepository } from '../../../src/modules/receiving/receiving-repository.ts'
import { createStatusTimeout } from '../../../src/modules/upkeep/message-endings.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { type MessageStore, messageStore, messagesOn } from '../../support/messages.ts'
import { insertChat, insertDevice, insertIdentity, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { moduleOn } from '../../support/test-module.ts'

const BOT = '@whatsappbot:s'
const FRIEND = '@whatsapp_1:s'
const OWN_HIDDEN = '@whatsapp_lid-9:s'
const SELF = { id: 'lid-9', name: 'Amina', phone: '237', identifiers: [], roomId: null }

let db: TempDb
let ownDevice: Device
let clock: ManualClock
let source: RoomEventSink
let store: MessageStore
let nudges: number
let count = 0

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  ownDevice = insertDevice(db)
  insertChat(db)
  nudges = 0
  db.signals.on('deliveries', () => nudges++)
  store = messageStore(db)
  const receiving = createReceiving({
    repository: createReceivingRepository(db),
    knowledgeOf: moduleOn(db).knowledgeOf,
    phones: moduleOn(db).phones,
    sessions: moduleOn(db).sessions,
    learnDevices: async () => undefined,
    clock,
    logger: silentLogger,
  })
  source = translated(receiving, silentLogger)
})
afterEach(() => db.destroy())

function report(
  eventId: string,
  status: string,
  more: Record<string, unknown> = {},
  sender = BOT,
): RoomEvent {
  return {
    event_id: `$${++count}`,
    room_id: '!r:s',
    sender,
    type: 'com.beeper.message_send_status',
    origin_server_ts: 1,
    content: { 'm.relates_to': { rel_type: 'm.reference', event_id: eventId }, status, ...more },
  }
}
const delivered = (eventId: string) => report(eventId, 'SUCCESS', { delivered_to_users: [FRIEND] })
const readBy = (eventId: string, userId = FRIEND, roomId = '!r:s'): ReadReceipt => ({
  roomId,
  eventId,
  userId,
})

const take = (events: RoomEvent[], receipts: ReadReceipt[] = []) =>
  source.accept({ position: { kind: 'transaction', txnId: `t${++count}` }, events, receipts })

/** Accepts a message and hands it over. @returns what notes that it was handed over */
async function sendLater(eventId: string, roomId = '!r:s', bridgeBot: string | null = BOT) {
  const base = {
    identityId: 'id_1',
    deviceRowId: 'dev_1',
    lane: 'l',
    recipient: '1',
    mediaId: null,
    replyTo: null,
    expiresAt: null,
  }
  const message = { id: `msg_${eventId}`, ...base, recipientKind: 'contact' as const, text: 'x' }
  await store.repository.accept([message], undefined, clock.now())
  // As the outbox has it meanwhile.
  db.orm.update(messages).set({ status: 'sending' }).where(eq(messages.id, message.id)).run()
  const settlement = { outcome: 'submitted', eventId, roomId, bridgeBot } as const
  return () => store.queue.settle(rowOf(`msg_${eventId}`), settlement, clock.now())
}
const send = async (eventId: string) => (await sendLater(eventId))()

const rowOf = (id: string) =>
  db.orm
    .select()
    .from(messages)
    .all()
    .find(row => row.id === id) as Message
const statuses = () =>
  db.orm
    .select()
    .from(messages)
    .all()
    .map(row => row.status)
const row = () => rowOf('msg_$m')
const told = () =>
  db.orm
    .select()
    .from(events)
    .all()
    .map(({ payload }) => payload as StatusEvent)

test('what the homeserver took is still being sent, as clients see it, until the bridge says something', async () => {
  await send('$m')
  expect(row().status).toBe('submitted')
  const api = messagesOn(store, { clock })
  expect(await api.get('id_1', 'msg_$m')).toMatchObject({ status: 'sending', reason: null, event_id: '$m' })
  expect(await api.list('id_1', 1)).toMatchObject([{ status: 'sending' }])
  await take([report('$m', 'SUCCESS')])
  expect(await api.get('id_1', 'msg_$m')).toMatchObject({ status: 'sent' })
})

describe('a status that the bridge reports', () => {
  test.each<[MessageStatus, string, RoomEvent[], ReadReceipt[]]>([
    ['sent', 'success', [report('$m', 'SUCCESS')], []],
    ['sent', 'success, delivered to nobody yet', [report('$m', 'SUCCESS', { delivered_to_users: [] })], []],
    ['delivered', 'delivered', [delivered('$m')], []],
    ['failed', 'a permanent failure', [report('$m', 'FAIL_PERMANENT', { message: 'no' })], []],
    ['submitted', 'pending', [report('$m', 'PENDING', { reason: 'com.beeper.undecryptable_event' })], []],
    [
      'submitted',
      'what makes no sense',
      [report('$m', 'WELL'), report('$m', 'SUCCESS', { 'm.relates_to': 1 })],
      [],
    ],
    ['submitted', 'about another event', [report('$other', 'FAIL_PERMANENT')], []],
    ['read', 'read by the friend', [], [readBy('$m')]],
    ['submitted', 'read by ourselves', [], [readBy('$m', '@mg1:s')]],
    ['submitted', 'read on our own phone', [], [readBy('$m', '@whatsapp_237:s')]],
    ['submitted', 'read on our own phone, under its hidden id', [], [readBy('$m', OWN_HIDDEN)]],
    ['submitted', 'read in another room', [], [readBy('$m', FRIEND, '!other:s')]],
    ['sent', 'the receipt by which a bridge says that it has it', [], [readBy('$m', BOT)]],
    ['read', 'everything at once', [report('$m', 'SUCCESS'), delivered('$m')], [readBy('$m')]],
  ])('%s: %s', async (status, _, events, receipts) => {
    await moduleOn(db).phones.note(ownDevice, { ...SELF, matrixUserId: OWN_HIDDEN })
    await send('$m')
    await take(events, receipts)
    expect(row().status).toBe(status)
  })

  test.each([
    ['a friend in the room', FRIEND],
    ['somebody else', '@mallory:s'],
    ['another bridge', '@signalbot:s'],
    ['ourselves', '@mg1:s'],
  ])('is not believed of %s', async (_, sender) => {
    const settle = await sendLater('$early')
    await take([report('$early', 'FAIL_PERMANENT', {}, sender)])
    await settle()
    await send('$m')
    await take([report('$m', 'SUCCESS', { delivered_to_users: [FRIEND] }, sender)])
    await take([report('$m', 'FAIL_RETRIABLE', {}, sender)])
    expect(statuses()).toEqual(['submitted', 'submitted'])
  })

  test('never goes down, and a failure after the arrival is none', async () => {
    await send('$m')
    await take([], [readBy('$m')])
    await take([delivered('$m'), report('$m', 'FAIL_RETRIABLE'), report('$m', 'FAIL_PERMANENT')])
    expect(row().status).toBe('read')
  })

  test('is not followed by another once it has failed', async () => {
    await send('$m')
    await take([report('$m', 'FAIL_PERMANENT', { message: 'no' }), report('$m', 'FAIL_RETRIABLE')])
    await take([report('$m', 'SUCCESS')])
    expect(row()).toMatchObject({ status: 'failed', reason: 'no' })
  })
})

describe('in a chat that has moved from a room', () => {
  beforeEach(async () => {
    await (await sendLater('$old'))()
    insertChat(db, { roomId: '!r2:s' })
    db.orm.update(chats).set({ movedTo: '!r2:s' }).where(eq(chats.roomId, '!r:s')).run()
  })

  test('what is said of its messages counts', async () => {
    await take([delivered('$old')])
    expect(statuses()).toEqual(['delivered'])
    await take([], [readBy('$old')])
    expect(statuses()).toEqual(['read'])
  })

  test('whoever reads a message in the new room has read those in the old one, not those elsewhere', async () => {
    insertChat(db, { roomId: '!r3:s' })
    await (await sendLater('$elsewhere', '!r3:s'))()
    await (await sendLater('$new', '!r2:s'))()
    await take([delivered('$old'), delivered('$elsewhere'), delivered('$new')])
    await take([], [readBy('$new', FRIEND, '!r2:s')])
    expect(statuses()).toEqual(['read', 'delivered', 'read'])
  })

  test('they are found by their rooms', async () => {
    const prepare = spyOn(db.connection, 'prepare')
    await (await sendLater('$new', '!r2:s'))()
    await take([], [readBy('$new', FRIEND, '!r2:s')])
    const text = prepare.mock.calls.map(([sql]) => sql).find(sql => sql.includes('chats where moved_to'))
    prepare.mockRestore()
    using plan = db.connection.prepare<{ detail: string }, null[]>(`EXPLAIN QUERY PLAN ${text}`)
    const steps = plan.all(...Array((text ?? '').split('?').length - 1).fill(null))
    const searches = steps.map(({ detail }) => detail).filter(detail => /SEARCH|SCAN/.test(detail))
    expect(searches.some(detail => detail.includes('INDEX messages_unread (room_id=? AND seq<?)'))).toBe(true)
    expect(searches.some(detail => detail.includes('INDEX chats_moved (moved_to=?)'))).toBe(true)
    expect(searches.filter(detail => detail.startsWith('SCAN') && !detail.includes('CONSTANT'))).toEqual([])
  })
})

test.each<[Record<string, unknown>, string]>([
  [{ message: 'You are blocked', reason: 'm.no_permission' }, 'You are blocked (m.no_permission)'],
  [{ error: 'old field', reason: 'm.event_not_handled' }, 'old field (m.event_not_handled)'],
  [{ internal_error: 'http 500', reason: 'm.event_not_handled' }, 'http 500 (m.event_not_handled)'],
  [{ reason: 'm.foreign_network_error' }, 'the network refused it (m.foreign_network_error)'],
  [{ reason: 'org.example.new' }, 'org.example.new'],
  [{ message: 'no' }, 'no'],
  [{ message: 7 }, 'the bridge gave no reason'],
])('a failure %j has the reason %p', async (content, reason) => {
  await send('$m')
  await take([report('$m', 'FAIL_PERMANENT', content)])
  expect(row()).toMatchObject({ status: 'failed', reason })
})

describe('a failure that the bridge calls retriable', () => {
  test('sends the message again as a new event, also when the report comes early', async () => {
    const settle = await sendLater('$m')
    await take([report('$m', 'FAIL_RETRIABLE', { message: 'offline' })])
    await settle()
    expect(row()).toMatchObject({ status: 'queued', reason: 'offline', resends: 1, eventId: null })
    await send('$n')
    await take([report('$n', 'FAIL_RETRIABLE')])
    expect(rowOf('msg_$n')).toMatchObject({ status: 'queued', resends: 1 })
  })

  test('is final where the bridge can never do it', async () => {
    await send('$m')
    await take([
      report('$m', 'FAIL_RETRIABLE', { message: 'too large', reason: 'com.beeper.unsupported_event' }),
    ])
    expect(row()).toMatchObject({ status: 'failed', reason: 'too large (com.beeper.unsupported_event)' })
  })

  test('is none where it may have arrived: it would arrive twice', async () => {
    await send('$m')
    const reason = 'remote echo timed out (m.event_too_old)'
    await take([
      report('$m', 'FAIL_RETRIABLE', { message: 'remote echo timed out', reason: 'm.event_too_old' }),
    ])
    expect(row()).toMatchObject({ status: 'sent', reason })
    await take([report('$m', 'SUCCESS')])
    expect(row()).toMatchObject({ status: 'sent', reason: null })
  })
})

describe('a report that overtakes our own commit', () => {
  test.each<[MessageStatus, string, RoomEvent[], ReadReceipt[]]>([
    ['sent', 'success', [report('$m', 'SUCCESS')], []],
    ['delivered', 'the last one there is', [delivered('$m'), report('$m', 'SUCCESS')], []],
    ['read', 'a receipt', [report('$m', 'SUCCESS')], [readBy('$m')]],
    ['sent', 'a receipt of the bot', [], [readBy('$m', BOT)]],
    ['failed', 'a failure', [report('$m', 'FAIL_PERMANENT')], []],
    [
      'sent',
      'a retriable failure that passed',
      [report('$m', 'FAIL_RETRIABLE'), report('$m', 'SUCCESS')],
      [],
    ],
  ])('is not lost: %s by %s', async (status, _, events, receipts) => {
    const settle = await sendLater('$m')
    await take(events, receipts)
    expect(row().status).toBe('sending')
    await settle()
    expect(row()).toMatchObject({ status, eventId: '$m', roomId: '!r:s' })
    expect(db.orm.select().from(unmatchedStatuses).all()).toEqual([])
  })
})

test('a receipt reads nothing that the bridge still holds', async () => {
  await send('$held')
  await send('$2nd')
  await take([], [readBy('$2nd')])
  expect(statuses()).toEqual(['submitted', 'read'])
  await take([report('$held', 'FAIL_PERMANENT', { message: 'no such number' })])
  expect(statuses()).toEqual(['failed', 'read'])
})

test('a receipt reads everything before it, in its room only', async () => {
  for (const eventId of ['$1st', '$2nd', '$3rd']) await send(eventId)
  await (await sendLater('$elsewhere', '!other:s'))()
  await take([report('$1st', 'SUCCESS')], [readBy('$2nd')])
  expect(statuses()).toEqual(['read', 'read', 'submitted', 'submitted'])
})

describe('a message that nobody says anything about', () => {
  const TIMEOUT_MS = 60_000
  let stop: () => Promise<void>
  beforeEach(() => {
    const worker = createStatusTimeout({
      endings: store.endings,
      timeoutMs: TIMEOUT_MS,
      clock,
    })
    const controller = new AbortController()
    const running = worker.run(controller.signal)
    stop = async () => {
      controller.abort()
      await running
    }
  })
  afterEach(() => stop())

  async function pass(ms: number) {
    await clock.advance(ms)
    await settled()
  }

  test('in a room that its bridge has closed never counts as sent, but is sent again, once', async () => {
    await send('$m')
    db.orm.update(chats).set({ movedTo: '!r2:s' }).run()
    await pass(TIMEOUT_MS + 5_000)
    expect(row()).toMatchObject({ status: 'submitted', reason: null })
    expect(await store.queue.closedRooms()).toEqual([{ identityId: 'id_1', roomId: '!r:s' }])
    const settle = () => store.queue.settleClosedRoom('id_1', '!r:s', clock.now())
    expect([await settle(), await settle()]).toEqual([0, null])
    expect(row()).toMatchObject({ status: 'queued', resends: 1, eventId: null })
    expect(db.orm.select().from(outboxLanes).all()).toHaveLength(1)
  })

  test('in a closed room waits for what may be said of it after a start, however old it is', async () => {
    await send('$m')
    db.orm.update(chats).set({ movedTo: '!r2:s' }).run()
    await pass(TIMEOUT_MS + 5_000)
    await store.queue.releaseAbandoned(clock.now())
    expect(await store.queue.settleClosedRoom('id_1', '!r:s', clock.now())).toBe(5_000)
    await take([report('$m', 'SUCCESS')])
    expect(row().status).toBe('sent')
    expect(await store.queue.settleClosedRoom('id_1', '!r:s', clock.now())).toBeNull()
  })

  test('counts as sent after a while, saying so, and not before', async () => {
    await send('$m')
    await pass(TIMEOUT_MS - 5_000)
    expect(row().status).toBe('submitted')
    await send('$n')
    await pass(10_000)
    expect(row()).toMatchObject({ status: 'sent', reason: 'status_timeout' })
    expect(rowOf('msg_$n').status).toBe('submitted')
  })

  test.each<[MessageStatus, RoomEvent[], ReadReceipt[]]>([
    ['sent', [report('$m', 'SUCCESS')], []],
    ['delivered', [delivered('$m')], []],
    ['read', [], [readBy('$m')]],
  ])('still advances to %s afterwards, and the reason is gone', async (status, events, receipts) => {
    await send('$m')
    await pass(TIMEOUT_MS + 5_000)
    await take(events, receipts)
    expect(row()).toMatchObject({ status, reason: null })
  })

  test('still fails, or is sent again', async () => {
    await send('$m')
    await send('$n')
    await pass(TIMEOUT_MS + 5_000)
    await take([
      report('$m', 'FAIL_PERMANENT', { message: 'no' }),
      report('$n', 'FAIL_RETRIABLE', { message: 'later' }),
    ])
    expect(row()).toMatchObject({ status: 'failed', reason: 'no' })
    expect(rowOf('msg_$n')).toMatchObject({ status: 'queued', reason: 'later', resends: 1 })
  })

  test('is found without looking at any other message', () => {
    const plan = db.connection
      .query<{ detail: string }, []>(
        "EXPLAIN QUERY PLAN select seq from messages where status = 'submitted' and updated_at <= 1 order by updated_at limit 500",
      )
      .all()
    expect(plan.map(step => step.detail)).toEqual([expect.stringContaining('INDEX messages_silent')])
  })
})

describe('message.status', () => {
  test('is told of each status to the webhooks that ask, in order, as the API shows the message', async () => {
    insertWebhook(db, { id: 1 })
    insertWebhook(db, { id: 2, url: 'http://b', events: ['message.status'] })
    insertWebhook(db, { id: 3, url: 'http://c', events: ['*'] })
    insertWebhook(db, { id: 4, url: 'http://d', events: ['*'], active: false })
    await send('$m')
    expect(told()).toEqual([])
    await clock.advance(1_000)
    await take([report('$m', 'SUCCESS')])
    await take([delivered('$m')])
    await take([], [readBy('$m')])
    await take([], [readBy('$m')])
    expect(told().map(({ status }) => status)).toEqual(['sent', 'delivered', 'read'])
    expect(told()[0]).toEqual({
      event: 'message.status',
      timestamp: '2026-04-27T10:00:01Z',
      id: 'msg_$m',
      platform: 'wa',
      device_id: '237',
      chat_id: expect.stringMatching(/^chat_/),
      to: '1',
      status: 'sent',
      reason: null,
      event_id: '$m',
      metadata: null,
      send_at: null,
      expires_at: null,
      created_at: '2026-04-27T10:00:00Z',
      updated_at: '2026-04-27T10:00:01Z',
    })
    const lanes = db.orm
      .select()
      .from(deliveries)
      .all()
      .map(({ lane }) => lane)
    expect(lanes).toEqual(Array(3).fill(['id_1/2/status/l', 'id_1/3/status/l']).flat())
    expect(nudges).toBe(3)
  })

  test('is told of reports that came early, of failures, and of a message that is sent again', async () => {
    insertWebhook(db, { events: ['message.status'] })
    const early = await sendLater('$early')
    await take([report('$early', 'SUCCESS')])
    await early()
    expect(nudges).toBe(1)
    await send('$failed')
    await take([report('$failed', 'FAIL_PERMANENT', { message: 'no' })])
    await send('$again')
    await take([report('$again', 'FAIL_RETRIABLE', { message: 'later' })])
    expect(told().map(({ id, status, reason, event_id }) => [id, status, reason, event_id])).toEqual([
      ['msg_$early', 'sent', null, '$early'],
      ['msg_$failed', 'failed', 'no', '$failed'],
      ['msg_$again', 'queued', 'later', null],
    ])
  })

  test('is told of every message that a receipt reads', async () => {
    for (const eventId of ['$1st', '$2nd']) await send(eventId)
    await take([report('$1st', 'SUCCESS')])
    insertWebhook(db, { events: ['message.status'] })
    await take([], [readBy('$2nd')])
    expect(told().map(({ id, status }) => [id, status])).toEqual([
      ['msg_$1st', 'read'],
      ['msg_$2nd', 'read'],
    ])
  })

  test('is not even stored when nobody asks', async () => {
    insertWebhook(db, { id: 1 })
    insertWebhook(db, { id: 2, url: 'http://b', events: ['device.connected'] })
    await send('$m')
    await take([delivered('$m')], [readBy('$m')])
    expect([row().status, told(), nudges]).toEqual(['read', [], 0])
  })

  test('is stored with the status or not at all', async () => {
    insertWebhook(db, { events: ['*'] })
    await send('$m')
    db.connection.run('ALTER TABLE deliveries RENAME TO gone')
    await expect(take([report('$m', 'SUCCESS')])).rejects.toThrow()
    expect(row().status).toBe('submitted')
    db.connection.run('ALTER TABLE gone RENAME TO deliveries')
    await take([report('$m', 'SUCCESS')])
    expect([row().status, told().length]).toEqual(['sent', 1])
  })
})
