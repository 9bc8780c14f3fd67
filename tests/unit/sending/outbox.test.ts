/** The outbox on a real database: order, retries, leases, pace, and repeats after a crash. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { chats, messages, outboxDevices, outboxLanes } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { MatrixSession } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { readRoomFeatures } from '../../../src/matrix/room-features.ts'
import type { Pace } from '../../../src/modules/sending/limits.ts'
import { createOutbox } from '../../../src/modules/sending/outbox.ts'
import { createClosedRooms } from '../../../src/modules/sending/queue/closed-rooms.ts'
import type { OutboxQueue } from '../../../src/modules/sending/queue/queue-repository.ts'
import { createStatusWriter } from '../../../src/modules/sending/statuses/status-repository.ts'
import { collectedLog } from '../../support/collected-log.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import {
  inRoom,
  type MessageStore,
  messageStore,
  noActs,
  noMedia,
  stagedFile,
} from '../../support/messages.ts'
import { insertChat, insertDevice, insertIdentity, insertMessage, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let store: MessageStore
/** Texts that reached Matrix, with their transaction ids. */
let sent: { text: string; txnId: string; at: number; quotes?: string }[]
let failWith: (text: string) => Error | undefined
let pace: Pace
let stop: () => Promise<void>
let deliveries: number
/** Called when the bridge is asked about the device. */
let reconcile: () => void

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertDevice(db)
  store = messageStore(db)
  sent = []
  failWith = () => undefined
  pace = { intervalMs: 0, jitter: 0, burst: 1 }
  stop = async () => undefined
  deliveries = 0
  db.signals.on('deliveries', () => deliveries++)
  reconcile = () => undefined
})
afterEach(async () => {
  await stop()
  await db.destroy()
})

function startOutbox(...options: Parameters<typeof newOutbox>) {
  const outbox = newOutbox(...options)
  const controller = new AbortController()
  const running = outbox.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
  return outbox
}

function newOutbox(
  change: Partial<Parameters<typeof createOutbox>[0]> = {},
  sendTogether?: MatrixSession['sendTogether'],
) {
  const chat = insertChat(db, { roomId: `!${Math.random()}:s` })
  const session: Partial<MatrixSession> = {
    ...(sendTogether && { sendTogether }),
    async send(_roomId, _type, content, txnId) {
      const text = String(content.body)
      const failure = failWith(text)
      if (failure) throw failure
      const relation = content['m.relates_to'] as { 'm.in_reply_to'?: { event_id: string } } | undefined
      const quotes = relation?.['m.in_reply_to']?.event_id
      sent.push({ text, txnId, at: clock.now(), ...(quotes === undefined ? {} : { quotes }) })
      return `$${txnId}`
    },
  }
  return createOutbox({
    queue: store.queue,
    recipients: inRoom,
    messages: store.repository,
    devices: { get: async () => insertedDevice(), reconcile: async () => reconcile() },
    chatRooms: { ensureEntered: async () => ({ ...chat, takes: null }) },
    media: noMedia,
    acts: noActs,
    sessions: { actingAs: () => session as MatrixSession },
    matrixUserOf: async () => '@mg1:s',
    paceOf: () => pace,
    signals: db.signals,
    clock,
    logger: silentLogger,
    ...change,
  })
}

const insertedDevice = () => db.orm.query.devices.findFirst().sync() ?? null

let ids = 0
const accept = (lane: string, ...texts: string[]) => acceptReply(null, lane, ...texts)

async function acceptReply(replyTo: string | null, lane: string, ...texts: string[]) {
  const base = {
    identityId: 'id_1',
    deviceRowId: 'dev_1',
    recipient: lane,
    mediaId: null,
    replyTo,
    expiresAt: null,
  }
  const rows = texts.map(text => ({
    id: `msg_${++ids}`,
    ...base,
    lane,
    recipientKind: 'contact' as const,
    text,
  }))
  await store.repository.accept(rows, undefined, clock.now())
  return rows.map(row => row.id)
}
const rows = () => db.orm.select().from(messages).all()
const statuses = () => rows().map(row => row.status)
const sentTexts = () => sent.map(message => message.text)
const lanes = () => db.orm.select().from(outboxLanes).all()

async function idle() {
  for (let turn = 0; turn < 50; turn++) await settled()
}

test('what waits is sent in order, and its lane is gone afterwards', async () => {
  await accept('a', '1', '2', '3')
  startOutbox()
  await idle()
  expect(sentTexts()).toEqual(['1', '2', '3'])
  expect(rows().map(row => [row.status, row.eventId])).toEqual(
    rows().map(row => ['submitted', `$${row.id}`]) as never,
  )
  expect(lanes()).toEqual([])
})

