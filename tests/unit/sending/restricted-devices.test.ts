/** A device that may start no new chats: first messages wait for that to end, others go on. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { type Device, devices, ghostPhones, messages, outboxLanes } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge, Bridges, MatrixSession } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { createRecipientRepository } from '../../../src/modules/chats/recipient-repository.ts'
import { createOutbox } from '../../../src/modules/sending/outbox.ts'
import { releaseFirstMessages } from '../../../src/modules/sending/queue/first-messages.ts'
import { createRecipients } from '../../../src/modules/sending/recipients.ts'
import type { Messages } from '../../../src/modules/sending/sending.ts'
import { createStatusWriter } from '../../../src/modules/sending/statuses/status-repository.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import {
  type MessageStore,
  messageStore,
  messagesOn,
  noActs,
  noMedia,
  SEND_REQUEST,
} from '../../support/messages.ts'
import { insertChat, insertDevice, insertIdentity, insertMessage } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const HOUR_MS = 3_600_000
const LOCK_MS = 48 * HOUR_MS

let db: TempDb
let clock: ManualClock
let store: MessageStore
let send: Messages
let until: number
/** Texts that reached Matrix. */
let sent: string[]
/** Rooms of people at the bridge, by their numbers. */
let rooms: Record<string, string>
let asked: string[]
let stop: () => Promise<void>

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  until = clock.now() + LOCK_MS
  insertIdentity(db)
  insertDevice(db, { restrictedUntil: until })
  store = messageStore(db)
  sent = []
  rooms = {}
  asked = []
  stop = async () => undefined
  send = messagesOn(store, {
    devices: { linked: async () => [device()], find: async () => device() },
    clock,
  })
})
afterEach(async () => {
  await stop()
  await db.destroy()
})

const device = () => db.orm.query.devices.findFirst().sync() as Device
const restrict = (restrictedUntil: number | null) => {
  db.orm.update(devices).set({ restrictedUntil }).run()
  db.signals.emit('device-settled', 'dev_1')
}
const rows = () => db.orm.select().from(messages).all()
const lanes = () => db.orm.select().from(outboxLanes).all()
const accept = async (contact: string, text: string, expiresInS?: number) =>
  (await send.accept({ ...SEND_REQUEST, contact, text, expiresInS }))[0]?.id ?? ''
/** A few milliseconds later: the outbox lets a moment pass between its claims. */
async function idle() {
  for (let turn = 0; turn < 50; turn++) await settled()
  await clock.advance(5)
  for (let turn = 0; turn < 50; turn++) await settled()
}

function startOutbox() {
  const bridge: Partial<Bridge> = {
    resolveIdentifier: async (_user, _login, identifier) => {
      asked.push(identifier)
      if (identifier === '999') throw new GatewayError('not_found', 'nobody')
      const roomId = rooms[identifier] ?? null
      return { id: identifier, identifiers: [], matrixUserId: null, name: '', phone: identifier, roomId }
    },
    createDirectChat: async (_user, _login, identifier) => {
      const contact = { id: identifier, identifiers: [], matrixUserId: null, name: '', phone: null }
      return { roomId: `!new-${identifier}:s`, contact: { ...contact, roomId: null } }
    },
  }
  const chatRepository = createChatRepository(db)
  const phones = { ...store.phones, note: async () => undefined }
  const session: Partial<MatrixSession> = {
    async send(_roomId, _type, content, txnId) {
      sent.push(String(content.body))
      return `$${txnId}`
    },
  }
  const linked = async () => [device()]
  const parts = { phones, signals: db.signals, clock, logger: silentLogger }
  const chat = { ...insertChat(db, { roomId: `!${Math.random()}:s` }), takes: null }
  const recipients = createRecipients({
    repository: createRecipientRepository(db),
    chats: chatRepository,
    devices: { linked },
    bridges: { forPlatform: () => bridge as Bridge } as Partial<Bridges> as Bridges,
    phones,
    clock,
  })
  const { queue } = store
  releaseFirstMessages({ ...parts, chats: chatRepository, devices: { linked }, recipients, queue })
  const outbox = createOutbox({
    ...parts,
    queue,
    recipients,
    messages: store.repository,
    acts: noActs,
    devices: { get: async () => device(), reconcile: async () => undefined },
    chatRooms: { ensureEntered: async (_, roomId) => ({ ...chat, roomId }) },
    media: noMedia,
    sessions: { actingAs: () => session as MatrixSession },
    matrixUserOf: async () => '@mg1:s',
    paceOf: () => ({ intervalMs: 0, jitter: 0, burst: 1 }),
  })
  const controller = new AbortController()
  const running = outbox.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
}

