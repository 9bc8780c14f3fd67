/** Receiving on a real database: what a batch of Matrix events leaves behind. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import {
  type Chat,
  chats,
  deliveries,
  deliveryLanes,
  devices,
  events,
  heldEvents,
  identities,
  roomFeatures,
} from '../../../src/db/schema/index.ts'
import { type ErrorCode, GatewayError } from '../../../src/domain/errors.ts'
import type { MessageEvent } from '../../../src/domain/events.ts'
import type { BridgeContact, MatrixSession, RoomEvent } from '../../../src/domain/ports.ts'
import type { ReadReceipt, RoomEventBatch, RoomEventSink } from '../../../src/matrix/room-event.ts'
import { saidIn, translated } from '../../../src/matrix/translate/facts.ts'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { createChatRooms } from '../../../src/modules/chats/chat-rooms.ts'
import type { KnowledgeOf } from '../../../src/modules/chats/knowledge.ts'
import { createReceiving, type Receiving } from '../../../src/modules/receiving/receiving.ts'
import { createReceivingRepository } from '../../../src/modules/receiving/receiving-repository.ts'
import { collectedLog } from '../../support/collected-log.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertChat, insertDevice, insertIdentity, insertWebhook, LINKED_AT } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { bridgesWith, moduleOn } from '../../support/test-module.ts'

let db: TempDb
let receiving: Receiving
let knowledgeOf: KnowledgeOf
/** Gives receiving the facts of Matrix events. */
let source: RoomEventSink
let log: ReturnType<typeof collectedLog>
let learned: string[]
let nudges: string[]
let learn: () => void
/** Runs while a batch is being planned. */
let meanwhile: () => Promise<unknown>
let count = 0
/** Numbers by hidden ids. */
let numbers: Record<string, string>
/** Events that the homeserver has, and ids of those it was asked for. */
let atHomeserver: RoomEvent[]
let asked: string[]
/** True when the bridges' registrations are known. */
let knowsUsers: boolean

beforeEach(() => {
  db = tempDb()
  log = collectedLog()
  insertIdentity(db)
  learned = []
  nudges = []
  db.signals.on('deliveries', () => nudges.push('deliveries'))
  db.signals.on('invited', () => nudges.push('joins'))
  knowsUsers = true
  numbers = {}
  atHomeserver = []
  asked = []
  learn = () => undefined
  meanwhile = async () => undefined
  const module = moduleOn(db, {
    bridge: { resolveIdentifier: async (_user, _login, id) => person(id) },
    bridges: {
      ownsUser: (platform, userId) => (knowsUsers ? bridgesWith({}).ownsUser(platform, userId) : null),
    },
    session: {
      event: async (_roomId, eventId) => {
        asked.push(eventId)
        const event = atHomeserver.find(({ event_id }) => event_id === eventId)
        if (!event) throw new GatewayError('not_found', 'there is no such event')
        return event
      },
    },
    logger: log.logger,
  })
  knowledgeOf = module.knowledgeOf
  receiving = createReceiving({
    repository: createReceivingRepository(db),
    knowledgeOf: async (...about) => {
      const known = await knowledgeOf(...about)
      await meanwhile()
      return known
    },
    phones: module.phones,
    sessions: module.sessions,
    learnDevices: async (identityId, platform) => {
      learned.push(`${identityId}/${platform}`)
      learn()
    },
    clock: new ManualClock(),
    logger: log.logger,
  })
  source = translated(receiving, log.logger)
})
afterEach(() => db.destroy())

/** The rooms of chats, all with this state. */
function roomsWith(state: readonly RoomEvent[]) {
  const session = { userId: '@mg1:s', join: async () => undefined, state: async () => [...state] }
  return createChatRooms({
    repository: createChatRepository(db),
    knowledgeOf,
    sessions: { actingAs: () => session as unknown as MatrixSession },
    matrixUserOf: async () => '@mg1:s',
    clock: new ManualClock(),
  })
}
async function completeJoin(chat: Chat, state: readonly RoomEvent[], events: readonly RoomEvent[]) {
  const facts = await roomsWith(state).enter(chat.identityId, chat.roomId)
  await receiving.completeJoin(chat, facts, saidIn(events))
}

function person(id: string): BridgeContact {
  const matrixUserId = `@whatsapp_${id}:s`
  return { id, matrixUserId, name: '', phone: numbers[id] ?? null, identifiers: [], roomId: null }
}
function event(change: Partial<RoomEvent> = {}): RoomEvent {
  return {
    event_id: `$${++count}`,
    room_id: '!r:s',
    sender: '@whatsapp_1:s',
    type: 'm.room.message',
    origin_server_ts: LINKED_AT + 60_000,
    content: { msgtype: 'm.text', body: 'Good morning' },
    ...change,
  }
}
function member(userId: string, membership: string, change: Partial<RoomEvent> = {}): RoomEvent {
  return event({ type: 'm.room.member', state_key: userId, content: { membership }, ...change })
}
function batch(
  events: readonly RoomEvent[],
  receipts: ReadReceipt[] = [],
  txnId = `t${++count}`,
): RoomEventBatch {
  return { position: { kind: 'transaction', txnId }, events, receipts }
}
const stored = () => db.orm.select().from(events).all()
/** Payloads of messages received. */
const payloads = () => stored().map(row => row.payload as MessageEvent)
const texts = () => payloads().map(payload => payload.message)

