/** Entering rooms: once, however many need it, with what the room's state says of the chat. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { chats } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { MatrixSession, RoomEvent } from '../../../src/domain/ports.ts'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import type { ChatRooms } from '../../../src/modules/chats/chat-rooms.ts'
import { insertChat } from '../../support/rows.ts'
import type { TempDb } from '../../support/temp-db.ts'
import { testModule } from '../../support/test-module.ts'

let db: TempDb
let joins: string[]
let failure: GatewayError | undefined
/** The room's, and how often it was asked for. */
let state: RoomEvent[]
let stateReads: number
let rooms: ChatRooms

beforeEach(() => {
  joins = []
  failure = undefined
  state = []
  stateReads = 0
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
  }
  ;({ db, chatRooms: rooms } = testModule({ session }))
})
afterEach(() => db.destroy())

function told(type: string, content: Record<string, unknown>, sender = '@whatsappbot:s'): RoomEvent {
  return { event_id: '$1', room_id: '!r:s', sender, type, state_key: '', origin_server_ts: 1, content }
}
const chat = () => db.orm.select().from(chats).all()[0]
const PORTAL = () =>
  told('m.bridge', {
    bridgebot: '@whatsappbot:s',
    channel: { id: '1@s', displayname: 'Jonas' },
    'com.beeper.room_type': 'dm',
  })

test('those who need the room at the same time share its join', async () => {
  insertChat(db, { membership: 'invited' })
  const answers = await Promise.all([
    rooms.ensureEntered('id_1', '!r:s'),
    rooms.ensureEntered('id_1', '!r:s'),
    rooms.enter('id_1', '!r:s').then(() => chat()),
  ])
  expect(answers.map(entered => entered?.membership)).toEqual(['joining', 'joining', 'joining'])
  expect(joins).toEqual(['!r:s'])
})

test('a room that we have not been told of is joined when it is needed, and receiving is told; a joined one costs nothing', async () => {
  let invited = 0
  db.signals.on('invited', () => invited++)
  await rooms.ensureEntered('id_1', '!r:s')
  expect([joins, invited]).toEqual([['!r:s'], 1])
  db.orm.update(chats).set({ membership: 'joined' }).run()
  await rooms.ensureEntered('id_1', '!r:s')
  expect([joins, invited, stateReads]).toEqual([['!r:s'], 1, 1])
})

test('what is sent first finds the chat as its room describes it, though what was said there is still to be fetched', async () => {
  const encryption = told('m.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' })
  const features = told('com.beeper.room_features', { max_text_length: 9 })
  const forged = told('com.beeper.room_features', { max_text_length: 1 }, '@mallory:s')
  state = [features, encryption, PORTAL(), forged]
  const described = {
    membership: 'joining',
    bridgeBot: '@whatsappbot:s',
    platform: 'wa',
    kind: 'dm',
    channelId: '1@s',
    name: 'Jonas',
    encrypted: true,
  } as const
  const takes = { maxTextLength: 9 }
  expect(await rooms.ensureEntered('id_1', '!r:s')).toMatchObject({ ...described, takes })
  expect(chat()).toMatchObject(described)
})

test('a join that was begun before is not begun again', async () => {
  insertChat(db, { membership: 'joining' })
  expect(await rooms.enter('id_1', '!r:s')).toEqual([])
  expect([joins, stateReads]).toEqual([[], 1])
})

test('a chat whose join has ended meanwhile stays joined', async () => {
  insertChat(db)
  await createChatRepository(db).setMembership('id_1', '!r:s', 'joining', 1)
  expect(chat()?.membership).toBe('joined')
})

test('a chat of before, whose features nobody asked for, is asked once', async () => {
  insertChat(db)
  const content = { max_text_length: 9 }
  state = [
    told('com.beeper.room_features', content),
    told('com.beeper.room_features', {}, '@mallory:s'),
    told('com.beeper.room_features', { max_text_length: 1 }, '@signal_1:s'),
  ]
  for (let times = 0; times < 2; times++)
    expect((await rooms.ensureEntered('id_1', '!r:s')).takes).toMatchObject({ maxTextLength: 9 })
  insertChat(db, { roomId: '!silent:s' })
  state = []
  for (let times = 0; times < 2; times++)
    expect((await rooms.ensureEntered('id_1', '!silent:s')).takes).toBeNull()
  expect(stateReads).toBe(2)
})

test('features that came meanwhile are not put back by a state that was read before', async () => {
  insertChat(db)
  const repository = createChatRepository(db)
  const newer = await repository.learnFeatures('id_1', '!r:s', { max_text_length: 9 })
  await repository.learnFeatures('id_1', '!r:s', { max_text_length: 5 })
  expect(await repository.get('id_1', '!r:s')).toMatchObject({ features: newer })
})

test('a chat that its bridge has moved is entered where it goes on, also when only its room tells', async () => {
  insertChat(db, { roomId: '!r2:s', channelId: '1@lid' })
  const closed = { body: 'merged', replacement_room: '!r2:s' }
  state = [PORTAL(), told('m.room.tombstone', closed), told('m.room.tombstone', {}, '@mallory:s')]
  expect(await rooms.ensureEntered('id_1', '!r:s')).toMatchObject({ roomId: '!r2:s', channelId: '1@lid' })
  expect(joins).toEqual(['!r:s'])
  db.orm.update(chats).set({ membership: 'left' }).where(eq(chats.roomId, '!r:s')).run()
  expect(await rooms.ensureEntered('id_1', '!r:s')).toMatchObject({ roomId: '!r2:s' })
  expect(joins).toEqual(['!r:s'])
})

test('rooms that name each other as the newer one are given up on', async () => {
  insertChat(db, { movedTo: '!r2:s' })
  insertChat(db, { roomId: '!r2:s', movedTo: '!r:s' })
  expect(await rooms.ensureEntered('id_1', '!r:s')).toMatchObject({ membership: 'joined' })
})

test('a room that may not be joined is left', async () => {
  failure = new GatewayError('forbidden', 'not invited')
  insertChat(db, { membership: 'invited' })
  await expect(rooms.ensureEntered('id_1', '!r:s')).rejects.toMatchObject({ code: 'forbidden' })
  expect(chat()?.membership).toBe('left')
})
