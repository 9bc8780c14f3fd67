/** A chat's own id: it stays when its bridge moves the chat, and leads to where that goes on. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { type ChatRepository, createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { insertChat, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let repository: ChatRepository

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  repository = createChatRepository(db)
})
afterEach(() => db.destroy())

const room = (roomId: string) => insertChat(db, { roomId })
const find = async (reference: string) => (await repository.find('id_1', reference))?.roomId
const idOf = async (roomId: string) => (await repository.get('id_1', roomId))?.id
const move = (from: string, to: string) =>
  repository.describe('id_1', from, { columns: { movedTo: to }, features: null }, 1)

test('leads to its chat, as the room id does, for its own identity alone', async () => {
  const { id } = room('!a:s')
  expect(id).toMatch(/^chat_[\da-f]{32}$/)
  expect(await find(id)).toBe('!a:s')
  expect(await find('!a:s')).toBe('!a:s')
  expect(await find('chat_none')).toBeUndefined()
  insertIdentity(db, 'id_2', '@mg2:s')
  expect(await repository.find('id_2', id)).toBeNull()
})

test('is the older of two once they are one chat, and both lead to it', async () => {
  const { id: older } = room('!a:s')
  const { id: newer } = room('!b:s')
  await move('!a:s', '!b:s')
  expect(await idOf('!b:s')).toBe(older)
  for (const reference of [older, newer, '!a:s', '!b:s']) expect(await find(reference)).toBe('!b:s')
})

test('stays that of the living room when that is the older one', async () => {
  const { id: older } = room('!b:s')
  const { id: newer } = room('!a:s')
  await move('!a:s', '!b:s')
  expect(await idOf('!b:s')).toBe(older)
  expect(await find(newer)).toBe('!b:s')
})

test('is passed on also to a room that we hear of later, and through several moves in any order', async () => {
  const { id } = room('!a:s')
  room('!b:s')
  await move('!b:s', '!c:s')
  await move('!a:s', '!b:s')
  expect(await find(id)).toBe('!b:s')
  await repository.setMembership('id_1', '!c:s', 'joining', 2)
  expect(await idOf('!c:s')).toBe(id)
  expect(await find(id)).toBe('!c:s')
})

test('of two rooms of one id on the network, the chat is the one that is open', async () => {
  insertChat(db, { roomId: '!a:s', movedTo: '!unknown:s' })
  insertChat(db, { roomId: '!b:s' })
  const device = { identityId: 'id_1', platform: 'wa', loginId: '237' }
  expect((await repository.ofDevice(device, '1@s.whatsapp.net'))?.roomId).toBe('!b:s')
})

test('others hear that a chat has moved, not that there is one', async () => {
  let moves = 0
  db.signals.on('moved', () => void moves++)
  await repository.setMembership('id_1', '!a:s', 'joining', 1)
  expect(moves).toBe(0)
  await move('!a:s', '!b:s')
  expect(moves).toBe(1)
})

test('rooms that name each other keep their ids', async () => {
  const ids = [room('!a:s').id, room('!b:s').id]
  await move('!a:s', '!b:s')
  await move('!b:s', '!a:s')
  expect([await idOf('!a:s'), await idOf('!b:s')].toSorted()).toEqual(ids)
})
