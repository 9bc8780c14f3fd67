/** Joining portal rooms: once, with what was said before, and again when it failed. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { chats } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { MatrixSession, RoomEvent } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createChatRepository } from '../../../src/modules/chats/repository.ts'
import { type ChatRooms, createChatRooms } from '../../../src/modules/inbox/chat-rooms.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { insertChat, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let joins: string[]
let failure: GatewayError | undefined
/** Newest first. */
let timeline: RoomEvent[]
let completed: string[][]
/** The room's, and how often it was asked for. */
let state: RoomEvent[]
let stateReads: number
let rooms: ChatRooms
let stop: () => Promise<void>

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  joins = []
  failure = undefined
  timeline = []
  completed = []
  state = []
  stateReads = 0
  stop = async () => undefined
  const session: Partial<MatrixSession> = {
    userId: '@mg1:s',
    join: async roomId => {
      joins.push(roomId)
      if (failure) throw failure
    },
    state: async () => {
      stateReads++
      return state
    },
    messagesBackwards: async (_, limit, from) => {
      const start = Number(from ?? 0)
      const end = start + limit
      return { events: timeline.slice(start, end), next: end < timeline.length ? String(end) : null }
    },
  }
  const repository = createChatRepository(db)
  rooms = createChatRooms({
    repository,
    inbox: {
      completeJoin: async (chat, _state, said) => {
        completed.push(said.map(({ eventId }) => eventId))
        await repository.setMembership(chat.identityId, chat.roomId, 'joined', clock.now())
      },
      genuine: async facts => facts.filter(told => !('sender' in told && told.sender === '@mallory:s')),
    },
    sessions: { actingAs: () => session as MatrixSession },
    matrixUserOf: async () => '@mg1:s',
    signals: db.signals,
    clock,
    logger: silentLogger,
  })
})
afterEach(async () => {
  await stop()
  await db.destroy()
})

function event(id: string, change: Partial<RoomEvent> = {}): RoomEvent {
  return {
    event_id: id,
    room_id: '!r:s',
    sender: '@a:s',
    type: 'm.room.message',
    origin_server_ts: 1,
    content: { msgtype: 'm.text', body: id },
    ...change,
  }
}
const invitation = (id: string) =>
  event(id, { type: 'm.room.member', state_key: '@mg1:s', content: { membership: 'invite' } })
const membership = () => db.orm.select().from(chats).all()[0]?.membership
function startWorker() {
  const controller = new AbortController()
  const running = rooms.worker.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
}

test('an invitation is answered, and what was said since is told, oldest first, over as many pages as it takes', async () => {
  insertChat(db, { membership: 'invited' })
  const since = Array.from({ length: 150 }, (_, index) => event(`$${index}`))
  timeline = [...since.toReversed(), invitation('$invite'), event('$before')]
  startWorker()
  await settled()
  await settled()
  expect(joins).toEqual(['!r:s'])
  expect(completed).toEqual([since.map(message => message.event_id)])
  expect(membership()).toBe('joined')
})

test('those who need the room while it is being joined share the join', async () => {
  insertChat(db, { membership: 'invited' })
  startWorker()
  const answers = await Promise.all([rooms.ensureJoined('id_1', '!r:s'), rooms.ensureJoined('id_1', '!r:s')])
  expect(answers.map(chat => chat.membership)).toEqual(['joined', 'joined'])
  expect(joins).toEqual(['!r:s'])
})

test('a room that we have not been told of is joined when it is needed; a joined one costs nothing', async () => {
  await rooms.ensureJoined('id_1', '!r:s')
  await rooms.ensureJoined('id_1', '!r:s')
  expect(joins).toEqual(['!r:s'])
})

test('a chat of before, whose features nobody asked for, is asked once', async () => {
  insertChat(db)
  const told = { type: 'com.beeper.room_features', state_key: 'x', content: { max_text_length: 9 } }
  state = [event('$f', told), event('$forged', { ...told, content: {}, sender: '@mallory:s' })]
  for (let times = 0; times < 2; times++)
    expect((await rooms.ensureJoined('id_1', '!r:s')).takes).toMatchObject({ maxTextLength: 9 })
  insertChat(db, { roomId: '!silent:s' })
  state = []
  for (let times = 0; times < 2; times++)
    expect((await rooms.ensureJoined('id_1', '!silent:s')).takes).toBeNull()
  expect(stateReads).toBe(2)
})

test('features that came meanwhile are not put back by a state that was read before', async () => {
  insertChat(db)
  const repository = createChatRepository(db)
  const newer = await repository.learnFeatures('id_1', '!r:s', { max_text_length: 9 })
  await repository.learnFeatures('id_1', '!r:s', { max_text_length: 5 })
  expect(await repository.get('id_1', '!r:s')).toMatchObject({ features: newer })
})

test('a join that a crash interrupted is completed without joining again', async () => {
  insertChat(db, { membership: 'joining' })
  startWorker()
  await settled()
  await settled()
  expect(joins).toEqual([])
  expect(membership()).toBe('joined')
})

test('a join that fails for now is tried again, later and later', async () => {
  failure = new GatewayError('homeserver_unavailable', 'down')
  insertChat(db, { membership: 'invited' })
  startWorker()
  await settled()
  await clock.advance(500)
  expect(joins).toHaveLength(1)
  await clock.advance(1_000)
  await clock.advance(60_000)
  expect(joins.length).toBeGreaterThan(2)
  failure = undefined
  await clock.advance(300_000)
  expect(membership()).toBe('joined')
})

test('an invitation that was taken back is forgotten', async () => {
  failure = new GatewayError('forbidden', 'not invited')
  insertChat(db, { membership: 'invited' })
  startWorker()
  await settled()
  await clock.advance(600_000)
  expect(joins).toHaveLength(1)
  expect(membership()).toBe('left')
  await expect(rooms.ensureJoined('id_1', '!r:s')).rejects.toMatchObject({ code: 'forbidden' })
})