describe('a reaction', () => {
  const reaction = () =>
    event({
      type: 'm.reaction',
      content: { 'm.relates_to': { rel_type: 'm.annotation', event_id: '$message', key: '🎉' } },
    })
  const removal = (of: RoomEvent) => event({ type: 'm.room.redaction', content: { redacts: of.event_id } })
  const told = () =>
    payloads().map(({ event, message, relates_to, removed }) => [event, message, relates_to, removed])
  const ADDED = ['message.reaction', '🎉', '$message', false]
  const REMOVED = ['message.reaction', '🎉', '$message', true]
  beforeEach(() => {
    insertDevice(db)
    insertChat(db)
  })

  test('that was removed is told as such, with the message that it was on', async () => {
    const before = reaction()
    await source.accept(batch([before]))
    await source.accept(batch([removal(before)]))
    const together = reaction()
    await source.accept(batch([together, removal(together)]))
    expect(told()).toEqual([ADDED, REMOVED, ADDED, REMOVED])
  })

  test('that comes with nothing left of it is not told, nor that it was removed', async () => {
    const gone = event({ type: 'm.reaction', content: {}, unsigned: { redacted_because: {} } })
    await source.accept(batch([gone, removal(gone)]))
    expect(told()).toEqual([])
  })

  test('that we weren’t told of is found at the homeserver, and its removal is no deletion', async () => {
    const before = event({ type: 'm.reaction', content: {} })
    const unknown = event()
    atHomeserver.push(before)
    await source.accept(batch([removal(before), removal(unknown)]))
    expect(told()).toEqual([['message.deleted', '', unknown.event_id, undefined]])
    expect(asked).toEqual([before.event_id, unknown.event_id])
  })

  test('is looked up for a few of many deletions, and no longer than a moment', async () => {
    await source.accept(batch(Array.from({ length: 30 }, () => removal(event()))))
    expect(told()).toHaveLength(30)
    expect(asked).toHaveLength(20)
  })

  test('is not looked up in a chat that isn’t joined yet: the homeserver would refuse', async () => {
    db.orm.update(chats).set({ membership: 'invited' }).run()
    await source.accept(batch([removal(event())]))
    expect(asked).toEqual([])
  })

  test('is no message: of one that is deleted that is told', async () => {
    const message = event()
    await source.accept(batch([message, removal(message)]))
    expect(told().at(-1)).toEqual(['message.deleted', '', message.event_id, undefined])
  })
})

