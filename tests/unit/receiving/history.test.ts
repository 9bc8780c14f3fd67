/** History that a bridge brings becomes rows, and news to nobody. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { chatMessages, chats, devices, events, heldEvents } from '../../../src/db/schema/index.ts'
import type { RoomEvent } from '../../../src/domain/ports.ts'
import type { RoomEventSink } from '../../../src/matrix/room-event.ts'
import { saidIn, translated } from '../../../src/matrix/translate/facts.ts'
import { createHistoryErasure } from '../../../src/modules/history/history-erasure.ts'
import { createReceiving, type Receiving } from '../../../src/modules/receiving/receiving.ts'
import { createReceivingRepository } from '../../../src/modules/receiving/receiving-repository.ts'
import { createRetentionRepository } from '../../../src/modules/upkeep/retention-repository.ts'
import { settled } from '../../support/manual-clock.ts'
import { insertChat, insertDevice, insertMessage, insertWebhook, LINKED_AT } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'
import { waitFor } from '../../support/wait-for.ts'

let module: ReturnType<typeof testModule>
let receiving: Receiving
let source: RoomEventSink
let observed: { lagMs: number | null }[]
let count = 0

beforeEach(() => {
  module = testModule()
  const { db, clock, logger, knowledgeOf, phones, sessions } = module
  observed = []
  receiving = createReceiving({
    repository: createReceivingRepository(db),
    knowledgeOf,
    phones,
    sessions,
    learnDevices: async () => undefined,
    observer: { batchReceived: batch => void observed.push(batch) },
    clock,
    logger,
  })
  source = translated(receiving, logger)
  insertDevice(db)
  insertChat(db)
  insertWebhook(db, { events: ['*'] })
})
afterEach(() => module.db.destroy())

const HISTORICAL = { unsigned: { 'org.matrix.msc2716.historical': true } }

function event(change: Partial<RoomEvent> = {}): RoomEvent {
  return {
    event_id: `$${++count}`,
    room_id: '!r:s',
    sender: '@whatsapp_1:s',
    type: 'm.room.message',
    origin_server_ts: LINKED_AT - 60_000,
    content: { msgtype: 'm.text', body: 'long ago' },
    ...change,
  }
}
const past = (change: Partial<RoomEvent> = {}) => event({ ...HISTORICAL, ...change })
const accept = (...told: RoomEvent[]) =>
  source.accept({ position: { kind: 'transaction', txnId: `t${++count}` }, events: told, receipts: [] })
const rows = () => module.db.orm.select().from(chatMessages).all()
const told = () => module.db.orm.select().from(events).all()

test('a message of history is a row with all that it says, and no event', async () => {
  const content = {
    msgtype: 'm.image',
    body: 'look',
    filename: 'sea.jpg',
    url: 'mxc://s/sea',
    info: { mimetype: 'image/jpeg', size: 7, w: 2, h: 3 },
    'm.relates_to': { 'm.in_reply_to': { event_id: '$before' } },
  }
  const message = past({ content })
  await accept(message)
  expect(told()).toEqual([])
  expect(rows()).toMatchObject([
    {
      identityId: 'id_1',
      eventId: message.event_id,
      roomId: '!r:s',
      deviceRowId: 'dev_1',
      senderUserId: '@whatsapp_1:s',
      direction: 'in',
      kind: 'image',
      text: 'look',
      content: { type: 'm.image', media: { mxcUri: 'mxc://s/sea', file_name: 'sea.jpg', width: 2 } },
      replyTo: '$before',
      sentAt: LINKED_AT - 60_000,
      storedAt: module.clock.now(),
    },
  ])
})

test('is stored once, in whatever transaction it comes', async () => {
  const message = past()
  await accept(message)
  await accept(message, past())
  expect(rows()).toHaveLength(2)
})

describe('what its owner wrote goes out', () => {
  test.each([
    ['the identity', '@mg1:s'],
    ['the account’s ghost', '@whatsapp_237:s'],
  ])('by %s', async (_, sender) => {
    await accept(past({ sender }))
    expect(rows()).toMatchObject([{ direction: 'out', senderUserId: sender }])
  })

  test('also of a batch that is news, if it is from before the link', async () => {
    await accept(
      event({ sender: '@mg1:s' }),
      event({ sender: '@mg1:s', origin_server_ts: LINKED_AT + 60_000 }),
    )
    expect(rows()).toMatchObject([{ direction: 'out', sentAt: LINKED_AT - 60_000 }])
  })

  test('but not by way of this gateway', async () => {
    const own = event({ sender: '@mg1:s' })
    insertMessage(module.db, { eventId: own.event_id, roomId: '!r:s' })
    await accept(own)
    expect(rows()).toEqual([])
  })
})

test('a batch that is news is received from the link on; what is older is history', async () => {
  const news = event({ origin_server_ts: LINKED_AT + 60_000, content: { msgtype: 'm.text', body: 'new' } })
  await accept(event(), news)
  await accept(news)
  expect(told().map(({ eventId }) => eventId)).toEqual([news.event_id])
  expect(rows().map(({ text }) => text)).toEqual(['long ago', 'new'])
})

test('what is marked as history is none of the news, however young', async () => {
  await accept(past({ origin_server_ts: LINKED_AT + 60_000 }))
  expect(told()).toEqual([])
  expect(rows()).toHaveLength(1)
})

test('the age of history is no delay of ours', async () => {
  await accept(past())
  await accept(past(), event({ origin_server_ts: module.clock.now() - 5 }))
  expect(observed.map(({ lagMs }) => lagMs)).toEqual([null, 5])
})

describe('before the join is complete history waits', () => {
  const completed = async (said: readonly RoomEvent[]) => {
    await receiving.completeJoin({ identityId: 'id_1', roomId: '!r:s' }, [], saidIn(said))
  }

  test('and is a row afterwards, also if the room tells it again', async () => {
    module.db.orm.update(chats).set({ membership: 'joining' }).run()
    const [first, second, own] = [past(), past(), past({ sender: '@mg1:s' })]
    await accept(first, second, own)
    expect(rows()).toEqual([])
    await completed([first])
    expect(rows().map(({ eventId, direction }) => [eventId, direction])).toEqual([
      [first.event_id, 'in'],
      [second.event_id, 'in'],
      [own.event_id, 'out'],
    ])
    expect(told()).toEqual([])
    expect(module.db.orm.select().from(heldEvents).all()).toEqual([])
  })
})

describe('what relates to history', () => {
  const about = (eventId: string, rel_type: string, key?: string) => ({
    'm.relates_to': { rel_type, event_id: eventId, ...(key ? { key } : {}) },
  })
  const edited = (of: RoomEvent) => ({
    msgtype: 'm.text',
    body: '* better',
    'm.new_content': { msgtype: 'm.text', body: 'better' },
    ...about(of.event_id, 'm.replace'),
  })

  test('is kept as rows that name it; an edit changes the message', async () => {
    const message = past()
    const reaction = past({ type: 'm.reaction', content: about(message.event_id, 'm.annotation', '🎉') })
    await accept(message, past({ content: edited(message) }), reaction)
    expect(rows().map(({ kind, text, relatesTo }) => [kind, text, relatesTo])).toEqual([
      ['text', 'better', null],
      ['edit', '', message.event_id],
      ['reaction', '🎉', message.event_id],
    ])
  })

  test.each([
    ['in history', past],
    ['today', event],
  ])('a message that is deleted %s says nothing any more, and neither do its edits', async (_, when) => {
    const message = past()
    await accept(message, past({ content: edited(message) }), past())
    const redaction = when({ type: 'm.room.redaction', content: { redacts: message.event_id } })
    await accept({ ...redaction, origin_server_ts: LINKED_AT + 60_000 })
    expect(
      rows().map(({ text, content, deletedAt }) => [text, content === null, deletedAt !== null]),
    ).toEqual([
      ['', true, true],
      ['', true, false],
      ['long ago', false, false],
    ])
    expect(told().map(({ name }) => name)).toEqual(when === past ? [] : ['message.deleted'])
  })

  test('a message is not erased by a redaction in another room', async () => {
    insertChat(module.db, { roomId: '!other:s' })
    const message = past()
    await accept(message)
    const content = { redacts: message.event_id }
    await accept(past({ type: 'm.room.redaction', room_id: '!other:s', content }))
    expect(rows().map(({ text }) => text)).toEqual(['long ago'])
  })

  test('a reaction of then that is taken back today is told as one', async () => {
    const message = past()
    const reaction = past({ type: 'm.reaction', content: about(message.event_id, 'm.annotation', '🎉') })
    await accept(message, reaction)
    const content = { redacts: reaction.event_id }
    await accept(event({ type: 'm.room.redaction', origin_server_ts: LINKED_AT + 60_000, content }))
    expect(told().map(({ payload }) => payload)).toMatchObject([
      { event: 'message.reaction', removed: true, message: '🎉', relates_to: message.event_id },
    ])
    expect(rows().map(({ deletedAt }) => deletedAt !== null)).toEqual([false, true])
  })
})

test('of a deleted device nothing is stored, and what was is erased', async () => {
  const { db, clock, signals } = module
  insertDevice(db, { id: 'dev_2', identityId: 'id_1', platform: 'signal', loginId: '9', deviceId: '9' })
  insertChat(db, { roomId: '!other:s', platform: 'signal', receiver: '9', bridgeBot: '@signalbot:s' })
  await accept(
    ...Array.from({ length: 250 }, () => past()),
    past({ room_id: '!other:s', sender: '@signal_1:s' }),
  )
  const stopping = new AbortController()
  const running = createHistoryErasure({ db, signals, clock, discard: async () => undefined }).run(
    stopping.signal,
  )
  // It finds nothing yet, and waits for the signal.
  for (let turn = 0; turn < 20; turn++) await settled()
  db.orm.update(devices).set({ removedAt: clock.now() }).where(eq(devices.id, 'dev_1')).run()
  await db.write(async tx => tx.emit('queues-discarded'))
  await waitFor(() => rows().length === 1)
  expect(rows()).toMatchObject([{ deviceRowId: 'dev_2' }])
  await accept(past())
  expect(rows()).toHaveLength(1)
  stopping.abort()
  await running
})

test('retention counts from storing', async () => {
  const { db, clock } = module
  await accept(past({ origin_server_ts: 1 }))
  await clock.advance(1_000)
  await accept(past({ origin_server_ts: 1 }))
  const { history } = createRetentionRepository(db)
  expect(await history(0, clock.now() - 1_000)).toMatchObject({ removed: 0 })
  expect(await history(0, clock.now())).toMatchObject({ removed: 1 })
  expect(rows()).toHaveLength(1)
})
