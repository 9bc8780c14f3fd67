/**
 * A caption that a network would drop goes behind its file: once, in order, whatever dies in
 * between, and never lost in silence.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { isNull } from 'drizzle-orm'
import { messages } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { MatrixSession, RoomEvent } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { ReadReceipt } from '../../../src/matrix/room-event.ts'
import { readRoomFeatures } from '../../../src/matrix/room-features.ts'
import { translated } from '../../../src/matrix/translate/facts.ts'
import { createMediaRepository } from '../../../src/modules/media/repository.ts'
import { createReceiving } from '../../../src/modules/receiving/receiving.ts'
import { createReceivingRepository } from '../../../src/modules/receiving/receiving-repository.ts'
import { createOutbox } from '../../../src/modules/sending/outbox.ts'
import type { OutboxQueue } from '../../../src/modules/sending/queue/queue-repository.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { inRoom, messageStore, messagesOn, noActs, SEND_REQUEST, stagedFile } from '../../support/messages.ts'
import { insertChat, insertDevice, insertIdentity, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { moduleOn } from '../../support/test-module.ts'
import { waitFor } from '../../support/wait-for.ts'

const BOT = '@whatsappbot:s'
/** As on WhatsApp. */
const TAKES = readRoomFeatures({
  file: {
    'm.audio': { mime_types: { 'audio/mpeg': 2 }, caption: -1 },
    'm.file': { mime_types: { '*/*': 2 }, caption: 2 },
  },
})

let db: TempDb
let clock: ManualClock
let store: ReturnType<typeof messageStore>
/** Events of the homeserver, by transaction id: a repeat is the same event. */
let room: Map<string, string>
let fail: (body: string) => Error | undefined
let onSent: (body: string) => Promise<void>
let stop: () => Promise<void>
let count = 0

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertDevice(db)
  insertChat(db)
  insertWebhook(db, { events: ['message.status'] })
  store = messageStore(db)
  room = new Map()
  fail = () => undefined
  onSent = async () => undefined
  stop = async () => undefined
})
afterEach(async () => {
  await stop()
  await db.destroy()
})

const device = () => db.orm.query.devices.findFirst().sync() ?? null
const api = () =>
  messagesOn(store, { clock, devices: { linked: async () => [], find: async () => device() } })
const accept = async (text: string, file?: ReturnType<typeof stagedFile>) =>
  (await api().accept({ ...SEND_REQUEST, text, ...(file && { files: [file] }) }))[0]?.id ?? ''
const song = () => stagedFile({ fileName: 'song.mp3', mimeType: 'audio/mpeg' })
const said = () => [...room.values()]
const eventOf = (body: string) => `$${[...room].find(([, said]) => said === body)?.[0]}`
const shown = (id: string) => api().get('id_1', id)
const told = () =>
  db.orm.query.events
    .findMany()
    .sync()
    .map(({ payload }) => payload)

/** HTML of events, in the order of their sending. */
let formatted: unknown[] = []

function startOutbox(queue: OutboxQueue = store.queue) {
  const session: Partial<MatrixSession> = {
    async send(_roomId, _type, { body, formatted_body: html }, txnId) {
      if (html !== undefined) formatted.push(html)
      const failure = fail(String(body))
      if (failure) throw failure
      if (!room.has(txnId)) room.set(txnId, String(body))
      await onSent(String(body))
      return `$${txnId}`
    },
  }
  const media = createMediaRepository(db)
  const fileOf = async (id: string) => {
    const file = await media.find(id)
    if (!file) throw new Error(`no file ${id}`)
    return file
  }
  const outbox = createOutbox({
    queue,
    recipients: inRoom,
    messages: store.repository,
    acts: noActs,
    devices: { get: async () => device(), reconcile: async () => undefined },
    chatRooms: { ensureEntered: async () => ({ ...insertedChat(), takes: TAKES }) },
    media: {
      get: fileOf,
      upload: async id => ({ file: await fileOf(id), mxcUri: 'mxc://s/1' }),
    },
    sessions: { actingAs: () => session as MatrixSession },
    matrixUserOf: async () => '@mg1:s',
    paceOf: () => ({ intervalMs: 0, jitter: 0, burst: 1 }),
    signals: db.signals,
    clock,
    logger: silentLogger,
  })
  const controller = new AbortController()
  const running = outbox.run(controller.signal).catch(() => undefined)
  stop = async () => {
    controller.abort()
    await running
  }
  return outbox
}
function insertedChat() {
  const chat = db.orm.query.chats.findFirst().sync()
  if (!chat) throw new Error('there is no chat')
  return chat
}