describe('what isn’t a message', () => {
  const RESPONSE = 'org.matrix.msc3381.poll.response'
  const START = 'org.matrix.msc3381.poll.start'
  const poll = (change: Partial<RoomEvent> = {}) =>
    event({
      type: START,
      content: {
        [START]: {
          question: { 'org.matrix.msc1767.text': 'Where?' },
          answers: [{ id: 'h', 'org.matrix.msc1767.text': 'Here' }],
        },
      },
      ...change,
    })
  const vote = (on: RoomEvent, answers: string[], change: Partial<RoomEvent> = {}) =>
    event({
      type: RESPONSE,
      content: {
        'm.relates_to': { rel_type: 'm.reference', event_id: on.event_id },
        [RESPONSE]: { answers },
      },
      ...change,
    })
  const call = (change: Partial<RoomEvent> = {}) =>
    event({
      content: {
        msgtype: 'm.text',
        body: 'Incoming voice call',
        'com.beeper.action_message': { type: 'call', call_type: 'voice' },
      },
      ...change,
    })
  const names = () => payloads().map(({ event }) => event)
  const BOT = '@whatsappbot:s'
  beforeEach(() => {
    insertDevice(db)
    insertChat(db)
    insertWebhook(db)
  })

  test('goes to no webhook that doesn’t name it', async () => {
    insertWebhook(db, { id: 2, url: 'http://b', events: ['call.received'] })
    insertWebhook(db, { id: 3, url: 'http://c', events: ['*'] })
    insertWebhook(db, { id: 4, url: 'http://d', events: ['message.received'] })
    await source.accept(batch([call()]))
    expect(payloads()).toMatchObject([
      { event: 'call.received', kind: 'call', message: 'Incoming voice call', call: { type: 'voice' } },
    ])
    const asked = db.orm.select().from(deliveries).all()
    expect(asked.map(row => row.webhookId)).toEqual([2, 3])
  })

  test('a vote has the texts of its options where the poll is known, of this batch or an earlier one', async () => {
    const [one, other] = [poll(), poll()]
    await source.accept(batch([one]))
    await source.accept(batch([vote(one, ['h', 'x']), other, vote(other, ['h']), vote(other, [])]))
    await source.accept(batch([vote(event(), ['h'])]))
    const votes = payloads().flatMap(({ event, vote }) => (event === 'poll.vote' ? [vote?.options] : []))
    expect(votes).toEqual([
      [
        { id: 'h', text: 'Here' },
        { id: 'x', text: null },
      ],
      [{ id: 'h', text: 'Here' }],
      [],
      [{ id: 'h', text: null }],
    ])
    expect(payloads().map(({ relates_to }) => relates_to)).toContain(one.event_id)
  })

  test('a vote that is deleted is taken back, and a call that is deleted has happened', async () => {
    const redact = (of: RoomEvent) => event({ type: 'm.room.redaction', content: { redacts: of.event_id } })
    const question = poll()
    const [one, other, ring, again] = [vote(question, ['h']), vote(question, ['h']), call(), call()]
    await source.accept(batch([question, one, redact(one), other, ring, redact(ring), again]))
    await source.accept(batch([redact(other), redact(again)]))
    const told = payloads().map(({ event, relates_to, vote }) => [event, relates_to, vote?.options.length])
    expect(told).toEqual([
      ['message.received', null, undefined],
      ['poll.vote', question.event_id, 1],
      ['poll.vote', question.event_id, 0],
      ['poll.vote', question.event_id, 1],
      ['call.received', null, undefined],
      ['call.received', null, undefined],
      ['poll.vote', question.event_id, 0],
    ])
  })

  test('a vote on a poll of the owner has its texts from the homeserver, which is asked once', async () => {
    const own = poll({ sender: '@mg1:s' })
    atHomeserver.push(own)
    await source.accept(batch([vote(own, ['h'])]))
    await source.accept(batch([vote(own, ['h']), vote(own, ['x'])]))
    const texts = payloads().map(({ vote }) => vote?.options.map(({ text }) => text))
    expect(texts).toEqual([['Here'], ['Here'], [null]])
    expect(asked).toEqual([own.event_id])
  })

  test('what the owner does at the phone is told as that: a vote, a call, a post', async () => {
    insertChat(db, { roomId: '!status:s', kind: 'status' })
    const sender = '@whatsapp_237:s'
    const own = poll({ sender })
    const post = event({ room_id: '!status:s', sender })
    await source.accept(batch([own, vote(own, ['h'], { sender }), call({ sender }), post]))
    expect(payloads().map(({ event, kind }) => [event, kind])).toEqual([
      ['message.own', 'poll'],
      ['message.own', 'vote'],
      ['message.own', 'call'],
      ['message.own', 'text'],
    ])
    await source.accept(batch([vote(own, ['h'])]))
    expect(names().at(-1)).toBe('poll.vote')
  })

  describe.each(['channel', 'status'] as const)('in a %s chat', kind => {
    const posted = kind === 'channel' ? 'channel.posted' : 'status.posted'
    const room_id = '!posts:s'
    beforeEach(() => void insertChat(db, { roomId: room_id, kind, name: 'News' }))
    const sender = kind === 'channel' ? BOT : '@whatsapp_1:s'

    test('posts, their edits and deletions are told as posts, reactions to them not at all', async () => {
      const post = event({ room_id, sender })
      const relation = { rel_type: 'm.replace', event_id: post.event_id }
      const edit = { msgtype: 'm.text', body: '* b', 'm.new_content': { msgtype: 'm.text', body: 'b' } }
      const liked = { rel_type: 'm.annotation', event_id: post.event_id, key: '👍' }
      const reaction = event({ room_id, type: 'm.reaction', content: { 'm.relates_to': liked } })
      const redact = (of: RoomEvent) =>
        event({ room_id, sender, type: 'm.room.redaction', content: { redacts: of.event_id } })
      const changed = event({ room_id, sender, content: { ...edit, 'm.relates_to': relation } })
      await source.accept(batch([post, changed, reaction, redact(reaction), redact(post)]))
      expect(payloads()).toMatchObject([
        // A deleted post says nothing any more, wherever it was told.
        { event: posted, kind: 'text', message: '', chat: { kind, name: 'News' } },
        { event: posted, kind: 'edit', message: '', relates_to: post.event_id },
        { event: posted, kind: 'redaction', relates_to: post.event_id },
      ])
      expect(db.orm.select().from(deliveries).all()).toEqual([])
    })

    test('a poll is a post, a vote on it a vote', async () => {
      const post = poll({ room_id, sender })
      await source.accept(batch([post, vote(post, ['h'], { room_id })]))
      expect(payloads()).toMatchObject([
        { event: posted, kind: 'poll', poll: { question: 'Where?' } },
        { event: 'poll.vote', vote: { options: [{ text: 'Here' }] } },
      ])
    })
  })

  test('a channel’s post comes from the channel: its bot is nobody', async () => {
    insertChat(db, { roomId: '!news:s', kind: 'channel', name: 'News' })
    await source.accept(batch([event({ room_id: '!news:s', sender: BOT })]))
    expect(stored()).toMatchObject([{ senderUserId: '' }])
    expect(payloads()).toMatchObject([{ from: BOT, sender: { id: BOT, phone: null, name: 'News' } }])
  })

  test('what the bridge’s bot says in other chats is told to nobody, and it is not whom the chat is with', async () => {
    const notice = { msgtype: 'm.notice', body: 'Your message was not bridged' }
    const redaction = { type: 'm.room.redaction', content: { redacts: '$x' } }
    await source.accept(
      batch([event({ sender: BOT, content: notice }), event({ sender: BOT, ...redaction })]),
    )
    expect(payloads()).toEqual([])
    expect(db.orm.select().from(chats).get()?.peer).toBeNull()
  })
})

