/** The list of chats, and one of them. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { profiles, roomFeatures } from '../../../src/db/schema/index.ts'
import type { ChatPlace } from '../../../src/modules/conversations/chat-list-repository.ts'
import {
  type ChatsAsked,
  type Conversations,
  createConversations,
} from '../../../src/modules/conversations/conversations.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { insertChat, insertDevice, insertIdentity, LINKED_AT } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

let module: ReturnType<typeof testModule>
let conversations: Conversations
beforeEach(() => {
  module = testModule()
  const repository = createDeviceRepository(module.db)
  const linked = (identityId: string) => repository.listAll(identityId)
  conversations = createConversations({
    ...module,
    media: { signedPath: id => `/media/${id}` },
    publicUrl: () => 'http://gateway',
    devices: {
      get: repository.get,
      linked,
      linkedFirst: linked,
      find: async (identityId, deviceId) =>
        (await linked(identityId)).find(device => device.deviceId === deviceId) ?? null,
    },
  })
  insertDevice(module.db)
})
afterEach(() => module.db.destroy())

const list = (asked: Partial<ChatsAsked> = {}) => conversations.list('id_1', { limit: 100, ...asked })
const rooms = async (asked: Partial<ChatsAsked> = {}) =>
  (await list(asked)).data.map(({ room_id: room }) => room)
const chat = (roomId: string, change: Partial<Parameters<typeof insertChat>[1]> = {}) =>
  insertChat(module.db, { roomId, channelId: `${roomId}@g.us`, kind: 'group', ...change })

describe('the list', () => {
  test('has the chat first in which something was said last', async () => {
    chat('!a', { activityAt: 2 })
    chat('!b', { activityAt: 3 })
    chat('!c', { activityAt: 1 })
    expect(await rooms()).toEqual(['!b', '!a', '!c'])
  })

  test('goes on behind a page, also among chats of the same moment, and ends', async () => {
    for (const name of ['!a', '!b', '!c', '!d', '!e']) chat(name, { activityAt: 7 })
    const seen: string[] = []
    let after: ChatPlace | undefined
    for (let pages = 0; pages < 3; pages++) {
      const page = await list({ limit: 2, after })
      seen.push(...page.data.map(({ room_id: room }) => room))
      after = page.next ?? undefined
    }
    expect([seen.toSorted(), after]).toEqual([['!a', '!b', '!c', '!d', '!e'], undefined])
  })

  test('has no rooms that are no chat to anybody, none that chats have left, and nobody else’s', async () => {
    insertIdentity(module.db, 'id_2', '@mg2:s')
    chat('!theirs', { identityId: 'id_2' })
    chat('!old', { movedTo: '!new' })
    for (const kind of ['space', 'management', 'other'] as const) chat(`!${kind}`, { kind })
    for (const kind of ['dm', 'group', 'channel', 'status'] as const) chat(`!${kind}`, { kind })
    expect((await rooms()).toSorted()).toEqual(['!channel', '!dm', '!group', '!status'])
  })

  test('of one device, kind or platform', async () => {
    insertDevice(module.db, { id: 'dev_2', loginId: '238', deviceId: '238', phone: '238' })
    chat('!dm', { kind: 'dm' })
    chat('!others', { receiver: '238' })
    chat('!shared', { receiver: null })
    chat('!signal', { platform: 'signal' })
    expect(await rooms({ kind: 'dm' })).toEqual(['!dm'])
    expect(await rooms({ platform: 'signal' })).toEqual(['!signal'])
    expect((await rooms({ deviceId: '238' })).toSorted()).toEqual(['!others', '!shared'])
    expect(list({ deviceId: '239' })).rejects.toThrow('device_id: there is no device 239')
  })

  test('by a part of a name in any case and with any accents, or of a number', async () => {
    chat('!a', { name: 'Ärzte am Platz' })
    chat('!b', { name: 'Friends', channelId: '49151234567@s.whatsapp.net' })
    for (let more = 0; more < 600; more++) chat(`!more${more}`, { name: 'x', activityAt: LINKED_AT + more })
    expect(await rooms({ query: 'äRZTE' })).toEqual(['!a'])
    expect(await rooms({ query: 'arzte' })).toEqual(['!a'])
    expect(await rooms({ query: '+49 151 234' })).toEqual(['!b'])
    expect(await rooms({ query: 'nobody' })).toEqual([])
  })
})

describe('a chat', () => {
  test('is found by its id, its room, and a room that it was in', async () => {
    const { id } = chat('!new', { name: 'Friends' })
    chat('!old', { movedTo: '!new' })
    for (const reference of [id, '!new', '!old'])
      expect(await conversations.get('id_1', reference)).toMatchObject({
        id,
        room_id: '!new',
        name: 'Friends',
      })
    chat('!space', { kind: 'space' })
    for (const reference of ['chat_x', '!space', '!x'])
      expect(conversations.get('id_1', reference)).rejects.toThrow(`there is no chat ${reference}`)
  })

  test('says who it is with, by whom wrote there, or else by its id on the network', async () => {
    module.db.orm
      .insert(profiles)
      .values({ matrixUserId: '@whatsapp_4915112345678:s', displayName: 'Ann' })
      .run()
    const ann = {
      id: '4915112345678',
      name: 'Ann',
      phone: '4915112345678',
      identifiers: ['tel:+4915112345678'],
    }
    const wrote = { kind: 'dm', name: '', peer: '@whatsapp_4915112345678:s' } as const
    chat('!wrote', wrote)
    expect(await conversations.get('id_1', '!wrote')).toMatchObject({
      name: 'Ann',
      device_id: '237',
      person: { ...ann, matrix_id: '@whatsapp_4915112345678:s', room: '!wrote' },
    })
    chat('!new', { kind: 'dm', name: 'Jonas', channelId: '4915187654321@s.whatsapp.net' })
    expect((await conversations.get('id_1', '!new')).person).toMatchObject({
      id: '4915187654321',
      name: 'Jonas',
      matrix_id: '@whatsapp_4915187654321:s',
    })
    chat('!group')
    expect((await conversations.get('id_1', '!group')).person).toBeNull()
  })

  test('says what it takes, as far as its bridge does', async () => {
    const content = {
      id: 'wa',
      max_text_length: 9,
      reply: 2,
      file: { 'm.image': { mime_types: { 'image/png': 1, 'image/x': -1 }, caption: 2, max_size: 7 } },
      location_message: 2,
      poll: 1,
      poll_max_options: 12,
      edit: 2,
      edit_max_age: 900,
      delete: -2,
      reaction: 2,
      allowed_reactions: ['👍'],
      state: { 'm.room.name': { level: 2 } },
      member_actions: { invite: 2, kick: -2 },
    }
    module.db.orm.insert(roomFeatures).values({ digest: 'd', content }).run()
    chat('!stated', { features: 'd' })
    chat('!silent', { features: '' })
    expect((await conversations.get('id_1', '!silent')).capabilities).toBeNull()
    expect((await conversations.get('id_1', '!stated')).capabilities).toMatchObject({
      max_text_length: 9,
      reply: true,
      files: { image: { mime_types: ['image/png'], caption: true, max_size: 7, max_duration_s: null } },
      ...{ location: true, mentions: false, poll: true, max_poll_options: 12 },
      ...{ edit: true, edit_max_age_s: 900, edit_max_count: null, unsend: false, unsend_max_age_s: null },
      ...{ reaction: true, allowed_reactions: ['👍'] },
      changes: ['rename', 'add_member', 'promote_member', 'demote_member'],
    })
  })
})