describe('where the homeserver takes events together', () => {
  /** Texts of each call. */
  let calls: string[][]
  /** How many of a call's events are taken. */
  let most: number
  const sendTogether: MatrixSession['sendTogether'] = async (_roomId, _type, events) => {
    const taken = events.slice(0, most).map(({ content, txnId }) => ({ text: String(content.body), txnId }))
    const failure = failWith(taken[0]?.text ?? '')
    if (failure) throw failure
    calls.push(taken.map(({ text }) => text))
    for (const event of taken) sent.push({ ...event, at: clock.now() })
    const [first = '', ...others] = taken.map(({ txnId }) => `$${txnId}`)
    return [first, ...others]
  }
  beforeEach(() => {
    calls = []
    most = 100
  })

  test('texts that wait go in one call, each with its own transaction', async () => {
    await accept('a', '1', '2', '3')
    startOutbox({}, sendTogether)
    await idle()
    expect(calls).toEqual([['1', '2', '3']])
    expect(sent.map(({ txnId }) => txnId)).toEqual(rows().map(row => row.id))
    expect(rows().map(row => [row.status, row.eventId])).toEqual(
      rows().map(row => ['submitted', `$${row.id}`]) as never,
    )
    expect(lanes()).toEqual([])
  })

  test('what the homeserver didn’t take is sent behind them', async () => {
    await accept('a', '1', '2', '3', '4', '5')
    most = 2
    startOutbox({}, sendTogether)
    await idle()
    expect(calls).toEqual([
      ['1', '2'],
      ['3', '4'],
    ])
    expect(sentTexts()).toEqual(['1', '2', '3', '4', '5'])
  })

  test('one that can’t be sent yet keeps back all behind it, and is sent first later', async () => {
    await accept('a', '1', '2', '3')
    failWith = () => new GatewayError('homeserver_unavailable', 'away')
    startOutbox({}, sendTogether)
    await idle()
    expect(rows().map(row => [row.status, row.attempts])).toEqual([
      ['queued', 1],
      ['queued', 0],
      ['queued', 0],
    ])
    failWith = () => undefined
    await clock.advance(60_000)
    await idle()
    expect(calls).toEqual([['1', '2', '3']])
  })

  test('one that its chat doesn’t take isn’t among them, and fails alone', async () => {
    const chat = { ...insertChat(db), takes: { ...readRoomFeatures({}), maxTextLength: 5 } }
    await accept('a', '1', 'far too long', '3', '4')
    startOutbox({ chatRooms: { ensureEntered: async () => chat } }, sendTogether)
    await idle()
    expect(statuses()).toEqual(['submitted', 'failed', 'submitted', 'submitted'])
    expect(calls).toEqual([['3', '4']])
    expect(sentTexts()).toEqual(['1', '3', '4'])
  })

  test('what expired, answers one of them or is too much isn’t among them', async () => {
    const [question] = await accept('a', '1', '2')
    await acceptReply(question as string, 'a', 'answer', 'and more')
    await accept('a', 'x'.repeat(60_000), 'y'.repeat(60_000), 'late')
    db.orm.update(messages).set({ expiresAt: 1 }).where(eq(messages.text, 'late')).run()
    startOutbox({}, sendTogether)
    await idle()
    expect(calls.map(texts => texts.map(text => text.slice(0, 8)))).toEqual([
      ['1', '2'],
      ['and more', 'xxxxxxxx'],
    ])
    expect(sentTexts().map(text => text.slice(0, 8))).toEqual([
      '1',
      '2',
      'answer',
      'and more',
      'xxxxxxxx',
      'yyyyyyyy',
    ])
    expect(statuses().at(-1)).toBe('failed')
  })
})