describe('a message from the phone network', () => {
  beforeEach(() => {
    insertDevice(db)
    insertChat(db)
    insertWebhook(db)
  })

  test('is stored with everything the webhook tells, and with a delivery for each active webhook', async () => {
    insertWebhook(db, { id: 2, url: 'http://b', active: true })
    insertWebhook(db, { id: 3, url: 'http://c', active: false })
    await source.accept(
      batch([
        member('@whatsapp_1:s', 'join', { content: { membership: 'join', displayname: 'Jonas W' } }),
        event(),
      ]),
    )
    expect(stored()[0]?.payload).toMatchObject({
      type: 'm.text',
      from: '@whatsapp_1:s',
      to: '@mg1:s',
      message: 'Good morning',
      device_id: '237',
      media: null,
      event: 'message.received',
      kind: 'text',
      timestamp: '2026-04-27T09:01:00Z',
      platform: 'wa',
      sender: { id: '@whatsapp_1:s', name: 'Jonas W' },
      chat: { id: '!r:s', kind: 'dm', name: 'Jonas' },
      reply_to: null,
    })
    expect(
      db.orm
        .select()
        .from(deliveries)
        .all()
        .map(row => row.webhookId),
    ).toEqual([1, 2])
    expect(
      db.orm
        .select()
        .from(deliveryLanes)
        .all()
        .map(row => row.lane),
    ).toEqual(['id_1/1/!r:s', 'id_1/2/!r:s'])
    expect(nudges).toEqual(['deliveries'])
  })

  test('is stored once, whether the transaction or the event comes again', async () => {
    const first = batch([event()])
    await source.accept(first)
    await source.accept(first)
    await source.accept(batch(first.events))
    expect(stored()).toHaveLength(1)
    expect(db.orm.select().from(deliveries).all()).toHaveLength(1)
  })

  test.each([
    ['from our own user', { sender: '@mg1:s' }],
    ["from the bridge's bot", { sender: '@whatsappbot:s' }],
    ['from before the device was linked', { origin_server_ts: LINKED_AT - 60_000 }],
    ['from a moment before the device was linked', { origin_server_ts: LINKED_AT - 501 }],
    ['in a room that is none of our chats', { room_id: '!other:s' }],
    ['from the identity, as we send', { sender: '@mg1:s' }],
  ])('is not received when it is %s', async (_, change) => {
    await source.accept(batch([event(change)]))
    expect(stored()).toEqual([])
  })

  test.each([
    ["from the account's own phone", { sender: '@whatsapp_237:s' }],
    ['from there by its hidden id', { sender: '@whatsapp_lid-7:s' }],
    [
      'from there by its bridge as the identity',
      {
        sender: '@mg1:s',
        content: { msgtype: 'm.text', body: 'hi', 'fi.mau.double_puppet_source': 'mautrix-whatsapp' },
      },
    ],
  ])('is its owner’s when it is %s', async (_, change) => {
    numbers = { 'lid-7': '237' }
    const own = event(change)
    await source.accept(batch([own]))
    await source.accept(batch([own]))
    expect(payloads()).toMatchObject([
      { event: 'message.own', from: own.sender, sender: { phone: '237', name: 'Amina' } },
    ])
    expect(db.orm.select().from(deliveries).all()).toEqual([])
    expect(db.orm.select().from(chats).get()?.peer).toBeNull()
  })

  test('from a hidden id has the number that the bridge knows', async () => {
    numbers = { 'lid-9': '237611111' }
    await source.accept(
      batch([event({ sender: '@whatsapp_lid-9:s' }), event({ sender: '@whatsapp_lid-8:s' })]),
    )
    expect(payloads().map(({ sender }) => sender.phone)).toEqual(['237611111', null])
  })

  test.each([
    ['noticed', LINKED_AT - 200],
    ['rounded down to the second', LINKED_AT - 1_000],
  ])('from the moment of the link, %s, is received', async (_, origin_server_ts) => {
    await source.accept(batch([event({ origin_server_ts })]))
    expect(stored()).toHaveLength(1)
  })

  test('tells whom a direct chat is with, and nothing of the kind of a group', async () => {
    insertChat(db, { roomId: '!g:s', kind: 'group', name: '' })
    await source.accept(batch([event(), event({ room_id: '!g:s', sender: '@whatsapp_2:s' })]))
    await source.accept(batch([event({ sender: '@whatsapp_237:s' })]))
    const peerOf = (roomId: string) =>
      db.orm.query.chats.findFirst({ where: eq(chats.roomId, roomId) }).sync()?.peer
    expect(peerOf('!r:s')).toBe('@whatsapp_1:s')
    expect(peerOf('!g:s')).toBeNull()
  })

  test('in a group without a name does not name the group after its sender', async () => {
    insertChat(db, { roomId: '!g:s', kind: 'group', name: '' })
    insertChat(db, { roomId: '!d:s', name: '' })
    const named = member('@whatsapp_1:s', 'join', { content: { membership: 'join', displayname: 'Jonas W' } })
    await source.accept(batch([named, event({ room_id: '!g:s' }), event({ room_id: '!d:s' })]))
    expect(payloads().map(({ chat }) => chat.name)).toEqual(['', 'Jonas W'])
  })

  test("is not received in the bot's own room or a space", async () => {
    insertChat(db, { roomId: '!management:s', kind: 'other' })
    insertChat(db, { roomId: '!space:s', kind: 'space' })
    await source.accept(batch([event({ room_id: '!management:s' }), event({ room_id: '!space:s' })]))
    expect(stored()).toEqual([])
  })

  test('goes to every identity that shares the group, but for the one that sent it', async () => {
    insertIdentity(db, 'id_2', '@mg2:s')
    insertDevice(db, { id: 'dev_2', identityId: 'id_2', loginId: '238', deviceId: '238', phone: '238' })
    insertChat(db, { roomId: '!g:s', kind: 'group', receiver: null })
    insertChat(db, { identityId: 'id_2', roomId: '!g:s', kind: 'group', receiver: null })
    await source.accept(batch([event({ room_id: '!g:s' }), event({ room_id: '!g:s', sender: '@mg1:s' })]))
    expect(stored().map(row => row.identityId)).toEqual(['id_1', 'id_2', 'id_2'])
  })

  test('of a device linked a moment ago makes us ask the bridge for it', async () => {
    insertChat(db, { roomId: '!new:s', receiver: '999' })
    learn = () => insertDevice(db, { id: 'dev_9', loginId: '999', deviceId: '999', phone: '999' })
    await source.accept(batch([event({ room_id: '!new:s' })]))
    expect(learned).toEqual(['id_1/wa'])
    expect(stored()[0]?.payload).toMatchObject({ device_id: '999' })
  })

  test('in an encrypted chat can’t be read: that is told to whoever asks for it, and warned of once', async () => {
    insertWebhook(db, { id: 2, url: 'http://b', events: ['message.undecryptable'] })
    const unreadable = (id: string) =>
      event({
        event_id: id,
        type: 'm.room.encrypted',
        content: {
          algorithm: 'm.megolm.v1.aes-sha2',
          ciphertext: 'x',
          'm.relates_to': { 'm.in_reply_to': { event_id: '$0' } },
        },
      })
    await source.accept(batch([unreadable('$1'), unreadable('$2')]))
    expect(payloads()).toMatchObject([
      {
        id: '$1',
        event: 'message.undecryptable',
        kind: 'encrypted',
        type: 'm.room.encrypted',
        message: '',
        reply_to: '$0',
      },
      { id: '$2' },
    ])
    const asked = db.orm.select().from(deliveries).all()
    expect(asked.map(row => row.webhookId)).toEqual([2, 2])
    expect(log.text().match(/"room":"!r:s".*end-to-end encrypted/g)).toHaveLength(1)
  })

  test('goes to the webhooks that ask for it', async () => {
    insertWebhook(db, { id: 2, url: 'http://b', events: ['message.status', 'device.connected'] })
    insertWebhook(db, { id: 3, url: 'http://c', events: ['message.received'] })
    insertWebhook(db, { id: 4, url: 'http://d', events: ['*'] })
    await source.accept(batch([event()]))
    const asked = db.orm.select().from(deliveries).all()
    expect(asked.map(row => row.webhookId)).toEqual([1, 3, 4])
  })

  describe('for a device that is not known yet', () => {
    beforeEach(() => db.connection.run('DELETE FROM devices'))
    const chat = () => db.orm.select().from(chats).get() as Chat
    const held = () => db.orm.select().from(heldEvents).all().length
    const silent = (code: ErrorCode) => {
      learn = () => {
        throw new GatewayError(code, 'the wa bridge is silent')
      }
    }

    test('the bridge is asked, and it is received by what it lists', async () => {
      learn = () => insertDevice(db)
      await source.accept(batch([event()]))
      expect(texts()).toEqual(['Good morning'])
    })

    test.each(['bridge_unavailable', 'bridge_timeout'] as const)(
      'and can’t be found out about (%s), it waits for the chat to be joined again',
      async code => {
        silent(code)
        await source.accept(batch([event({ event_id: '$one' }), event({ event_id: '$two' })]))
        expect([stored().length, held(), chat().membership]).toEqual([0, 2, 'joining'])
        expect(nudges).toContain('joins')
        await source.accept(batch([event({ event_id: '$three' })]))
        await expect(completeJoin(chat(), [], [])).rejects.toMatchObject({ code: 'bridge_unavailable' })
        expect([stored().length, held(), chat().membership]).toEqual([0, 3, 'joining'])

        learn = () => insertDevice(db)
        await completeJoin(chat(), [], [])
        expect(payloads().map(({ id }) => id)).toEqual(['$one', '$two', '$three'])
        expect([held(), chat().membership]).toEqual([0, 'joined'])
      },
    )

    test.each([
      ['the bridge lists none', undefined],
      ['there is no such bridge', 'bad_request'],
    ] as const)('%s: it is nobody’s', async (_, code) => {
      if (code) silent(code)
      await source.accept(batch([event()]))
      expect([stored().length, held(), chat().membership]).toEqual([0, 0, 'joined'])
    })
  })

  describe('for a device that is logged out', () => {
    const LOST_AT = LINKED_AT + 3_600_000
    beforeEach(() => db.connection.run(`UPDATE devices SET state = 'logged_out', state_since = ${LOST_AT}`))

    test.each([
      ['received, if it was on its way while that was noticed', LOST_AT - 3_000, 1],
      ['received, if it was missed since', LOST_AT + 60_000, 1],
      ['history, if it is from before', LOST_AT - 60_000, 0],
    ])('it is %s', async (_, origin_server_ts, count) => {
      await source.accept(batch([event({ origin_server_ts })]))
      expect(stored()).toHaveLength(count)
      // It may have been linked again just now.
      expect(learned).toEqual(['id_1/wa'])
    })

    test('once it is linked again, what counts is what was written down then', async () => {
      const receivesFrom = LOST_AT - 5_000
      learn = () =>
        db.connection.run(
          `UPDATE devices SET state = 'connected', linked_at = ${LOST_AT + 90_000}, receives_from = ${receivesFrom}`,
        )
      const at = (origin_server_ts: number) => event({ origin_server_ts })
      await source.accept(batch([at(receivesFrom - 60_000), at(receivesFrom + 1), at(LOST_AT + 60_000)]))
      expect(stored()).toHaveLength(2)
    })

    test('that was deleted nothing is received', async () => {
      db.connection.run('UPDATE devices SET removed_at = 1')
      await source.accept(batch([event({ origin_server_ts: LOST_AT + 60_000 })]))
      expect(stored()).toEqual([])
    })

    test('another one that is linked takes the messages of a shared chat', async () => {
      insertDevice(db, { id: 'dev_2', loginId: '238', deviceId: '238', createdAt: LOST_AT })
      insertChat(db, { roomId: '!g:s', kind: 'group', receiver: null })
      await source.accept(batch([event({ room_id: '!g:s' })]))
      expect(payloads()[0]?.device_id).toBe('238')
    })
  })

  test('that meets a defect of ours is given up, and those beside it are received', async () => {
    const text = (body: string, change: Partial<RoomEvent> = {}) =>
      event({ content: { msgtype: 'm.text', body }, ...change })
    // No Date holds it. The sources of events set such times right.
    await source.accept(batch([text('one'), text('poison', { origin_server_ts: 1e20 }), text('two')]))
    expect(texts()).toEqual(['one', 'two'])
  })

  test('a failing write leaves nothing of its batch, which is stored when it comes again', async () => {
    const broken = batch([event()])
    db.connection.run('ALTER TABLE deliveries RENAME TO gone')
    await expect(source.accept(broken)).rejects.toThrow()
    expect(stored()).toEqual([])
    db.connection.run('ALTER TABLE gone RENAME TO deliveries')
    await source.accept(broken)
    expect(stored()).toHaveLength(1)
  })
})

