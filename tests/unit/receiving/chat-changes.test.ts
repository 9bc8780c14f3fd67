/** Changes of a chat as a whole, told as events and kept in its row. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chats, events } from '../../../src/db/schema/index.ts'
import type { ChatWideEvent } from '../../../src/domain/events.ts'
import type { RoomEvent } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { RoomEventSink } from '../../../src/matrix/room-event.ts'
import { translated } from '../../../src/matrix/translate/facts.ts'
import { createReceiving } from '../../../src/modules/receiving/receiving.ts'
import { createReceivingRepository } from '../../../src/modules/receiving/receiving-repository.ts'
import { insertChat, insertDevice, LINKED_AT } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

let module: ReturnType<typeof testModule>
let source: RoomEventSink
let count = 0
beforeEach(() => {
  module = testModule()
  const repository = createReceivingRepository(module.db)
  const receiving = createReceiving({ ...module, repository, learnDevices: async () => undefined })
  source = translated(receiving, silentLogger)
  insertDevice(module.db)
  insertChat(module.db, { kind: 'group', name: 'Friends', memberCount: 3 })
})
afterEach(() => module.db.destroy())

function state(type: string, content: Record<string, unknown>, change: Partial<RoomEvent> = {}): RoomEvent {
  return {
    event_id: `$${++count}`,
    room_id: '!r:s',
    sender: '@whatsappbot:s',
    type,
    state_key: '',
    origin_server_ts: LINKED_AT + 60_000,
    content,
    ...change,
  }
}
const member = (userId: string, membership: string, before?: string, change: Partial<RoomEvent> = {}) =>
  state(
    'm.room.member',
    { membership, displayname: `Mr ${userId.slice(1, 13)}` },
    {
      state_key: userId,
      ...(before && { unsigned: { prev_content: { membership: before } } }),
      ...change,
    },
  )
const take = (...told: RoomEvent[]) =>
  source.accept({
    position: { kind: 'transaction', txnId: `t${++count}` },
    events: told,
    receipts: [],
  })
const told = () =>
  module.db.orm
    .select()
    .from(events)
    .all()
    .map(({ payload }) => payload as ChatWideEvent)
const chat = () => module.db.orm.select().from(chats).get()

const ADA = '@whatsapp_49151000001:s'
const BEN = '@whatsapp_49151000002:s'

describe('a chat', () => {
  test('has another name, topic and picture, each told once', async () => {
    await take(state('m.room.name', { name: 'Friends' }))
    await take(state('m.room.name', { name: 'Team' }), state('m.room.topic', { topic: 'Plans' }))
    await take(state('m.room.avatar', { url: 'mxc://s/a' }))
    expect(chat()).toMatchObject({ name: 'Team', topic: 'Plans', avatar: 'mxc://s/a' })
    expect(told()).toMatchObject([{ changed: ['name'] }, { changed: ['topic'] }, { changed: ['avatar'] }])
    expect(told()[0]).toEqual({
      event: 'chat.updated',
      timestamp: '2026-04-27T09:01:00Z',
      device_id: '237',
      platform: 'wa',
      chat_id: chat()?.id ?? '',
      chat: { id: '!r:s', kind: 'group', name: 'Team' },
      changed: ['name'],
    })
  })

  test('that isn’t joined yet is described, and nobody told', async () => {
    module.db.orm.update(chats).set({ membership: 'joining' }).run()
    await take(state('m.room.name', { name: 'Team' }), member(ADA, 'join'))
    expect(chat()).toMatchObject({ name: 'Team', memberCount: 3 })
    expect(told()).toEqual([])
  })
})

describe('members', () => {
  test('come by themselves or by somebody, and go', async () => {
    await take(
      member(ADA, 'join', 'invite', { sender: ADA }),
      member(BEN, 'join', undefined, { sender: ADA }),
    )
    expect(chat()?.memberCount).toBe(5)
    await take(member(BEN, 'leave', 'join'))
    expect(chat()?.memberCount).toBe(4)
    const ada = { id: ADA, phone: '49151000001', name: 'Mr whatsapp_491' }
    const ben = { ...ada, id: BEN, phone: '49151000002' }
    expect(told()).toMatchObject([
      { event: 'member.joined', member: ada, by: null, is_self: false },
      { event: 'member.joined', member: ben, by: ada },
      { event: 'member.left', member: ben, by: null },
    ])
  })

  test('are the account itself when it is put out', async () => {
    await take(member('@mg1:s', 'leave', 'join', { sender: ADA }))
    const self = { id: '@mg1:s', phone: '237', name: 'Amina' }
    expect(told()).toMatchObject([{ event: 'member.left', is_self: true, member: self, by: { id: ADA } }])
    expect(chat()).toMatchObject({ membership: 'left', memberCount: 2 })
  })

  test('are put out by the account itself under the name of its device', async () => {
    await take(member(ADA, 'leave', 'join', { sender: '@mg1:s' }))
    expect(told()).toMatchObject([{ by: { id: '@mg1:s', phone: '237', name: 'Amina' } }])
  })

  test.each([
    ['who only have another name', member(ADA, 'join', 'join')],
    ['who are invited', member(ADA, 'invite')],
    ['who is the bot', member('@whatsappbot:s', 'join')],
    ['who is the account’s own ghost', member('@whatsapp_237:s', 'join')],
    ['from before the link', member(ADA, 'join', undefined, { origin_server_ts: LINKED_AT - 60_000 })],
  ])('%s are none who came', async (_who, event) => {
    await take(event)
    expect(told()).toEqual([])
    expect(chat()?.memberCount).toBe(3)
  })

  test('of a direct chat are told to nobody', async () => {
    module.db.orm.update(chats).set({ kind: 'dm' }).run()
    await take(member(ADA, 'join'))
    expect(told()).toEqual([])
  })
})