describe('a chat that moves to another room', () => {
  let hasMoved: boolean
  let followed: string[]
  /** Runs as a message's chat is looked up, when the message is claimed already. */
  let meanwhile: () => Promise<unknown>
  beforeEach(() => {
    hasMoved = false
    meanwhile = async () => undefined
    followed = []
    const old = { ...insertChat(db), takes: null }
    const living = { ...insertChat(db, { roomId: '!new:s' }), takes: null }
    startOutbox({
      recipients: {
        ...inRoom,
        follow: async (_device, roomId, movedTo) => void followed.push(`${roomId} ${movedTo}`),
      },
      chatRooms: {
        ensureEntered: async () => {
          await meanwhile()
          return hasMoved ? living : old
        },
      },
    })
  })
  const move = () => {
    hasMoved = true
    db.orm.update(chats).set({ movedTo: '!new:s' }).where(eq(chats.roomId, '!r:s')).run()
  }

  test('gets what the bridge didn’t take in the old one first, once that is certain', async () => {
    await accept('a', '1', '2', '3')
    await idle()
    db.orm.update(messages).set({ status: 'sent' }).where(eq(messages.text, '1')).run()
    move()
    await accept('a', '4', '5')
    await clock.advance(1_000)
    await idle()
    expect(statuses()).toEqual(['sent', 'submitted', 'submitted', 'queued', 'queued'])
    await clock.advance(5_000)
    await idle()
    expect(sentTexts()).toEqual(['1', '2', '3', '2', '3', '4', '5'])
    expect(rows().map(({ roomId }) => roomId)).toEqual(['!r:s', ...Array(4).fill('!new:s')])
    expect(new Set(followed)).toEqual(new Set(['!r:s !new:s']))
  })

  test('gets it also when nothing more is written there, a moment after the move', async () => {
    const controller = new AbortController()
    const running = createClosedRooms({ queue: store.queue, signals: db.signals, clock }).run(
      controller.signal,
    )
    await accept('a', '1', '2')
    await clock.advance(60_000)
    await idle()
    db.orm.update(messages).set({ status: 'sent' }).where(eq(messages.text, '1')).run()
    move()
    db.signals.emit('moved')
    await clock.advance(4_000)
    await idle()
    expect(sentTexts()).toEqual(['1', '2'])
    await clock.advance(10_000)
    await idle()
    expect(sentTexts()).toEqual(['1', '2', '2'])
    controller.abort()
    await running
  })

  test('lets go first what the worker of closed rooms sends back once the next is claimed', async () => {
    await accept('a', '1', '2')
    await idle()
    db.orm.update(messages).set({ status: 'sent' }).where(eq(messages.text, '1')).run()
    move()
    await clock.advance(60_000)
    meanwhile = () => store.queue.settleClosedRoom('id_1', '!r:s', clock.now())
    await accept('a', '3', '4')
    await idle()
    await clock.advance(10_000)
    await idle()
    expect(sentTexts()).toEqual(['1', '2', '2', '3', '4'])
  })

  test('waits for the end of what went into the old one just now', async () => {
    failWith = text => {
      if (text === '1') move()
      return undefined
    }
    await accept('a', '1', '2')
    await idle()
    expect(sentTexts()).toEqual(['1'])
    await clock.advance(10_000)
    await idle()
    expect(sentTexts()).toEqual(['1', '1', '2'])
  })

  test('goes on at once when the bridge took everything', async () => {
    await accept('a', '1')
    await idle()
    db.orm.update(messages).set({ status: 'delivered' }).run()
    move()
    await accept('a', '2')
    await clock.advance(1_000)
    await idle()
    expect(sentTexts()).toEqual(['1', '2'])
  })

  test('doesn’t send again what is reported while it waits', async () => {
    await accept('a', '1')
    await idle()
    move()
    await accept('a', '2')
    await idle()
    db.orm.update(messages).set({ status: 'sent' }).where(eq(messages.text, '1')).run()
    await clock.advance(5_000)
    await idle()
    expect(sentTexts()).toEqual(['1', '2'])
  })
})