async function idle() {
  for (let turn = 0; turn < 50; turn++) await settled()
}

async function take(events: RoomEvent[], receipts: ReadReceipt[] = []) {
  const receiving = createReceiving({
    repository: createReceivingRepository(db),
    knowledgeOf: moduleOn(db).knowledgeOf,
    phones: moduleOn(db).phones,
    sessions: moduleOn(db).sessions,
    learnDevices: async () => undefined,
    clock,
    logger: silentLogger,
  })
  const source = translated(receiving, silentLogger)
  await source.accept({ position: { kind: 'transaction', txnId: `t${++count}` }, events, receipts })
}

/** The bridge says what became of an event. */
const report = (body: string, status: string, more: Record<string, unknown> = {}) =>
  take([
    {
      event_id: `$s${++count}`,
      room_id: '!r:s',
      sender: BOT,
      type: 'com.beeper.message_send_status',
      origin_server_ts: 1,
      content: { 'm.relates_to': { event_id: eventOf(body) }, status, ...more },
    },
  ])
const read = (body: string) => take([], [{ roomId: '!r:s', eventId: eventOf(body), userId: '@whatsapp_1:s' }])

test('it follows its file at once, before what is sent later; to the client they are one message', async () => {
  const id = await accept('listen', song())
  await accept('later')
  startOutbox()
  await idle()
  expect(said()).toEqual(['song.mp3', 'listen', 'later'])
  await report('listen', 'SUCCESS')
  expect((await shown(id)).status).toBe('sending')
  await report('song.mp3', 'SUCCESS', { delivered_to_users: ['@whatsapp_1:s'] })
  expect(await shown(id)).toMatchObject({ status: 'delivered', reason: null, event_id: `$${id}` })
  expect((await api().list('id_1', 10)).map(message => message.to)).toHaveLength(2)
  expect(told()).toMatchObject([{ id }])
  await expect(shown(`${id}-caption`)).rejects.toThrow('there is no message')
})

test('a crash before it is noted repeats both as the same events', async () => {
  const id = await accept('listen', song())
  const dying = { ...store.queue, settle: () => Promise.reject(new GatewayError('storage_full', 'no space')) }
  startOutbox(dying)
  await idle()
  await stop()
  expect(said()).toEqual(['song.mp3', 'listen'])
  startOutbox()
  await idle()
  expect(said()).toEqual(['song.mp3', 'listen'])
  expect((await shown(id)).status).toBe('sending')
})

test('where only the file got through, the rest is made up for', async () => {
  await accept('listen', song())
  await accept('later')
  let failures = 1
  fail = body =>
    body === 'listen' && failures-- > 0 ? new GatewayError('homeserver_unavailable', 'down') : undefined
  startOutbox()
  await idle()
  expect(said()).toEqual(['song.mp3'])
  await clock.advance(1_000)
  await idle()
  expect(said()).toEqual(['song.mp3', 'listen', 'later'])
})

test('that the network takes it later sends it alone again', async () => {
  const id = await accept('listen', song())
  startOutbox()
  await idle()
  await report('song.mp3', 'SUCCESS')
  await report('listen', 'FAIL_RETRIABLE', { reason: 'm.foreign_network_error' })
  await clock.advance(5_000)
  db.signals.emit('accepted')
  await idle()
  expect(said()).toEqual(['song.mp3', 'listen', 'listen'])
  expect(await shown(id)).toMatchObject({ status: 'sent', reason: null })
})

test('keeps its formatting, also when it is sent again', async () => {
  formatted = []
  const request = { ...SEND_REQUEST, text: '*listen*', content: { format: 'markdown' as const } }
  await api().accept({ ...request, files: [song()] })
  startOutbox()
  await waitFor(() => said().length === 2)
  await idle()
  await report('*listen*', 'FAIL_RETRIABLE', { reason: 'm.foreign_network_error' })
  await clock.advance(5_000)
  db.signals.emit('accepted')
  await waitFor(() => said().length === 3)
  expect(formatted).toEqual(Array(2).fill('<p><em>listen</em></p>'))
})

test('sent again, it goes before what waits behind its file', async () => {
  const id = await accept('listen', song())
  fail = body => (body === 'later' ? new GatewayError('homeserver_unavailable', 'down') : undefined)
  await accept('later')
  startOutbox()
  await idle()
  await report('song.mp3', 'SUCCESS')
  await report('listen', 'FAIL_RETRIABLE', { reason: 'm.foreign_network_error' })
  fail = () => undefined
  room.delete(`${id}-caption`)
  await clock.advance(5_000)
  db.signals.emit('accepted')
  await idle()
  expect(said()).toEqual(['song.mp3', 'listen', 'later'])
})