describe('joining', () => {
  beforeEach(() => {
    insertDevice(db)
    insertWebhook(db)
  })
  const STATE = () => [
    event({
      type: 'm.bridge',
      state_key: 'x',
      content: {
        bridgebot: '@whatsappbot:s',
        channel: { id: '1@s', 'fi.mau.receiver': '237' },
        'com.beeper.room_type': 'dm',
      },
    }),
    event({ type: 'm.room.name', state_key: '', content: { name: 'Jonas' } }),
    member('@whatsapp_1:s', 'join', { content: { membership: 'join', displayname: 'Jonas' } }),
  ]
  const chat = () => db.orm.select().from(chats).all()[0]

  test('an invitation is a chat to be joined; what is said until then is held, and comes in order behind what was said before', async () => {
    await source.accept(batch([member('@mg1:s', 'invite')]))
    expect(chat()?.membership).toBe('invited')
    expect(nudges).toEqual(['joins'])
    const first = event({ content: { msgtype: 'm.text', body: 'one' } })
    const second = event({ content: { msgtype: 'm.text', body: 'two' } })
    const third = event({ content: { msgtype: 'm.text', body: 'three' } })
    await source.accept(batch([second, third]))
    expect(stored()).toEqual([])
    const invited = chat()
    if (!invited) throw new Error('no chat')
    await completeJoin(invited, STATE(), [first, second])
    expect(chat()).toMatchObject({
      membership: 'joined',
      platform: 'wa',
      kind: 'dm',
      name: 'Jonas',
      receiver: '237',
    })
    expect(texts()).toEqual(['one', 'two', 'three'])
    expect(payloads()[0]?.sender.name).toBe('Jonas')
    expect(db.orm.select().from(heldEvents).all()).toEqual([])
    await source.accept(batch([event({ content: { msgtype: 'm.text', body: 'four' } })]))
    expect(texts()).toEqual(['one', 'two', 'three', 'four'])
  })

  test('events that an earlier version held are received, before those held since', async () => {
    const invited = insertChat(db, { membership: 'invited' })
    const hold = (held: RoomEvent) =>
      db.orm
        .insert(heldEvents)
        .values({ identityId: 'id_1', roomId: '!r:s', event: { ...held } })
        .run()
    hold(event({ content: { msgtype: 'm.text', body: 'of the version before' } }))
    const relation = { rel_type: 'm.annotation', event_id: '$message', key: '🎉' }
    hold(event({ type: 'm.reaction', content: { 'm.relates_to': relation } }))
    await source.accept(batch([event()]))
    await completeJoin(invited, STATE(), [])
    expect(payloads().map(({ event, message }) => [event, message])).toEqual([
      ['message.received', 'of the version before'],
      ['message.reaction', '🎉'],
      ['message.received', 'Good morning'],
    ])
  })

  test('what is held keeps its form: a file, and a reaction that is taken back', async () => {
    const invited = insertChat(db, { membership: 'invited' })
    const relation = { rel_type: 'm.annotation', event_id: '$message', key: '🎉' }
    const reaction = event({ type: 'm.reaction', content: { 'm.relates_to': relation } })
    const removal = event({ type: 'm.room.redaction', content: { redacts: reaction.event_id } })
    const picture = event({ content: { msgtype: 'm.image', body: 'a.png', url: 'mxc://s/1' } })
    await source.accept(batch([picture, reaction]))
    await source.accept(batch([removal]))
    await completeJoin(invited, STATE(), [])
    expect(payloads().map(({ event, removed, media }) => [event, removed, media?.file_name])).toEqual([
      ['message.received', undefined, 'a.png'],
      ['message.reaction', false, undefined],
      ['message.reaction', true, undefined],
    ])
  })

  test('an event that comes while the join is being completed is neither lost nor out of order', async () => {
    await source.accept(batch([member('@mg1:s', 'invite')]))
    const invited = chat()
    if (!invited) throw new Error('no chat')
    const late = event({ content: { msgtype: 'm.text', body: 'late' } })
    const early = event({ content: { msgtype: 'm.text', body: 'early' } })
    await Promise.all([completeJoin(invited, STATE(), [early]), source.accept(batch([late]))])
    expect(texts()).toEqual(['early', 'late'])
    expect(db.orm.select().from(heldEvents).all()).toEqual([])
  })

  test('a batch puts nothing back that sending has found out about the chat while it was planned', async () => {
    const { roomId } = insertChat(db, {
      membership: 'invited',
      platform: null,
      bridgeBot: null,
      kind: 'other',
    })
    meanwhile = () => {
      meanwhile = async () => undefined
      return roomsWith(STATE()).enter('id_1', roomId)
    }
    await source.accept(batch([event({ type: 'm.room.name', state_key: '', content: { name: 'new' } })]))
    expect(chat()).toMatchObject({
      name: 'new',
      platform: 'wa',
      bridgeBot: '@whatsappbot:s',
      kind: 'dm',
      membership: 'joining',
    })
  })

  describe('m.bridge is believed only of that bridge itself', () => {
    const by = (sender: string, change: Partial<RoomEvent> = {}) =>
      STATE().map(state => (state.type === 'm.bridge' ? { ...state, sender, ...change } : state))

    async function joined(state: RoomEvent[]): Promise<Chat | undefined> {
      await source.accept(batch([member('@mg1:s', 'invite')]))
      const invited = chat()
      if (!invited) throw new Error('no chat')
      await completeJoin(invited, state, [event()])
      return chat()
    }

    test.each(['@whatsappbot:s', '@whatsapp_9:s'])('its user %s', async sender => {
      expect(await joined(by(sender))).toMatchObject({
        platform: 'wa',
        bridgeBot: '@whatsappbot:s',
        kind: 'dm',
      })
      expect(texts()).toEqual(['Good morning'])
    })

    test.each([
      ['another bridge’s bot', '@signalbot:s'],
      ['another bridge’s ghost', '@signal_1:s'],
      ['one of our own users', '@mg1:s'],
      ['a user of another server', '@whatsapp_1:evil'],
      ['anybody else', '@mallory:s'],
    ])('and not %s', async (_, sender) => {
      expect(await joined(by(sender))).toMatchObject({ platform: null, bridgeBot: null, channelId: null })
      expect(payloads()).toEqual([])
    })

    test('nor the newer name of it, uk.half-shot.bridge, nor a room that names no bot', async () => {
      expect(await joined(by('@signalbot:s', { type: 'uk.half-shot.bridge' }))).toMatchObject({
        platform: null,
      })
      await source.accept(batch(by('@signalbot:s', { content: { channel: { id: 'other@s' } } })))
      expect(chat()).toMatchObject({ platform: null, channelId: null })
    })

    test('a portal stays what it is, whatever others in it write', async () => {
      const before = await joined(by('@whatsappbot:s'))
      const forged = { bridgebot: '@signalbot:s', channel: { id: 'other@s' } }
      await source.accept(batch(by('@mallory:s', { content: forged })))
      await source.accept(
        batch(by('@whatsapp_1:evil', { type: 'com.beeper.room_features', content: { file: {} } })),
      )
      expect(chat()).toEqual(before)
    })

    test('moves it to another room only by its own bridge', async () => {
      await joined(by('@whatsappbot:s'))
      const content = { body: 'merged', replacement_room: '!r2:s' }
      let moves = 0
      db.signals.on('moved', () => void moves++)
      const closed = (sender: string) => by(sender, { type: 'm.room.tombstone', state_key: '', content })
      await source.accept(batch(closed('@mallory:s')))
      await source.accept(batch(closed('@signalbot:s')))
      expect(chat()?.movedTo).toBeNull()
      const toItself = { replacement_room: '!r:s' }
      await source.accept(batch(by('@whatsappbot:s', { type: 'm.room.tombstone', content: toItself })))
      expect([chat()?.movedTo, moves]).toEqual([null, 0])
      await source.accept(batch(closed('@whatsappbot:s')))
      expect([chat()?.movedTo, moves]).toEqual(['!r2:s', 1])
    })

    test('of a bridge whose users nobody told us, the bot and ghosts named like a linked account’s', async () => {
      knowsUsers = false
      expect(await joined(by('@whatsapp_9:s'))).toMatchObject({ platform: 'wa' })
      await source.accept(
        batch(by('@mallory:s', { content: { bridgebot: '@whatsappbot:s', channel: { id: 'x' } } })),
      )
      expect(chat()).toMatchObject({ channelId: '1@s' })
      await source.accept(
        batch(by('@whatsappbot:s', { content: { bridgebot: '@whatsappbot:s', channel: { id: 'x' } } })),
      )
      expect(chat()).toMatchObject({ channelId: 'x' })
    })

    describe('where nothing tells yet how the bridge names its users', () => {
      beforeEach(() => {
        knowsUsers = false
        db.orm.update(devices).set({ ghostUserId: null }).run()
      })
      const warnings = () =>
        log
          .text()
          .split('\n')
          .filter(line => line.includes('meshgate bridge add'))

      test('its portals are believed, nothing said there is lost, and one warning tells of it', async () => {
        expect(await joined(by('@whatsapp_9:s'))).toMatchObject({ platform: 'wa', kind: 'dm' })
        await source.accept(batch(by('@whatsapp_9:s')))
        expect(texts()).toEqual(['Good morning'])
        expect(warnings()).toEqual([expect.stringContaining('"platform":"wa"')])
      })

      test('but not of one of our own users, another server, or a user that is another bridge’s', async () => {
        insertDevice(db, { id: 'dev_2', platform: 'signal', ghostUserId: '@signal_237:s' })
        for (const sender of ['@mg1:s', '@whatsapp_1:evil', '@signal_1:s'])
          expect(await joined(by(sender))).toMatchObject({ platform: null })
        expect(warnings()).toEqual([])
      })

      test('nor one who speaks for the bot of no bridge of ours', async () => {
        const content = { bridgebot: '@nobot:s', channel: { id: 'x' } }
        expect(await joined(by('@mallory:s', { content }))).toMatchObject({
          bridgeBot: null,
          channelId: null,
        })
      })

      test('and once an account’s own ghost shows it, others are checked by it', async () => {
        await joined(by('@whatsapp_9:s'))
        db.orm.update(devices).set({ ghostUserId: '@whatsapp_237:s' }).run()
        const changed = { content: { bridgebot: '@whatsappbot:s', channel: { id: 'x' } } }
        await source.accept(batch(by('@mallory:s', changed)))
        expect(chat()).toMatchObject({ channelId: '1@s' })
      })
    })
  })

  test('a room we were put into is found out about; one we were removed from is left', async () => {
    await source.accept(batch([member('@mg1:s', 'join')]))
    expect(chat()?.membership).toBe('joining')
    await source.accept(batch([member('@mg1:s', 'leave')]))
    expect(chat()?.membership).toBe('left')
    await source.accept(batch([member('@stranger:s', 'invite')]))
    expect(db.orm.select().from(chats).all()).toHaveLength(1)
  })

  test('a later name, bridge or encryption of the room is taken over', async () => {
    insertChat(db, { name: 'old' })
    await source.accept(
      batch([
        event({ type: 'm.room.name', state_key: '', content: { name: 'new' } }),
        event({ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }),
      ]),
    )
    expect(chat()).toMatchObject({ name: 'new', encrypted: true })
  })

  describe("what its room's network takes", () => {
    const repository = () => createChatRepository(db)
    const told = (content: Record<string, unknown>, room_id = '!r:s') =>
      event({ type: 'com.beeper.room_features', state_key: 'whatsapp', content, room_id })
    const kept = async (roomId = '!r:s') => {
      const one = await repository().get('id_1', roomId)
      return one && repository().featuresOf(one)
    }

    test('is known from the join on, and taken over when it changes; once for all chats that say the same', async () => {
      await completeJoin(insertChat(db, { membership: 'joining' }), [told({ max_text_length: 10 })], [])
      expect(await kept()).toMatchObject({ maxTextLength: 10 })
      insertChat(db, { roomId: '!r2:s', channelId: '2' })
      await source.accept(batch([told({ max_text_length: 20 }), told({ max_text_length: 20 }, '!r2:s')]))
      expect([await kept(), await kept('!r2:s')]).toMatchObject([
        { maxTextLength: 20 },
        { maxTextLength: 20 },
      ])
      expect(db.orm.select().from(roomFeatures).all()).toHaveLength(2)
      await source.accept(batch([told({})]))
      expect(await kept()).toBeNull()
    })

    test('is what its own bridge says, not another platform’s user, at whatever time it is read', async () => {
      insertChat(db)
      const own = told({ max_text_length: 10 })
      const foreign = { ...told({ max_text_length: 1 }), sender: '@signal_1:s' }
      expect((await roomsWith([own, foreign]).ensureEntered('id_1', '!r:s')).takes).toMatchObject({
        maxTextLength: 10,
      })
      await source.accept(batch([own, foreign]))
      expect(await kept()).toMatchObject({ maxTextLength: 10 })
    })

    test('is known to be unknown after the join of a room that says nothing of it', async () => {
      await completeJoin(insertChat(db, { membership: 'joining' }), [], [])
      expect((await repository().get('id_1', '!r:s'))?.features).toBe('')
    })
  })
})

