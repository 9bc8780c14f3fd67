/** Making groups and joining them, with a scripted bridge. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { media, messages } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { BridgeContact, RoomEvent } from '../../../src/domain/ports.ts'
import { featuresOf, rememberFeatures } from '../../../src/modules/chats/chat-repository.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { createGroupsModule, type GroupsModule } from '../../../src/modules/groups/index.ts'
import { insertChat, insertDevice } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

const BY = { identityId: 'id_1', deviceId: '237', platform: null }
const LINK = 'https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv'

let module: ReturnType<typeof testModule>
let groups: GroupsModule
/** Calls of the bridge and the homeserver. */
let calls: unknown[]
let failed: Map<string, string>
let state: Record<string, RoomEvent[]>
/** Rooms that links lead to, and those that don't let us in. */
let linked: string[]
let closed: string[]
let forgotten: string[]
let discarded: string[]
beforeEach(() => {
  calls = []
  failed = new Map()
  state = {}
  linked = []
  closed = []
  forgotten = []
  discarded = []
  module = testModule({
    bridge: {
      resolveIdentifier: async (_user, _login, identifier) => personCalled(identifier),
      createGroup: async (userId, loginId, group) => {
        calls.push([userId, loginId, group])
        return { roomId: '!g:s', channelId: '1@g.us', failed }
      },
    },
    session: {
      join: async roomId => {
        if (closed.includes(roomId)) throw new GatewayError('forbidden', 'not invited')
      },
      state: async roomId => state[roomId] ?? [],
      typing: async (...typing) => void calls.push(typing),
    },
  })
  const repository = createDeviceRepository(module.db)
  const all = (identityId: string) => repository.listAll(identityId)
  groups = createGroupsModule({
    ...module,
    devices: {
      linked: all,
      linkedFirst: all,
      find: async (identityId, deviceId) =>
        (await all(identityId)).find(device => device.deviceId === deviceId) ?? null,
    },
    media: { discard: async file => void discarded.push(file.id) },
    waiting: { lanesOfPeople: async () => [] },
    backlog: { enter: () => undefined, leave: () => undefined },
    paceOf: () => ({ intervalMs: 0, jitter: 0, burst: 1 }),
    recipients: {
      keyOf: async (_device, kind, recipient) => `${kind}:${recipient}`,
      resolve: async () => linked.shift() ?? '',
      forget: async (_device, roomId) => void forgotten.push(roomId),
    },
  })
  insertDevice(module.db)
})
afterEach(() => module.db.destroy())

function personCalled(identifier: string): BridgeContact {
  if (identifier === '404') throw new GatewayError('not_found', 'nobody')
  const id = identifier.replace('+', '')
  return {
    id,
    matrixUserId: `@whatsapp_${id}:s`,
    name: `Mr ${id}`,
    phone: null,
    identifiers: [],
    roomId: null,
  }
}

describe('a new group', () => {
  test('has each participant once, by the network’s id', async () => {
    const participants = ['+49151000001', '49151000001', 'ann']
    expect(await groups.create(BY, { name: 'Team', participants })).toEqual({ roomId: '!g:s', notAdded: [] })
    expect(calls).toEqual([['@mg1:s', '237', { name: 'Team', participants: ['49151000001', 'ann'] }]])
  })

  test('isn’t made when somebody isn’t on the network, who is named', async () => {
    const making = groups.create(BY, { name: 'Team', participants: ['ann', '404'] })
    await expect(making).rejects.toMatchObject({
      code: 'not_found',
      message: 'participants.1: "404" isn\'t on wa',
    })
    const wrong = groups.create(BY, { name: 'Team', participants: [LINK] })
    await expect(wrong).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(/^participants\.0: "https:.*": expected a phone number/),
    })
    expect(calls).toEqual([])
  })

  test('tells whom the network didn’t let in', async () => {
    failed = new Map([['ann', 'error 403']])
    const { notAdded } = await groups.create(BY, { name: 'Team', participants: ['ann', 'ben'] })
    expect(notAdded).toEqual([{ id: 'ann', name: 'Mr ann', reason: 'error 403' }])
  })

  test('needs a device that is linked', async () => {
    const making = groups.create({ ...BY, deviceId: '1' }, { name: 'Team', participants: ['ann'] })
    await expect(making).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a link', () => {
  test('leads to the group’s room', async () => {
    linked = ['!g:s']
    expect(await groups.join(BY, LINK)).toBe('!g:s')
    await expect(groups.join(BY, 'friends')).rejects.toMatchObject({
      code: 'bad_request',
      message: 'link: expected an invite link',
    })
  })

  test('is asked about once more when the room known for it has been left', async () => {
    linked = ['!old:s', '!new:s', '!old:s', '!old:s']
    closed = ['!old:s']
    expect(await groups.join(BY, LINK)).toBe('!new:s')
    expect(forgotten).toEqual(['!old:s'])
    await expect(groups.join(BY, LINK)).rejects.toMatchObject({ code: 'forbidden' })
  })
})