describe('a reply to what was queued', () => {
  const quoted = () => sent.map(({ text, quotes }) => [text, quotes])

  test('is told why it can’t quote what was said in a room that its bridge has closed', async () => {
    const chat = { ...insertChat(db, { roomId: '!new:s' }), takes: null }
    insertChat(db, { movedTo: '!new:s' })
    insertMessage(db, { roomId: '!r:s', eventId: '$old' })
    insertMessage(db, { id: 'msg_new', roomId: '!new:s', eventId: '$new' })
    await acceptReply('$old', 'a', 'too late')
    await acceptReply('$new', 'a', 'in time')
    startOutbox({ chatRooms: { ensureEntered: async () => chat } })
    await idle()
    expect(quoted()).toEqual([['in time', '$new']])
    expect(rows().at(2)).toMatchObject({ status: 'failed', reason: expect.stringContaining('reply_id') })
    expect(rows().at(3)).toMatchObject({ status: 'submitted', roomId: '!new:s' })
  })

  test('quotes its event, also when both are sent together', async () => {
    const [question] = await accept('a', 'question')
    await acceptReply(question as string, 'a', 'answer')
    startOutbox()
    await idle()
    expect(quoted()).toEqual([
      ['question', undefined],
      ['answer', `$${question}`],
    ])
  })

  test('waits for it in another chat, without failing however long that takes', async () => {
    const [question] = await accept('a', 'question')
    await acceptReply(question as string, 'b', 'answer', 'and more')
    failWith = text => (text === 'question' ? new GatewayError('homeserver_unavailable', 'away') : undefined)
    startOutbox()
    for (let hour = 0; hour < 2; hour++) await clock.advance(3_600_000)
    expect(sentTexts()).toEqual([])
    expect(rows()[1]).toMatchObject({ status: 'queued', reason: null, failingSince: null })
    failWith = () => undefined
    await clock.advance(200_000)
    await idle()
    expect(quoted().sort()).toEqual([
      ['and more', `$${question}`],
      ['answer', `$${question}`],
      ['question', undefined],
    ])
  })

  test('takes nothing of its device’s pace while it waits, and none of its tries', async () => {
    pace = { intervalMs: 8_000, jitter: 0, burst: 1 }
    const [question] = await accept('dev_1/a', 'question')
    await acceptReply(question as string, 'dev_1/b', 'answer')
    await accept('dev_1/c', '1', '2', '3')
    failWith = text => (text === 'question' ? new GatewayError('homeserver_unavailable', 'away') : undefined)
    let answerFails = 1
    startOutbox({
      recipients: {
        ...inRoom,
        async resolve(_device, _user, _kind, recipient) {
          if (recipient !== 'dev_1/b' || answerFails-- === 0) return '!r:s'
          throw new GatewayError('bridge_unavailable', 'away')
        },
      },
    })
    await clock.advance(100_000)
    expect(sentTexts()).toEqual(['1', '2', '3'])
    const answer = () => rows()[1]
    expect(answer()).toMatchObject({ status: 'queued', attempts: 0 })
    failWith = () => undefined
    await clock.advance(120_000)
    await idle()
    expect(quoted().slice(3)).toEqual([
      ['question', undefined],
      ['answer', `$${question}`],
    ])
    expect(answer()).toMatchObject({ status: 'submitted', attempts: 2 })
  })

  test('that was claimed with others gives its try back', async () => {
    const [question] = await accept('a', 'question')
    await accept('b', 'first')
    await acceptReply(question as string, 'b', 'answer', 'and more')
    failWith = text => (text === 'question' ? new GatewayError('homeserver_unavailable', 'away') : undefined)
    startOutbox()
    await clock.advance(20_000)
    expect(sentTexts()).toEqual(['first'])
    expect(rows().map(({ attempts }) => attempts)).toEqual([expect.any(Number), 1, 0, 0])
  })

  test('fails when that was never sent', async () => {
    const [question] = await accept('a', 'question')
    await acceptReply(question as string, 'a', 'answer')
    failWith = text => (text === 'question' ? new GatewayError('not_found', 'nobody') : undefined)
    startOutbox()
    await idle()
    await clock.advance(5_000)
    expect(rows()[1]).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining(`${question} can't be answered`),
    })
  })
})

test('while nothing can be stored the outbox waits; then it goes on by itself, at once and without sending twice', async () => {
  let isFull = false
  const guarded =
    <A extends unknown[], T>(write: (...args: A) => Promise<T>) =>
    (...args: A): Promise<T> =>
      isFull ? Promise.reject(new GatewayError('storage_full', 'no space')) : write(...args)
  const filling = {
    ...store.queue,
    settle: guarded(store.queue.settle),
    release: guarded(store.queue.release),
  }
  await accept('a', '1', '2')
  failWith = () => {
    isFull = true
    return undefined
  }
  startOutbox({ queue: filling })
  await idle()
  expect(statuses()).toEqual(['sending', 'sending'])
  await clock.advance(60_000)
  failWith = () => undefined
  isFull = false
  await clock.advance(3_000)
  await idle()
  expect(statuses()).toEqual(['submitted', 'submitted'])
  // The homeserver answers the same transaction with the same event.
  expect(new Set(sent.map(({ txnId }) => txnId)).size).toBe(2)
  expect(lanes()).toEqual([])
})

test('an outbox whose worker fails ends only with its lanes: what is under way is never taken for abandoned', async () => {
  let release = () => {}
  const sending = new Promise<void>(resolve => {
    release = resolve
  })
  let claims = 0
  const failing: OutboxQueue = {
    ...store.queue,
    claim: request =>
      claims++ === 0
        ? store.queue.claim(request)
        : Promise.reject(new GatewayError('storage_full', 'no space')),
  }
  await accept('a', '1')
  const chat = insertChat(db, { roomId: '!slow:s' })
  const outbox = newOutbox({
    queue: failing,
    chatRooms: { ensureEntered: () => sending.then(() => ({ ...chat, takes: null })) },
  })
  let ended = false
  const run = outbox.run(new AbortController().signal).catch(error => {
    ended = true
    return error
  })
  await idle()
  await clock.advance(10)
  await idle()
  expect({ claims, ended }).toEqual({ claims: 2, ended: false })
  release()
  expect(await run).toMatchObject({ code: 'storage_full' })
  expect(statuses()).toEqual(['submitted'])
})