describe('what a /sync tells', () => {
  const ofSync = (userId: string, nextBatch: string, events: RoomEvent[]): RoomEventBatch => ({
    position: { kind: 'sync', userId, nextBatch },
    events,
    receipts: [],
  })
  const tokenOf = (id: string) =>
    db.orm.select().from(identities).where(eq(identities.id, id)).get()?.syncToken

  beforeEach(() => {
    insertDevice(db)
    insertChat(db)
    insertIdentity(db, 'id_2', '@mg2:s')
    insertDevice(db, { id: 'dev_2', identityId: 'id_2' })
    insertChat(db, { identityId: 'id_2' })
  })

  test('is for its own user alone, in a room where several of ours hear the same', async () => {
    const said = event()
    await source.accept(ofSync('@mg1:s', 's1', [said]))
    expect(stored().map(row => row.identityId)).toEqual(['id_1'])
    await source.accept(ofSync('@mg2:s', 's9', [said]))
    expect(stored().map(row => row.identityId)).toEqual(['id_1', 'id_2'])
    expect([tokenOf('id_1'), tokenOf('id_2')]).toEqual(['s1', 's9'])
  })

  test('about the membership of another of ours is left to the other', async () => {
    await source.accept(ofSync('@mg1:s', 's1', [member('@mg2:s', 'leave')]))
    const memberships = db.orm.select().from(chats).all()
    expect(memberships.map(chat => chat.membership)).toEqual(['joined', 'joined'])
  })

  test('is taken once, with its position', async () => {
    const said = event()
    await source.accept(ofSync('@mg1:s', 's1', [said]))
    await source.accept(ofSync('@mg1:s', 's1', [said, event()]))
    expect(stored()).toHaveLength(1)
    await source.accept(ofSync('@mg1:s', 's2', [said, event()]))
    expect(stored()).toHaveLength(2)
  })

  test('of an invitation to a room that was ours before: it is to be joined again', async () => {
    const events = [member('@mg1:s', 'leave'), member('@mg1:s', 'invite')]
    await source.accept(ofSync('@mg1:s', 's1', events))
    const chat = db.orm.select().from(chats).where(eq(chats.identityId, 'id_1')).get()
    expect(chat?.membership).toBe('invited')
    expect(nudges).toEqual(['joins'])
  })
})