test('claimed with what waits behind its file and not tried, all of it is queued as before', async () => {
  await accept('listen', song())
  fail = body => (body === 'later' ? new GatewayError('homeserver_unavailable', 'down') : undefined)
  await accept('later')
  startOutbox()
  await idle()
  await stop()
  await report('listen', 'FAIL_RETRIABLE', { reason: 'm.foreign_network_error' })
  await clock.advance(5_000)
  const waiting = () =>
    db.orm
      .select({ text: messages.text, status: messages.status, attempts: messages.attempts })
      .from(messages)
      .where(isNull(messages.mediaId))
      .all()
  const before = waiting()
  expect(before).toMatchObject([{ status: 'queued' }, { status: 'queued' }])
  const now = clock.now()
  const paceOf = () => ({ intervalMs: 0, jitter: 0, burst: 1 })
  const [lane] = await store.queue.claim({ leaseId: 'l', now, maxLanes: 1, maxMessagesPerLane: 9, paceOf })
  expect(lane?.messages.map(({ text }) => text)).toEqual(['listen', 'later'])
  if (lane) await store.queue.release(lane, now)
  expect(waiting()).toEqual(before)
})

test('a file that is sent again goes without it, whatever the homeserver still knows', async () => {
  const id = await accept('listen', song())
  startOutbox()
  await idle()
  await report('listen', 'FAIL_PERMANENT', { message: 'no such words' })
  room.delete(`${id}-caption`)
  await report('song.mp3', 'FAIL_RETRIABLE', { reason: 'm.foreign_network_error' })
  await clock.advance(5_000)
  db.signals.emit('accepted')
  await idle()
  expect(said()).toEqual(['song.mp3', 'song.mp3'])
  expect(await shown(id)).toMatchObject({
    status: 'sending',
    reason: expect.stringContaining('no such words'),
  })
})

test.each<[string, () => void, () => Promise<void>]>([
  [
    'the homeserver',
    () => {
      fail = body => (body === 'listen' ? new GatewayError('homeserver_error', 'no such words') : undefined)
    },
    async () => undefined,
  ],
  ['the network', () => undefined, () => report('listen', 'FAIL_PERMANENT', { message: 'no such words' })],
])(
  'that %s refuses it is the reason of its message, whose status is the file’s',
  async (_who, before, after) => {
    before()
    const id = await accept('listen', song())
    startOutbox()
    await idle()
    await after()
    const reason = expect.stringMatching(/^the caption was not sent: .*no such words/)
    expect(await shown(id)).toMatchObject({ status: 'sending', reason })
    await report('song.mp3', 'SUCCESS', { delivered_to_users: ['@whatsapp_1:s'] })
    expect(await shown(id)).toMatchObject({ status: 'delivered', reason })
    await read('song.mp3')
    expect(told()).toMatchObject([
      { id, status: 'sending', reason },
      { id, status: 'delivered', reason },
      { id, status: 'read', reason },
    ])
  },
)

test('that the network refuses it may be said before it is noted that it went', async () => {
  onSent = async body => {
    if (body === 'listen') await report('listen', 'FAIL_PERMANENT', { message: 'no such words' })
  }
  const id = await accept('listen', song())
  startOutbox()
  await idle()
  const reason = expect.stringContaining('no such words')
  expect(await shown(id)).toMatchObject({ status: 'sending', reason })
})

test('that it was read says so of its file, not of what was sent behind it', async () => {
  const id = await accept('listen', song())
  const later = await accept('later')
  startOutbox()
  await idle()
  for (const body of ['song.mp3', 'later'])
    await report(body, 'SUCCESS', { delivered_to_users: ['@whatsapp_1:s'] })
  await read('listen')
  expect((await shown(id)).status).toBe('read')
  expect((await shown(later)).status).toBe('delivered')
  const rows = db.orm.select({ status: messages.status }).from(messages).all()
  expect(rows.map(({ status }) => status)).toEqual(['read', 'delivered', 'read'])
})

test('of a file that failed, too, the file’s own reason is told', async () => {
  const id = await accept('listen', song())
  startOutbox()
  await idle()
  await report('song.mp3', 'FAIL_PERMANENT', { message: 'no such sound' })
  await report('listen', 'FAIL_PERMANENT', { message: 'no such words' })
  const reason = expect.stringContaining('no such sound')
  expect(await shown(id)).toMatchObject({ status: 'failed', reason })
})

test('one that the network takes with its file stays with it', async () => {
  await accept('look', stagedFile())
  startOutbox()
  await idle()
  expect(said()).toEqual(['look'])
  expect(db.orm.select().from(messages).all()).toHaveLength(1)
})
