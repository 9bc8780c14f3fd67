/** From an address as people write it to a room. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge } from '../../../src/domain/ports.ts'
import { createChatRepository } from '../../../src/modules/chats/repository.ts'
import { createRecipients, type Recipients } from '../../../src/modules/messages/recipients.ts'
import { createMessageRepository } from '../../../src/modules/messages/repository.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertChat, insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let calls: string[]
let existingRoom: string | null
let linkedGroup: string | null
let recipients: Recipients

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertDevice(db)
  calls = []
  existingRoom = null
  linkedGroup = null
  const contact = () => ({ matrixUserId: '@whatsapp_1:s', name: 'Jonas', phone: '1', roomId: existingRoom })
  const bridge: Partial<Bridge> = {
    resolveIdentifier: async (_user, login, identifier) => {
      calls.push(`resolve ${login} ${identifier}`)
      if (identifier.startsWith('999')) throw new GatewayError('not_found', 'nobody')
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
    joinGroup: async (_user, link) => {
      calls.push(`join ${link}`)
      return '5@g.us'
    },
  }
  recipients = createRecipients({
    repository: createMessageRepository(db),
    chats: createChatRepository(db),
    devices: { linked: async () => db.orm.query.devices.findMany().sync() },
    bridges: { platforms: ['wa'], forPlatform: () => bridge as Bridge, platformOfBot: async () => null },
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