test('a lane has one worker, however long its bridge takes, and what it was given can’t be cancelled meanwhile', async () => {
  const lookUp = Promise.withResolvers<void>()
  let lookUps = 0
  await accept('a', '1', '2')
  const [, last] = await accept('a', '3', '4')
  startOutbox({
    recipients: {
      ...inRoom,
      resolve: async () => {
        lookUps++
        await lookUp.promise
        return '!r:s'
      },
    },
  })
  await idle()
  for (let hour = 0; hour < 48; hour++) {
    await clock.advance(3_600_000)
    db.signals.emit('accepted')
    await idle()
  }
  expect(lookUps).toBe(1)
  expect(await store.endings.cancel('id_1', last ?? '', clock.now())).toMatchObject({ cancelled: false })
  lookUp.resolve()
  await idle()
  expect(sentTexts()).toEqual(['1', '2', '3', '4'])
  expect(statuses()).toEqual(['submitted', 'submitted', 'submitted', 'submitted'])
  expect(lanes()).toEqual([])
})

test('a message is sent as soon as it is accepted', async () => {
  startOutbox()
  await idle()
  await accept('a', '1')
  await idle()
  expect(sentTexts()).toEqual(['1'])
})

describe('a failure', () => {
  test('of a rate limit waits as long as the homeserver says, not as long as we would', async () => {
    let limited = true
    failWith = () => (limited ? new GatewayError('homeserver_unavailable', 'too fast', 37.5) : undefined)
    await accept('a', '1', '2')
    startOutbox()
    await idle()
    limited = false
    await clock.advance(37_400)
    await idle()
    expect(sentTexts()).toEqual([])
    await clock.advance(200)
    await idle()
    expect(sentTexts()).toEqual(['1', '2'])
  })

  test('of a text that its chat turns out to have no room for is final at its first try, with the limit', async () => {
    await accept('a', 'too long', 'fits')
    const chat = { ...insertChat(db), takes: { ...readRoomFeatures({}), maxTextLength: 5 } }
    startOutbox({ chatRooms: { ensureEntered: async () => chat } })
    await idle()
    expect(sentTexts()).toEqual(['fits'])
    expect(rows()[0]).toMatchObject({
      status: 'failed',
      attempts: 1,
      reason: 'unsupported_by_chat: WhatsApp takes texts of at most 5 characters here, not 8',
    })
  })

  test('of a file that its chat turns out not to take comes before it is uploaded', async () => {
    const file = stagedFile({ sizeBytes: 11 })
    const takes = readRoomFeatures({ file: { 'm.file': { mime_types: { '*/*': 2 }, max_size: 10 } } })
    const row = { id: 'msg_file', lane: 'a', recipient: 'a', text: null, mediaId: file.id, replyTo: null }
    const owner = { identityId: 'id_1', deviceRowId: 'dev_1', recipientKind: 'contact' as const }
    await store.repository.accept([{ ...row, ...owner, expiresAt: null }], [file], clock.now())
    const chat = { ...insertChat(db), takes }
    let uploads = 0
    startOutbox({
      chatRooms: { ensureEntered: async () => chat },
      media: {
        get: async () => ({ ...file, sourceUrl: null, createdAt: 0, updatedAt: 0 }),
        upload: async () => Promise.reject(new Error(`upload ${++uploads}`)),
      },
    })
    await idle()
    expect([rows()[0]?.reason, uploads]).toEqual([
      'unsupported_by_chat: WhatsApp takes files of at most 10 bytes here',
      0,
    ])
  })

  test('that passes keeps the chat in order and waits, while other chats go on', async () => {
    failWith = text => (text === '1' ? new GatewayError('bridge_unavailable', 'down') : undefined)
    await accept('a', '1', '2')
    await accept('b', '3')
    startOutbox()
    await idle()
    expect(sentTexts()).toEqual(['3'])
    expect(rows().map(row => [row.status, row.reason])).toEqual([
      ['queued', 'down'],
      ['queued', null],
      ['submitted', null],
    ])
    failWith = () => undefined
    await clock.advance(10_000)
    await idle()
    expect(sentTexts()).toEqual(['3', '1', '2'])
  })

  test('that is final fails that message with its reason, and the chat goes on', async () => {
    failWith = text => (text === '1' ? new GatewayError('bridge_error', 'no such person') : undefined)
    await accept('a', '1', '2')
    startOutbox()
    await idle()
    expect(rows().map(row => [row.status, row.reason])).toEqual([
      ['failed', 'no such person'],
      ['submitted', null],
    ])
  })

  test('that lasts for a day ends the waiting', async () => {
    failWith = () => new GatewayError('homeserver_unavailable', 'down')
    await accept('a', '1')
    startOutbox()
    await idle()
    expect(rows()[0]).toMatchObject({ status: 'queued', reason: 'down' })
    db.connection.run('UPDATE messages SET failing_since = failing_since - 24 * 3600 * 1000')
    await clock.advance(60_000)
    await idle()
    expect(rows()[0]).toMatchObject({ status: 'failed', reason: 'given up after a day: down' })
    expect(lanes()).toEqual([])
  })

  test('of the bridge that goes on although the device is connected is final after some minutes', async () => {
    failWith = () => new GatewayError('bridge_unavailable', 'the wa bridge failed: Internal error')
    await accept('a', '1')
    startOutbox()
    for (let minute = 0; minute < 20; minute++) {
      await clock.advance(60_000)
      await idle()
    }
    expect(rows()[0]).toMatchObject({ status: 'failed', reason: 'the wa bridge failed: Internal error' })
    expect(rows()[0]?.attempts).toBeGreaterThan(5)
  })

  describe('of a message that waited for its turn', () => {
    const WEEK_MS = 7 * 24 * 3_600_000
    let isDown: boolean

    /** One that was accepted a week ago, and is tried for the first time. */
    async function acceptLongAgo() {
      await accept('a', '1')
      db.connection.run(`UPDATE messages SET created_at = created_at - ${WEEK_MS}`)
    }
    function refuseWith(code: 'bridge_unavailable' | 'homeserver_unavailable') {
      isDown = true
      failWith = () => (isDown ? new GatewayError(code, 'restarting') : undefined)
    }

    test.each(['bridge_unavailable', 'homeserver_unavailable'] as const)(
      'is like the one of a fresh message: %s',
      async code => {
        refuseWith(code)
        await acceptLongAgo()
        startOutbox()
        await idle()
        expect(rows()[0]).toMatchObject({ status: 'queued', reason: 'restarting' })
        isDown = false
        await clock.advance(1_000)
        await idle()
        expect(sentTexts()).toEqual(['1'])
      },
    )

    test('is measured from the first refusal with the device connected, over a restart, too', async () => {
      refuseWith('bridge_unavailable')
      await acceptLongAgo()
      db.connection.run("UPDATE devices SET state = 'disconnected'")
      startOutbox()
      await clock.advance(3_600_000)
      await idle()
      db.connection.run(`UPDATE devices SET state = 'connected', state_since = ${clock.now() - 1_200_000}`)
      for (let minute = 0; minute < 9; minute++) {
        await clock.advance(60_000)
        await idle()
        if (minute === 5) {
          await stop()
          startOutbox()
        }
      }
      expect(statuses()).toEqual(['queued'])
      for (let minute = 0; minute < 4; minute++) {
        await clock.advance(60_000)
        await idle()
      }
      expect(statuses()).toEqual(['failed'])
    })

    test('is no verdict after a few tries, however long they took', async () => {
      refuseWith('bridge_unavailable')
      await accept('a', '1')
      startOutbox()
      await idle()
      db.connection.run('UPDATE messages SET refused_since = refused_since - 2 * 3600 * 1000')
      await clock.advance(1_000)
      await idle()
      expect(rows()[0]).toMatchObject({ status: 'queued', attempts: 2 })
    })

    test('counts anew for what the network wants again', async () => {
      insertChat(db)
      refuseWith('bridge_unavailable')
      await accept('a', '1')
      startOutbox()
      await idle()
      isDown = false
      await clock.advance(1_000)
      await idle()
      const again = { sender: '@whatsappbot:s', status: 'queued' as const, reason: 'try later' }
      const eventId = rows()[0]?.eventId ?? ''
      expect(rows()[0]?.failingSince).not.toBeNull()
      await db.write(tx => createStatusWriter().report(tx, { ...again, eventId }, clock.now()))
      expect(rows()[0]).toMatchObject({ status: 'queued', failingSince: null, refusedSince: null })
    })
  })

  test('nobody expected is tried a few times', async () => {
    failWith = () => new TypeError('undefined is not a function')
    await accept('a', '1')
    startOutbox()
    for (let minute = 0; minute < 30; minute++) {
      await clock.advance(60_000)
      await idle()
    }
    expect(rows()[0]).toMatchObject({ status: 'failed', attempts: 5 })
  })
})

