/** Joining portal rooms: once, with what was said before, and again when it failed. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { chats } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { MatrixSession, RoomEvent } from '../../../src/domain/ports.ts'
import { createJoins } from '../../../src/modules/receiving/invitations.ts'
import type { Worker } from '../../../src/runtime/worker.ts'
import { type ManualClock, settled } from '../../support/manual-clock.ts'
import { insertChat } from '../../support/rows.ts'
import type { TempDb } from '../../support/temp-db.ts'
import { testModule } from '../../support/test-module.ts'

let db: TempDb
let clock: ManualClock
let joins: string[]
let failure: GatewayError | undefined
/** Newest first. */
let timeline: RoomEvent[]
let completed: string[][]
/** How often unfinished joins were looked for. */
let looks: number
let joiner: Worker
let stop: () => Promise<void>

beforeEach(() => {
  joins = []
  looks = 0
  failure = undefined
  timeline = []
  completed = []
  stop = async () => undefined
  const session: Partial<MatrixSession> = {
    userId: '@mg1:s',
    join: async roomId => {
      joins.push(roomId)
      if (failure) throw failure
    },
    state: async () => [],
    messagesBackwards: async (_, limit, from) => {
      const start = Number(from ?? 0)
      const end = start + limit
      return { events: timeline.slice(start, end), next: end < timeline.length ? String(end) : null }
    },
  }
  const module = testModule({ session })
  const { chats: repository } = module
  ;({ db, clock } = module)
  joiner = createJoins({
    ...module,
    repository: {
      unfinished: () => {
        looks++
        return repository.unfinished()
      },
    },
    receiving: {
      completeJoin: async (chat, _state, said) => {
        completed.push(said.map(({ eventId }) => eventId))
        await repository.setMembership(chat.identityId, chat.roomId, 'joined', clock.now())
      },
    },
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
  const running = joiner.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
}

test('an invitation is answered, and what was said since is told, oldest first, over as many pages as it takes', async () => {
  insertChat(db, { membership: 'invited' })
  const since = Array.from({ length: 150 }, (_, index) => event(`$${index}`))
  timeline = [...since.toReversed(), invitation('$invite'), event('$before')]
  const joined: unknown[] = []
  // Others look then for who has written.
  db.signals.on('joined', (...chat) => joined.push([...chat, completed.length]))
  startWorker()
  await settled()
  await settled()
  expect(joins).toEqual(['!r:s'])
  expect(completed).toEqual([since.map(message => message.event_id)])
  expect(membership()).toBe('joined')
  expect(joined).toEqual([['id_1', '!r:s', 1]])
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
  const before = looks
  for (let second = 0; second < 5; second++) await clock.advance(1_000)
  expect(looks).toBeLessThanOrEqual(before + 1)
  expect(membership()).toBe('left')
})