test('a first message waits, with its reason and until when; messages to chats that there are go on', async () => {
  rooms['2'] = '!known:s'
  const first = await accept('1', 'first')
  const behind = await accept('1', 'behind')
  await accept('2', 'reply')
  startOutbox()
  await idle()
  expect(sent).toEqual(['reply'])
  const due_at = '2026-04-29T10:00:00Z'
  expect(await send.get('id_1', first)).toMatchObject({
    status: 'queued',
    reason: `restricted: the network lets the device start no new chats until ${due_at}`,
    due_at,
  })
  expect(await send.get('id_1', behind)).toMatchObject({ status: 'queued', due_at })
  expect(rows().map(({ attempts }) => attempts)).toEqual([0, 0, 1])
})

test('it goes when the time has come, however long that was, and in order', async () => {
  await accept('1', 'first')
  await accept('1', 'behind')
  startOutbox()
  await idle()
  await clock.advance(LOCK_MS - 1_000)
  await idle()
  expect(sent).toEqual([])
  await clock.advance(6_000)
  await idle()
  expect(sent).toEqual(['first', 'behind'])
  expect(rows().map(({ status, reason }) => [status, reason])).toEqual([
    ['submitted', null],
    ['submitted', null],
  ])
  // Once when it was accepted, and once at the end.
  expect(asked).toEqual(['1', '1'])
})

test('it goes when the restriction ends early, and not because the device has its connection back', async () => {
  await accept('1', 'first')
  startOutbox()
  await idle()
  restrict(until)
  await idle()
  expect([sent, asked]).toEqual([[], ['1']])
  restrict(null)
  await idle()
  expect(sent).toEqual(['first'])
})

test('a restriction that becomes longer is waited for', async () => {
  await accept('1', 'first')
  startOutbox()
  await idle()
  restrict(until + HOUR_MS)
  await clock.advance(LOCK_MS + 10_000)
  await idle()
  expect(sent).toEqual([])
  await clock.advance(HOUR_MS)
  await idle()
  expect(sent).toEqual(['first'])
})

