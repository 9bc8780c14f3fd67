/** From an address as people write it to a room. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { chats, devices } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge, JoinedGroup } from '../../../src/domain/ports.ts'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { createRecipientRepository } from '../../../src/modules/chats/recipient-repository.ts'
import { createRecipients, type Recipients } from '../../../src/modules/sending/recipients.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertChat, insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { bridgesWith, moduleOn } from '../../support/test-module.ts'

let db: TempDb
let clock: ManualClock
let calls: string[]
let existingRoom: string | null
let linkedGroup: string | null
let joined: JoinedGroup
let namesLogin: boolean
let recipients: Recipients

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertDevice(db)
  calls = []
  existingRoom = null
  linkedGroup = null
  joined = { channelId: '5@g.us', name: null, already: false }
  namesLogin = false
  const contact = () => ({
    id: '1',
    matrixUserId: '@whatsapp_1:s',
    name: 'Jonas',
    phone: '1',
    identifiers: [],
    roomId: existingRoom,
  })
  const bridge: Partial<Bridge> = {
    resolveIdentifier: async (_user, login, identifier) => {
      calls.push(`resolve ${login} ${identifier}`)
      if (/^\+?999/.test(identifier)) throw new GatewayError('not_found', 'nobody')
      return contact()
    },
    createDirectChat: async (_user, login, identifier) => {
      calls.push(`create ${login} ${identifier}`)
      return { roomId: '!new:s', contact: contact() }
    },
    resolveGroupLink: async (_user, link) => {
      calls.push(`resolve-link ${link}`)
      return linkedGroup
    },
    joinsAsLogin: async () => namesLogin,
    joinGroup: async (_user, login, link) => {
      calls.push(namesLogin ? `join ${login} ${link}` : `join ${link}`)
      return joined
    },
  }
  recipients = createRecipients({
    repository: createRecipientRepository(db),
    chats: createChatRepository(db),
    devices: { linked: async () => db.orm.query.devices.findMany().sync() },
    bridges: bridgesWith(bridge),
    phones: moduleOn(db).phones,
    clock,
  })
})
afterEach(() => db.destroy())

const device = () => {
  const row = db.orm.query.devices.findFirst().sync()
  if (!row) throw new Error('no device')
  return row
}
const contact = (recipient: string) => recipients.resolve(device(), '@mg1:s', 'contact', recipient)
const group = (recipient: string) => recipients.resolve(device(), '@mg1:s', 'group', recipient)

describe('a contact', () => {
  test('who has written is answered without asking the bridge, which may know nobody by their Matrix id', async () => {
    insertChat(db, { roomId: '!left:s', peer: '@whatsapp_1:s', membership: 'left', createdAt: 3 })
    insertChat(db, { roomId: '!other:s', peer: '@whatsapp_1:s', receiver: '999', createdAt: 2 })
    insertChat(db, { roomId: '!r:s', peer: '@whatsapp_1:s', createdAt: 1 })
    expect(await contact('@whatsapp_1:s')).toBe('!r:s')
    expect(calls).toEqual([])
    await contact('@whatsapp_2:s')
    expect(calls).not.toEqual([])
  })

  test('gets a chat when there is none, once, however the number is written', async () => {
    expect(await contact('+1 (234) 5')).toBe('!new:s')
    expect(await contact('12345')).toBe('!new:s')
    expect(calls).toEqual(['resolve 237 +12345', 'create 237 +12345'])
  })

  test('that has a chat keeps it', async () => {
    existingRoom = '!old:s'
    expect(await contact('12345')).toBe('!old:s')
    expect(calls).toEqual(['resolve 237 12345'])
  })

  test("may be written as a webhook's `from`", async () => {
    await contact('@whatsapp_12345:s')
    expect(calls[0]).toBe('resolve 237 12345')
  })

  test("whose Matrix id is named otherwise than usual: the account's own ghost shows how", async () => {
    db.orm.update(devices).set({ ghostUserId: '@my_wa-237-ghost:s' }).run()
    await contact('@my_wa-_ada__=c3=a9-ghost:s')
    expect(calls[0]).toBe('resolve 237 Ada_é')
  })

  test("whose Matrix id can't be taken apart is left to the bridge", async () => {
    db.orm.update(devices).set({ ghostUserId: null }).run()
    await contact('@ghost:s')
    expect(calls[0]).toBe('resolve 237 @ghost:s')
  })

  test('is looked for as a phone number, then as what was written; ids keep their case', async () => {
    await expect(contact('999-1')).rejects.toMatchObject({ code: 'not_found' })
    await contact('ACoAAB')
    await contact('acoaab')
    expect(calls).toEqual([
      'resolve 237 9991',
      'resolve 237 999-1',
      'resolve 237 ACoAAB',
      'create 237 ACoAAB',
      'resolve 237 acoaab',
      'create 237 acoaab',
    ])
  })

  test('in a link is looked for by the number in it alone', async () => {
    await expect(contact('https://wa.me/999123?text=Hi')).rejects.toMatchObject({ code: 'not_found' })
    expect(calls).toEqual(['resolve 237 +999123'])
    await expect(contact('https://example.com/ada')).rejects.toMatchObject({ code: 'bad_request' })
    expect(calls).toHaveLength(1)
  })

  test('that is not on the network', async () => {
    await expect(contact('99912')).rejects.toMatchObject({
      code: 'not_found',
      message: "99912 isn't on wa: nobody",
    })
  })

  test('is asked for again when its room has turned out to be gone', async () => {
    await contact('12345')
    await recipients.forget(device(), '!new:s')
    await contact('12345')
    expect(calls).toHaveLength(4)
  })
})

test('a room means its own chat, also where another is remembered for the person', async () => {
  for (const roomId of ['!r:s', '!r2:s']) insertChat(db, { roomId, peer: '@whatsapp_4915123:s' })
  const key = await recipients.keyOf(device(), 'contact', '!r:s')
  await createRecipientRepository(db).rememberRoom('dev_1', key, { roomId: '!r2:s', matrixUserId: null }, 1)
  const known = (recipient: string) => recipients.known(device(), { kind: 'contact', recipient, key })
  expect((await known('+4915123'))?.roomId).toBe('!r2:s')
  expect((await known('!r:s'))?.roomId).toBe('!r:s')
})

describe('people who are mentioned', () => {
  const mentioned = async (...contacts: string[]) =>
    Object.fromEntries((await recipients.mentioned(device(), '@mg1:s', contacts)) ?? [])

  test('are who the bridge says they are, or who they were when they were written to', async () => {
    expect(await mentioned('+1 23', '@whatsapp_9:s')).toEqual({
      '@+1 23': '@whatsapp_1:s',
      '@whatsapp_9:s': '@whatsapp_9:s',
    })
    expect(calls).toEqual(['resolve 237 +123'])
    await contact('77')
    calls = []
    expect(await mentioned('77')).toEqual({ '@77': '@whatsapp_1:s' })
    expect(calls).toEqual([])
  })

  test('must be somebody', async () => {
    expect(mentioned('999')).rejects.toMatchObject({ code: 'not_found' })
    expect(await recipients.mentioned(device(), '@mg1:s', undefined)).toBeUndefined()
  })
})

describe('a chat that its bridge has moved', () => {
  beforeEach(() => {
    insertChat(db, { peer: '@whatsapp_1:s', movedTo: '!r2:s' })
    insertChat(db, { roomId: '!r2:s', channelId: '5@lid', peer: '@whatsapp_lid-5:s' })
  })

  const remembered = { roomId: '!r:s', matrixUserId: null }
  const known = async (recipient: string) => {
    const key = await recipients.keyOf(device(), 'contact', recipient)
    return (await recipients.known(device(), { kind: 'contact', recipient, key }))?.roomId
  }

  test('is known in its new room by the old room, the old Matrix user, and what was remembered', async () => {
    await createRecipientRepository(db).rememberRoom('dev_1', 'contact:23799', remembered, 1)
    for (const way of ['!r:s', '@whatsapp_1:s', '+237 99', '!r2:s', '@whatsapp_lid-5:s'])
      expect(await known(way)).toBe('!r2:s')
  })

  test('is the device’s also while its new room has only been told of', async () => {
    db.orm.update(chats).set({ platform: null, membership: 'invited' }).where(eq(chats.roomId, '!r2:s')).run()
    expect([await contact('!r:s'), await known('!r:s')]).toEqual(['!r:s', '!r2:s'])
  })

  test('is in one lane before and after, whoever has written in the new room', async () => {
    const keys = () => Promise.all(['!r:s', '!r2:s'].map(room => recipients.keyOf(device(), 'contact', room)))
    db.orm.update(chats).set({ peer: '@whatsapp_4915123:s' }).where(eq(chats.roomId, '!r:s')).run()
    expect((await keys())[0]).toBe('contact:4915123')
    db.orm.update(chats).set({ peer: null }).where(eq(chats.roomId, '!r2:s')).run()
    expect((await keys())[0]).toBe('contact:4915123')
  })

  test('is with whoever has written in either room', async () => {
    db.orm.update(chats).set({ peer: null }).where(eq(chats.roomId, '!r:s')).run()
    expect(await recipients.keyOf(device(), 'contact', '!r:s')).toBe('contact:@whatsapp_lid-5:s')
  })

  test('is entered by what was known of it until that was followed once', async () => {
    await createRecipientRepository(db).rememberRoom('dev_1', 'contact:23799', remembered, 1)
    expect([await contact('23799'), await contact('!r:s')]).toEqual(['!r:s', '!r:s'])
    await recipients.follow(device(), '!r:s', '!r2:s')
    expect(await contact('23799')).toBe('!r2:s')
    expect(calls).toEqual([])
  })

  test('is found there also when we are out of the old room, not when the new one isn’t known', async () => {
    db.orm.update(chats).set({ membership: 'left' }).where(eq(chats.roomId, '!r:s')).run()
    expect(await known('!r:s')).toBe('!r2:s')
    db.orm.delete(chats).where(eq(chats.roomId, '!r2:s')).run()
    // Whoever enters it follows its state.
    expect([await known('!r:s'), await contact('!r:s')]).toEqual(['!r:s', '!r:s'])
  })

  test('is settled in all rooms that it has left, where it is written to by its id', async () => {
    insertChat(db, { roomId: '!r0:s', movedTo: '!r:s' })
    const { id } = (await createChatRepository(db).find('id_1', '!r2:s')) ?? { id: '' }
    expect(await contact(id)).toBe('!r2:s')
    expect(await recipients.closedRooms(device(), id, '!r2:s', '!r2:s')).toEqual(['!r:s', '!r0:s'])
    expect(await recipients.closedRooms(device(), '!r0:s', '!r0:s', '!r2:s')).toEqual(['!r:s', '!r0:s'])
    // The room that is remembered is the one that was written in last.
    expect(await recipients.closedRooms(device(), '23799', '!r:s', '!r2:s')).toEqual(['!r:s'])
    expect(await recipients.closedRooms(device(), '23799', '!r2:s', '!r2:s')).toEqual([])
  })

  test('isn’t listed as a group any more', async () => {
    db.orm.update(chats).set({ kind: 'group' }).run()
    const groups = await createChatRepository(db).groupsOf(device())
    expect(groups.map(({ roomId }) => roomId)).toEqual(['!r2:s'])
    expect(await group('1@s.whatsapp.net')).toBe('!r2:s')
  })
})

describe('the key of a recipient', () => {
  const keyOf = (recipient: string) => recipients.keyOf(device(), 'contact', recipient)

  test('is the same for each way of writing a hidden id whose number nobody knows', async () => {
    const ways = ['lid-55', '55@lid', '55:3@lid', '@whatsapp_lid-55:s', ' lid-55 ']
    expect(new Set(await Promise.all(ways.map(keyOf)))).toEqual(new Set(['contact:@whatsapp_lid-55:s']))
  })

  test('is the same for a direct chat’s room as for whom it is with', async () => {
    insertChat(db, { roomId: '!a:s', peer: '@whatsapp_49123456:s' })
    insertChat(db, { roomId: '!b:s', peer: '@whatsapp_lid-55:s' })
    insertChat(db, { roomId: '!nobody:s' })
    insertChat(db, { roomId: '!g:s', kind: 'group', peer: '@whatsapp_49123456:s' })
    const keys = await Promise.all(['!a:s', '!b:s', '!nobody:s', '!g:s', '!unknown:s'].map(keyOf))
    expect(keys).toEqual([
      'contact:49123456',
      'contact:@whatsapp_lid-55:s',
      'contact:!nobody:s',
      'group:1@s.whatsapp.net',
      'contact:!unknown:s',
    ])
  })

  test('is the same for a chat’s id, its room, and a number that was written to and hasn’t answered', async () => {
    expect(await contact('12345')).toBe('!new:s')
    const { id } = insertChat(db, { roomId: '!new:s' })
    expect(await Promise.all(['1', id, '!new:s'].map(keyOf))).toEqual(Array(3).fill('contact:1'))
    // Until something is sent in the room to which it has moved.
    db.orm.update(chats).set({ movedTo: '!next:s' }).where(eq(chats.roomId, '!new:s')).run()
    const next = insertChat(db, { roomId: '!next:s' })
    expect(await Promise.all([id, next.id].map(keyOf))).toEqual(['contact:1', 'contact:1'])
  })

  test('is the same for a group’s id, its room and its id on the network', async () => {
    const { id } = insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
    const keys = [id, '!g:s', '5@g.us'].map(written => recipients.keyOf(device(), 'group', written))
    expect(await Promise.all(keys)).toEqual(Array(3).fill('group:5@g.us'))
  })

  test('of a name is that of the person, once it was resolved', async () => {
    expect(await keyOf('@Ada')).toBe('contact:@Ada')
    expect(await contact('@Ada')).toBe('!new:s')
    expect([await keyOf('@Ada'), await keyOf('@whatsapp_1:s')]).toEqual(['contact:1', 'contact:1'])
    calls = []
    // Nobody is asked again, in whichever way they are written.
    expect([await contact('@Ada'), await contact('@whatsapp_1:s')]).toEqual(['!new:s', '!new:s'])
    expect(calls).toEqual([])
  })

  test.each(['lid-55', '@whatsapp_lid-55:s'])(
    'of %s is that of the number, once the bridge has answered with the other of their Matrix users',
    async written => {
      expect(await contact(written)).toBe('!new:s')
      expect(await Promise.all([written, '55@lid', '@whatsapp_1:s'].map(keyOf))).toEqual(
        Array(3).fill('contact:1'),
      )
    },
  )

  test('leaves names and UUIDs of other networks as they are', async () => {
    const uuid = 'b0a4f1c2-0000-4000-8000-000000000001'
    expect(await keyOf('@Ada')).toBe('contact:@Ada')
    expect(await keyOf(uuid)).toBe(`contact:@whatsapp_${uuid}:s`)
    db.orm.update(devices).set({ ghostUserId: null }).run()
    expect(await keyOf(uuid)).toBe(`contact:${uuid}`)
  })
})

describe('a group', () => {
  test('by its link is joined, and its chat waited for; the next time nothing is asked', async () => {
    const found = group('http://chat.whatsapp.com/abc?x=1')
    await clock.advance(100)
    insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us', membership: 'invited' })
    await clock.advance(5_000)
    expect(await found).toBe('!g:s')
    expect(await group('https://chat.whatsapp.com/abc/')).toBe('!g:s')
    expect(calls).toEqual([
      'resolve-link https://chat.whatsapp.com/abc',
      'join https://chat.whatsapp.com/abc',
    ])
    // Whoever names it in another way means the same one.
    const keyOf = (written: string) => recipients.keyOf(device(), 'group', written)
    expect(await keyOf('https://chat.whatsapp.com/abc')).toBe('group:5@g.us')
    const addressed = { kind: 'group', recipient: 'chat.whatsapp.com/abc', key: 'group:5@g.us' } as const
    expect(await recipients.known(device(), addressed)).toMatchObject({ roomId: '!g:s' })
  })

  test('of which the bridge tells only the name is the new one of that name', async () => {
    insertChat(db, { roomId: '!old:s', kind: 'group', channelId: '1', name: 'Friends' })
    joined = { channelId: null, name: 'Friends', already: false }
    const found = group('https://t.me/+abc')
    await clock.advance(100)
    insertChat(db, { roomId: '!other:s', kind: 'group', channelId: '2', name: 'Foes' })
    insertChat(db, { roomId: '!new:s', kind: 'group', channelId: '3', name: 'Friends' })
    await clock.advance(2_000)
    expect(await found).toBe('!new:s')
  })

  test('that we were in already is the one of that name', async () => {
    insertChat(db, { roomId: '!old:s', kind: 'group', channelId: '1', name: 'Friends' })
    joined = { channelId: null, name: 'Friends', already: true }
    expect(await group('t.me/+abc')).toBe('!old:s')
    insertChat(db, { roomId: '!old2:s', kind: 'group', channelId: '2', name: 'Friends' })
    const unsure = group('t.me/+def').catch((error: unknown) => error)
    await clock.advance(40_000)
    expect(await unsure).toMatchObject({ code: 'bridge_timeout' })
  })

  test('is joined by the right one of several devices where the bridge can be told which', async () => {
    insertDevice(db, { id: 'dev_2', loginId: '111', deviceId: '111', phone: '111' })
    insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
    namesLogin = true
    expect(await group('https://t.me/+abc')).toBe('!g:s')
    expect(calls.at(-1)).toBe('join 237 https://t.me/+abc')
  })

  test('that is a chat already is not joined again', async () => {
    insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
    linkedGroup = '5@g.us'
    expect(await group('https://chat.whatsapp.com/abc')).toBe('!g:s')
    expect(calls).toEqual(['resolve-link https://chat.whatsapp.com/abc'])
  })

  test('by its id on the network, or by its room', async () => {
    insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
    expect(await group('5@g.us')).toBe('!g:s')
    expect(await group('!g:s')).toBe('!g:s')
    await expect(group('6@g.us')).rejects.toMatchObject({ code: 'not_found' })
    await expect(group('!other:s')).rejects.toMatchObject({ code: 'not_found' })
    expect(calls).toEqual([])
  })

  test('of another device of the same identity is not this one: nothing leaves from the wrong phone', async () => {
    insertDevice(db, { id: 'dev_2', loginId: '111', deviceId: '111', phone: '111' })
    insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us', receiver: '111' })
    insertChat(db, { roomId: '!shared:s', kind: 'group', channelId: '6@g.us', receiver: null })
    await expect(group('!g:s')).rejects.toMatchObject({ code: 'not_found' })
    await expect(group('5@g.us')).rejects.toMatchObject({ code: 'not_found' })
    expect(await group('6@g.us')).toBe('!shared:s')
    linkedGroup = '5@g.us'
    await expect(group('https://chat.whatsapp.com/abc')).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('with 111 only'),
    })
    expect(calls).toEqual(['resolve-link https://chat.whatsapp.com/abc'])
  })

  test('whose chat the bridge never makes', async () => {
    const found = group('https://chat.whatsapp.com/abc').catch((error: unknown) => error)
    await clock.advance(40_000)
    expect(await found).toMatchObject({ code: 'bridge_timeout' })
  })
})