describe('members', () => {
  const event = (type: string, key: string, content: Record<string, unknown>): RoomEvent => ({
    ...{ event_id: `$${type}${key}`, room_id: '!r:s', sender: '@whatsappbot:s', origin_server_ts: 1 },
    ...{ type, state_key: key, content },
  })
  const member = (userId: string, membership: string, displayname?: string) =>
    event('m.room.member', userId, { membership, ...(displayname && { displayname }) })

  test('are people with their roles, the account first; bots and those who left aren’t', async () => {
    insertChat(module.db, { kind: 'group' })
    state['!r:s'] = [
      event('m.room.power_levels', '', { users: { '@mg1:s': 50, '@whatsapp_49151000002:s': 75 } }),
      event('io.element.functional_members', '', { service_members: ['@helper:s'] }),
      member('@mg1:s', 'join', 'Me'),
      member('@whatsapp_237:s', 'join'),
      member('@whatsappbot:s', 'join', 'WhatsApp bridge bot'),
      member('@helper:s', 'join'),
      member('@whatsapp_49151000003:s', 'invite', 'Zoe'),
      member('@whatsapp_49151000002:s', 'join', 'Ben'),
      member('@whatsapp_49151000004:s', 'leave', 'Gone'),
    ]
    const shown = await groups.members('id_1', '!r:s')
    expect(shown.map(({ name, role, is_self, phone }) => [name, role, is_self, phone])).toEqual([
      ['Me', 'admin', true, null],
      ['Ben', 'admin', false, '49151000002'],
      ['Zoe', 'invited', false, '49151000003'],
    ])
  })

  test('of no chat', async () => {
    await expect(groups.members('id_1', 'chat_x')).rejects.toMatchObject({ code: 'not_found' })
  })
})

test('the account is shown as typing for ten seconds, or no longer', async () => {
  const { id } = insertChat(module.db)
  await groups.showTyping('id_1', id, true)
  await groups.showTyping('id_1', '!r:s', false)
  expect(calls).toEqual([
    ['!r:s', 10_000],
    ['!r:s', null],
  ])
  await expect(groups.showTyping('id_1', 'chat_x', true)).rejects.toMatchObject({ code: 'not_found' })
})

describe('a picture', () => {
  const file = {
    ...{ id: 'file_1', identityId: 'id_1', fileName: 'avatar', mimeType: 'image/png', sizeBytes: 9 },
    ...{ width: 1, height: 1, durationMs: 0, blurHash: '', waveform: null, mxcUri: null, stored: true },
  }

  test('waits as an act, with its file', async () => {
    const { id } = insertChat(module.db, { kind: 'group' })
    const actions = await groups.update('id_1', id, { avatar: file })
    expect(actions).toMatchObject([{ type: 'set_avatar', status: 'queued', chat_id: id }])
    expect(module.db.orm.select().from(messages).all()).toMatchObject([{ mediaId: 'file_1', content: null }])
    expect(module.db.orm.select().from(media).all()).toMatchObject([file])
    expect(discarded).toEqual([])
  })

  test('of no chat is not kept', async () => {
    await expect(groups.update('id_1', 'chat_x', { avatar: file })).rejects.toMatchObject({
      code: 'not_found',
    })
    expect(discarded).toEqual(['file_1'])
  })

  test('that the chat doesn’t take is not kept', async () => {
    const features = featuresOf({ id: 'x', state: {} })
    await module.db.write(tx => rememberFeatures(tx, features))
    const { id } = insertChat(module.db, { features: features.digest })
    const refused = { code: 'unsupported_by_chat', message: expect.stringContaining('takes no picture here') }
    await expect(groups.update('id_1', id, { avatar: file })).rejects.toMatchObject(refused)
    await expect(groups.update('id_1', id, { avatar: null })).rejects.toMatchObject(refused)
    expect(discarded).toEqual(['file_1'])
    expect(module.db.orm.select().from(media).all()).toEqual([])
  })
})