test('an encrypted chat gets nothing in clear', async () => {
  const chat = insertChat(db, { roomId: '!e:s', encrypted: true })
  await accept('a', '1')
  startOutbox({ chatRooms: { ensureEntered: async () => ({ ...chat, takes: null }) } })
  await idle()
  expect(sent).toEqual([])
  expect(rows()[0]).toMatchObject({ status: 'failed', reason: expect.stringContaining('room_encrypted') })
})

test('a device that was deleted sends nothing', async () => {
  db.connection.run("UPDATE devices SET state = 'logged_out', removed_at = 1")
  await accept('a', '1')
  startOutbox()
  await idle()
  expect(rows()[0]).toMatchObject({ status: 'failed', reason: 'the device was deleted' })
})

describe('while the device is logged out', () => {
  beforeEach(async () => {
    db.connection.run("UPDATE devices SET state = 'logged_out', state_reason = 'at the phone'")
    await accept('a', '1', '2')
  })

  test('its messages wait, and go in order as soon as it is linked again', async () => {
    startOutbox()
    await clock.advance(3 * 3_600_000)
    await idle()
    expect(rows()[0]).toMatchObject({
      status: 'queued',
      reason: 'the device is logged out, the message waits for it to be linked again: at the phone',
    })
    db.connection.run("UPDATE devices SET state = 'connected'")
    db.signals.emit('device-settled', 'dev_1')
    await idle()
    expect(sentTexts()).toEqual(['1', '2'])
    expect(rows().map(row => [row.status, row.reason])).toEqual([
      ['submitted', null],
      ['submitted', null],
    ])
  })

  test('they are given up after a day, those that it held up with the one that was tried', async () => {
    startOutbox()
    await idle()
    db.connection.run(
      'UPDATE messages SET failing_since = failing_since - 24 * 3600 * 1000, created_at = created_at - 24 * 3600 * 1000',
    )
    await clock.advance(60_000)
    await idle()
    expect(statuses()).toEqual(['failed', 'failed'])
    expect(rows()[0]?.reason).toStartWith('given up after a day: the device is logged out')
  })

  test('they fail as soon as it is deleted', async () => {
    startOutbox()
    await idle()
    db.connection.run('UPDATE devices SET removed_at = 1')
    db.signals.emit('device-settled', 'dev_1')
    await clock.advance(10)
    await idle()
    expect(statuses()).toEqual(['failed', 'failed'])
  })
})