test('it waits over a kill, can be cancelled, and expires', async () => {
  const first = await accept('1', 'first')
  const expiring = await accept('2', 'expiring', 60)
  startOutbox()
  await idle()
  await stop()
  startOutbox()
  await idle()
  expect(lanes().map(({ dueAt }) => dueAt)).toEqual([until, until])
  expect(await send.cancel('id_1', first)).toMatchObject({ status: 'cancelled' })
  await clock.advance(61_000)
  await store.endings.expire(clock.now(), 10)
  expect(await send.get('id_1', expiring)).toMatchObject({
    status: 'failed',
    reason: expect.stringMatching(/^expired: .* \(restricted: /),
  })
  await clock.advance(LOCK_MS)
  await idle()
  expect([sent, lanes()]).toEqual([[], []])
})

test('what the network sent back before it told of the restriction waits, too, unless the chat is under way', async () => {
  restrict(null)
  startOutbox()
  for (const contact of ['1', '2', '3']) await accept(contact, `to ${contact}`)
  await idle()
  for (const contact of ['1', '2', '3'])
    insertChat(db, { roomId: `!new-${contact}:s`, peer: contact === '2' ? '@whatsapp_2:s' : null })
  insertMessage(db, { id: 'msg_before', roomId: '!new-3:s', status: 'sent' })
  restrict(until)
  const refused = { status: 'queued' as const, reason: 'server returned error 463', sender: '@whatsappbot:s' }
  for (const { eventId } of rows().slice(0, 3))
    await db.write(tx => createStatusWriter().report(tx, { ...refused, eventId: eventId ?? '' }, clock.now()))
  await clock.advance(10_000)
  await idle()
  expect(rows().map(({ status, reason }) => [status, reason?.split(':')[0] ?? null])).toEqual([
    ['queued', 'restricted'],
    ['submitted', null],
    ['submitted', null],
    ['sent', null],
  ])
})

test('a message to a group that the network sent back goes on: groups are no new chats', async () => {
  restrict(null)
  insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
  startOutbox()
  await send.accept({ ...SEND_REQUEST, contact: undefined, groupUrl: '5@g.us', text: 'to all' })
  await idle()
  restrict(until)
  const refused = { status: 'queued' as const, reason: 'again', sender: '@whatsappbot:s' }
  const eventId = rows()[0]?.eventId ?? ''
  await db.write(tx => createStatusWriter().report(tx, { ...refused, eventId }, clock.now()))
  await clock.advance(10_000)
  await idle()
  expect(rows()).toMatchObject([{ status: 'submitted', resends: 1 }])
})

test('the wait counts against no time after which a message is given up', async () => {
  await accept('1', 'first')
  db.orm.update(messages).set({ failingSince: clock.now(), refusedSince: clock.now() }).run()
  startOutbox()
  await idle()
  expect(rows()).toMatchObject([{ failingSince: null, refusedSince: null }])
})

test('nobody waits for somebody who is not there', async () => {
  const id = await accept('999', 'hello')
  startOutbox()
  await idle()
  expect(await send.get('id_1', id)).toMatchObject({ status: 'failed' })
})

test('whoever has written since has a chat: what waits for them goes before an answer', async () => {
  await accept('1', 'first')
  startOutbox()
  await idle()
  rooms['1'] = '!theirs:s'
  await accept('1', 'answer')
  await idle()
  expect(sent).toEqual(['first', 'answer'])
})

test('it goes though the number of its hidden id has become known meanwhile, and for no chat of another login', async () => {
  await accept('@whatsapp_lid-5:s', 'by id')
  startOutbox()
  await idle()
  const number = { deviceRowId: 'dev_1', matrixUserId: '@whatsapp_lid-5:s', phone: '237600000', askedAt: 1 }
  db.orm.insert(ghostPhones).values(number).run()
  insertChat(db, { roomId: '!other:s', peer: '@whatsapp_lid-5:s', receiver: '49' })
  db.signals.emit('joined', 'id_1', '!other:s')
  await idle()
  expect(asked).toHaveLength(1)
  insertChat(db, { roomId: '!one:s', peer: '@whatsapp_lid-5:s' })
  db.signals.emit('joined', 'id_1', '!one:s')
  await idle()
  expect(sent).toEqual(['by id'])
})

test('it goes as soon as they have written, by number and by hidden id', async () => {
  await accept('1234567', 'by number')
  await accept('@whatsapp_lid-5:s', 'by id')
  await accept('7654321', 'to another')
  startOutbox()
  await idle()
  expect(sent).toEqual([])
  rooms['1234567'] = '!one:s'
  insertChat(db, { roomId: '!one:s', peer: '@whatsapp_1234567:s' })
  db.signals.emit('joined', 'id_1', '!one:s')
  await idle()
  expect(sent).toEqual(['by number'])
  insertChat(db, { roomId: '!two:s', peer: '@whatsapp_lid-5:s' })
  db.signals.emit('joined', 'id_1', '!two:s')
  await idle()
  expect(sent).toEqual(['by number', 'by id'])
})
