/** How acts on a chat are done in its room, and again after a crash. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Media } from '../../../src/db/schema/index.ts'
import type { ActArguments } from '../../../src/domain/act-arguments.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { MatrixSession, RoomEvent } from '../../../src/domain/ports.ts'
import type { ChatActType } from '../../../src/domain/states.ts'
import { featuresOf, rememberFeatures } from '../../../src/modules/chats/chat-repository.ts'
import { createChatActHandlers } from '../../../src/modules/groups/handlers.ts'
import type { MediaFiles } from '../../../src/modules/media/media.ts'
import type { ActTry } from '../../../src/modules/sending/outbox.ts'
import { insertChat, insertDevice } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

const ADA = '@whatsapp_49151000001:s'
const MARK = 'org.meshgate.transaction_id'

let module: ReturnType<typeof testModule>
let calls: unknown[]
let state: RoomEvent[]
let chat: ReturnType<typeof insertChat>
beforeEach(() => {
  calls = []
  state = []
  module = testModule({ session: session() })
  insertDevice(module.db)
  chat = insertChat(module.db, { kind: 'group', features: '' })
})
afterEach(() => module.db.destroy())

function session(): Partial<MatrixSession> {
  return {
    userId: '@mg1:s',
    state: async () => state,
    sendState: async (...set) => `$${calls.push(set)}`,
    send: async (...sent) => `$${calls.push(sent)}`,
  }
}

/** The homeserver has one picture. */
const media: Pick<MediaFiles, 'upload'> = {
  async upload(id) {
    if (id === 'file_1') return { file: {} as Media, mxcUri: 'mxc://s/1' }
    throw new GatewayError('not_found', 'the file is no longer kept')
  },
}

type More = { text?: string; content?: ActArguments; mediaId?: string }
async function doIt(act: ChatActType, more: More = {}) {
  const row = {
    identityId: 'id_1',
    recipient: chat.id,
    act,
    text: null,
    content: null,
    mediaId: null,
    ...more,
  }
  const attempt = { act: row, session: session(), txnId: 'act_1', isRepeat: false } as unknown as ActTry
  const done = await createChatActHandlers({ ...module, media })[act](attempt)
  return typeof done === 'string' ? done : done.eventId
}
const member = (membership: string, content: Record<string, unknown> = {}): RoomEvent => ({
  ...{ event_id: '$before', room_id: '!r:s', sender: '@mg1:s', origin_server_ts: 1 },
  ...{ type: 'm.room.member', state_key: ADA, content: { membership, ...content } },
})
const ada = { member: { written: '+49151000001', userId: ADA } }

describe('state', () => {
  test.each([
    ['rename', { text: 'Team' }, 'm.room.name', { name: 'Team' }],
    ['set_topic', { text: 'Plans' }, 'm.room.topic', { topic: 'Plans' }],
    ['set_avatar', { mediaId: 'file_1' }, 'm.room.avatar', { url: 'mxc://s/1' }],
    ['set_avatar', { content: { withoutAvatar: true } }, 'm.room.avatar', {}],
    [
      'set_disappearing',
      { content: { disappearingS: 60 } },
      'com.beeper.disappearing_timer',
      { type: 'after_send', timer: 60_000 },
    ],
    [
      'set_disappearing',
      { content: { disappearingS: 0 } },
      'com.beeper.disappearing_timer',
      { type: '', timer: 0 },
    ],
  ] as const)('%s %j', async (act, more, type, content) => {
    expect(await doIt(act, more)).toBe('$1')
    expect(calls).toEqual([['!r:s', type, '', { ...content, [MARK]: 'act_1' }]])
  })
})

test('a picture that was erased meanwhile doesn’t take the other away', async () => {
  await expect(doIt('set_avatar')).rejects.toMatchObject({ code: 'not_found' })
  expect(calls).toEqual([])
})

describe('a member', () => {
  test('is invited to be added, and gone when removed', async () => {
    expect(await doIt('add_member', { content: ada })).toBe('$1')
    state = [member('join')]
    expect(await doIt('remove_member', { content: ada })).toBe('$2')
    expect(calls).toEqual([
      ['!r:s', 'm.room.member', ADA, { membership: 'invite', [MARK]: 'act_1' }],
      ['!r:s', 'm.room.member', ADA, { membership: 'leave', [MARK]: 'act_1' }],
    ])
  })

  test('who is there already, or gone, is left alone', async () => {
    expect(await doIt('remove_member', { content: ada })).toBeNull()
    state = [member('join')]
    expect(await doIt('add_member', { content: ada })).toBeNull()
    expect(calls).toEqual([])
  })

  test('whom a try before a crash invited has that event', async () => {
    state = [member('invite', { [MARK]: 'act_1' })]
    expect(await doIt('add_member', { content: ada })).toBe('$before')
    expect(calls).toEqual([])
  })

  test('is an admin by their level, and no longer', async () => {
    const levels = { users: { '@mg1:s': 100 }, events: { 'm.room.name': 50 } }
    const powers = { ...member(''), type: 'm.room.power_levels', state_key: '' }
    state = [{ ...powers, content: levels }]
    expect(await doIt('demote_member', { content: ada })).toBeNull()
    expect(await doIt('promote_member', { content: ada })).toBe('$1')
    state = [{ ...powers, content: { ...levels, users: { ...levels.users, [ADA]: 50 } } }]
    expect(await doIt('demote_member', { content: ada })).toBe('$2')
    expect(calls).toEqual([
      ['!r:s', 'm.room.power_levels', '', { ...levels, users: { '@mg1:s': 100, [ADA]: 50 } }],
      ['!r:s', 'm.room.power_levels', '', { ...levels, users: { '@mg1:s': 100, [ADA]: 0 } }],
    ])
  })
})

test('leaving and blocking', async () => {
  expect(await doIt('leave')).toBeNull()
  expect(await doIt('block')).toBe('$2')
  expect(calls).toEqual([
    ['!r:s', 'm.room.member', '@mg1:s', { membership: 'leave' }],
    ['!r:s', 'com.beeper.block_user', { block: true }, 'act_1', false],
  ])
})

test('what the network no longer takes fails with the reason', async () => {
  const features = featuresOf({ id: 'x', state: {} })
  await module.db.write(tx => rememberFeatures(tx, features))
  chat = insertChat(module.db, { roomId: '!other:s', kind: 'group', features: features.digest })
  await expect(doIt('rename', { text: 'Team' })).rejects.toMatchObject({
    code: 'unsupported_by_chat',
    message: expect.stringContaining('lets nobody rename this chat'),
  })
})