test('a message that fails is told to the webhooks that ask', async () => {
  insertWebhook(db, { events: ['message.status'] })
  failWith = () => new GatewayError('bridge_error', 'no such person')
  const [id] = await accept('a', '1')
  startOutbox()
  await idle()
  expect(db.orm.query.events.findMany().sync()).toMatchObject([
    { name: 'message.status', payload: { id, status: 'failed', reason: 'no such person' } },
  ])
  expect(db.orm.query.deliveries.findMany().sync()).toMatchObject([{ lane: 'id_1/1/status/a' }])
  expect(deliveries).toBe(1)
})

test('waking a device leaves its pace, what is under way and the lanes of other devices as they are', async () => {
  insertDevice(db, { id: 'dev_2', loginId: '238', deviceId: '238' })
  const later = clock.now() + 60_000
  const lane = { dueAt: later, leaseId: null, deviceRowId: 'dev_1' }
  db.orm
    .insert(outboxLanes)
    .values([
      { ...lane, lane: 'waits' },
      { ...lane, lane: 'under way', leaseId: 'lease' },
      { ...lane, lane: 'of another', deviceRowId: 'dev_2' },
    ])
    .run()
  const nextSendAt = clock.now() + 8_000
  db.orm.update(outboxDevices).set({ nextSendAt }).run()
  await store.queue.wake('dev_1', clock.now())
  expect(lanes().filter(({ dueAt }) => dueAt === clock.now())).toMatchObject([{ lane: 'waits' }])
  expect(db.orm.select().from(outboxDevices).all()).toEqual([
    { deviceRowId: 'dev_1', dueAt: nextSendAt, nextSendAt },
    { deviceRowId: 'dev_2', dueAt: later, nextSendAt },
  ])
})

test('while the device is disconnected its messages wait, for as long as it takes, and go when it is back', async () => {
  db.connection.run("UPDATE devices SET state = 'disconnected', state_reason = 'no network'")
  await accept('a', '1')
  startOutbox()
  for (let hour = 0; hour < 3; hour++) {
    await clock.advance(3_600_000)
    await idle()
  }
  expect(rows()[0]).toMatchObject({ status: 'queued', reason: 'the device is disconnected: no network' })
  reconcile = () => db.connection.run("UPDATE devices SET state = 'connected'")
  await clock.advance(90_000)
  await idle()
  expect(sentTexts()).toEqual(['1'])
})

test('a message that is sent again has a transaction id of its own', async () => {
  insertChat(db)
  const [id] = await accept('a', '1')
  startOutbox()
  await idle()
  const { report } = createStatusWriter()
  for (let resend = 0; resend < 9; resend++) {
    const eventId = rows()[0]?.eventId ?? ''
    const retriable = { eventId, sender: '@whatsappbot:s', status: 'queued' as const, reason: 'try later' }
    await db.write(tx => report(tx, retriable, clock.now()))
    await clock.advance(400_000)
    await idle()
  }
  expect(sent.map(message => message.txnId)).toEqual([
    id,
    ...Array.from({ length: 8 }, (_, n) => `${id}.${n + 1}`),
  ] as never)
  expect(rows()[0]).toMatchObject({ status: 'failed', reason: 'try later' })
})

test('a message that is sent again waits, whatever else its lane does, and holds up what is behind it', async () => {
  const chat = insertChat(db)
  const { report } = createStatusWriter()
  const refuse = async () => {
    const eventId = rows()[0]?.eventId ?? ''
    const refused = { eventId, sender: '@whatsappbot:s', status: 'queued' as const, reason: 'try later' }
    if (eventId !== '') await db.write(tx => report(tx, refused, clock.now()))
  }
  let meanwhile: () => Promise<void> = async () => undefined
  const chatRooms = {
    async ensureEntered() {
      await meanwhile()
      return { ...chat, takes: null }
    },
  }
  await accept('a', '1')
  startOutbox({ chatRooms })
  await idle()
  // While the next one is sent: its lane is there.
  meanwhile = refuse
  await accept('a', '2')
  await clock.advance(10)
  await idle()
  await accept('a', '3')
  await clock.advance(10)
  await idle()
  meanwhile = async () => undefined
  expect(sentTexts()).toEqual(['1', '2'])
  expect(statuses()).toEqual(['queued', 'submitted', 'queued'])
  await clock.advance(5_000)
  await idle()
  expect(sentTexts()).toEqual(['1', '2', '1', '3'])
})

test('a send whose settlement was lost is repeated with the same transaction id at the next start', async () => {
  const [id] = await accept('a', '1', '2')
  startOutbox({
    queue: {
      ...store.queue,
      settle: () => Promise.reject(new Error('killed')),
      release: () => Promise.reject(new Error('killed')),
    },
  })
  await idle()
  await stop()
  expect(statuses()).toEqual(['sending', 'sending'])
  startOutbox()
  await idle()
  expect(statuses()).toEqual(['submitted', 'submitted'])
  expect(sent.filter(message => message.text === '1').map(message => message.txnId)).toEqual([
    id,
    id,
  ] as never)
})

test('what goes wrong unexpectedly is logged without naming the recipient', async () => {
  const log = collectedLog()
  failWith = () => new Error('no session for alice@example.com or +237 123 456 789')
  await accept('dev_1/contact:alice@example.com', '1')
  startOutbox({
    logger: log.logger,
    queue: { ...store.queue, settle: () => Promise.reject(new Error('the disk is gone')) },
  })
  await idle()
  expect(log.text()).toContain('sending failed unexpectedly')
  expect(log.text()).toContain('"device":"dev_1"')
  expect(log.text()).toContain('a lane could not be settled')
  expect(log.text()).not.toMatch(/alice|456/)
})

test('a paced device sends its burst at once and then one message an interval, over all its chats', async () => {
  pace = { intervalMs: 1_000, jitter: 0, burst: 2 }
  const start = clock.now()
  await accept('a', 'a1', 'a2')
  await accept('b', 'b1')
  await accept('c', 'c1')
  startOutbox()
  await idle()
  expect(sent).toHaveLength(2)
  for (let step = 0; step < 8; step++) {
    await clock.advance(250)
    await idle()
  }
  expect(sent.map(message => message.at - start)).toEqual([0, 0, 1_000, 2_000])
  expect(sentTexts().toSorted()).toEqual(['a1', 'a2', 'b1', 'c1'])
  expect(sentTexts().indexOf('a1')).toBeLessThan(sentTexts().indexOf('a2'))
})

test('when it stops, what was claimed and not tried waits for the next start', async () => {
  const gate = Promise.withResolvers<void>()
  await accept('a', '1', '2')
  startOutbox({
    recipients: {
      ...inRoom,
      resolve: async () => {
        await gate.promise
        return '!r:s'
      },
    },
  })
  await idle()
  const stopped = stop()
  gate.resolve()
  await stopped
  expect(statuses()).toEqual(['submitted', 'queued'])
  expect(lanes()).toMatchObject([{ lane: 'a', leaseId: null }])
})
