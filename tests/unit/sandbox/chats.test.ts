/** Chats as a whole: their names, members and timers, and what is read and typed in them. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { PNG } from 'pngjs'
import type { SandboxPlatform } from '../../../src/sandbox/index.ts'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type Json, USER } from './harness.ts'

const ME = '237123456789'
const FRIEND = '1234567890'
const OTHER = '447700900128'
const GHOST = `@whatsapp_${FRIEND}:test.example`
const DAY_MS = 24 * 3_600_000

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
  for (const phone of [FRIEND, OTHER]) await harness.api('POST', 'api/phones', { phone, echo: false })
  for (const platform of ['wa', 'signal', 'telegram'] as const) await harness.link(ME, platform)
})
afterAll(() => harness.close())

const refused = (message: string, reason = 'm.event_not_handled') => ({
  status: 'FAIL_RETRIABLE',
  reason,
  message: expect.stringContaining(message),
})
const unsupported = (message: string) => refused(message, 'com.beeper.unsupported_event')

async function createGroup(platform: SandboxPlatform, given: Json) {
  const { body } = await harness.provision('GET', `resolve_identifier/+${FRIEND}`, { platform })
  const asked = { platform, body: { participants: [body.mxid], ...given } }
  return harness.provision('POST', 'create_group/group', asked)
}

/** @returns the room of this name that the user was invited to */
const roomNamed = (name: string) =>
  waitFor(async () => {
    for (const { room_id, state_key, content } of harness.seen) {
      if (state_key !== USER || content.membership !== 'join') continue
      const state = await stateOf(room_id, 'm.room.name').catch(() => null)
      if (state?.name === name) return room_id
    }
    return null
  })

/** @returns a group that ME has made with FRIEND, and its room */
async function group(platform: SandboxPlatform = 'wa') {
  const { status, body } = await createGroup(platform, { name: { name: 'Hikers' } })
  expect(status).toBe(200)
  await harness.joined(String(body.mxid))
  return { id: String(body.id), room: String(body.mxid), shown: () => shownGroup(platform, String(body.id)) }
}

async function shownGroup(platform: string, id: string): Promise<Json> {
  const { json } = await harness.api('GET', 'api/groups')
  return (json as Json[]).find(one => one.id === id && one.platform === platform) ?? {}
}

/** @returns the bridge's status of the user's state event */
async function set(room: string, type: string, content: Json, key = ''): Promise<Json> {
  const { event_id } = await harness.matrix('PUT', `rooms/${room}/state/${type}/${key}`, content, USER)
  return harness.status(String(event_id))
}

async function member(room: string, action: string, userId: string): Promise<Json> {
  await harness.matrix('POST', `rooms/${room}/${action}`, { user_id: userId }, USER)
  const membership = action === 'invite' ? 'invite' : action === 'ban' ? 'ban' : 'leave'
  const event = await harness.event(
    ({ room_id, sender, state_key, content }) =>
      room_id === room && sender === USER && state_key === userId && content.membership === membership,
  )
  return harness.status(event.event_id)
}

const stateOf = (room: string, type: string, key = '') =>
  harness.matrix('GET', `rooms/${room}/state/${type}/${key}`, undefined, USER)

describe('a group made by a linked device', () => {
  test('has its members, and its maker as admin, on every network', async () => {
    for (const platform of ['wa', 'signal', 'telegram'] as const) {
      const { room, shown } = await group(platform)
      expect(await shown()).toMatchObject({
        name: 'Hikers',
        members: [FRIEND, ME],
        admins: [ME],
        kind: 'group',
      })
      expect(await stateOf(room, 'm.room.name')).toMatchObject({ name: 'Hikers' })
    }
  })

  test('has a topic, a picture and a timer, and its room says so', async () => {
    const bytes = new Uint8Array(PNG.sync.write(new PNG({ width: 12, height: 7 })))
    const url = await harness.upload(bytes, 'image/png', 'group.png')
    const { body } = await createGroup('wa', {
      name: { name: 'Pictured' },
      topic: { topic: 'Photos' },
      avatar: { url },
      disappear: { type: 'after_send', timer: DAY_MS },
    })
    const room = String(body.mxid)
    await harness.joined(room)
    const shown = await shownGroup('wa', String(body.id))
    expect(shown).toMatchObject({ topic: 'Photos', disappearing_s: 86_400 })
    const file = await harness.sandbox.fetch(new Request(`http://localhost${shown.avatar_url}`))
    expect(await file.bytes()).toEqual(bytes)
    expect(await stateOf(room, 'm.room.topic')).toMatchObject({ topic: 'Photos' })
    expect(await stateOf(room, 'm.room.avatar')).toMatchObject({ url })
    expect(await stateOf(room, 'com.beeper.disappearing_timer')).toEqual({
      type: 'after_send',
      timer: DAY_MS,
    })
  })

  test.each<[SandboxPlatform, Json, string]>([
    ['wa', { participants: [] }, 'Must have at least 1 member (in addition to yourself)'],
    ['wa', { participants: [ME] }, 'Must have at least 1 member (in addition to yourself)'],
    ['wa', { name: { name: 'x'.repeat(101) } }, 'Name must be at most 100 characters'],
    ['signal', {}, 'Name is required'],
    ['wa', { disappear: { type: 'after_send', timer: 1_000 } }, 'Unsupported value for disappearing timer'],
  ])('on %s is refused: %j', async (platform, given, error) => {
    const { status, body } = await createGroup(platform, given)
    expect([status, body.errcode, body.error]).toEqual([400, 'M_INVALID_PARAM', error])
  })

  test('names those who could not be added, and knows no other type', async () => {
    const { body } = await createGroup('wa', { participants: [FRIEND, '99912345'] })
    expect(body.failed_participants).toMatchObject({ '99912345': { reason: 'error 404' } })
    const channel = await harness.provision('POST', 'create_group/channel', {
      body: { participants: [FRIEND] },
    })
    expect([channel.status, channel.body.errcode]).toEqual([404, 'M_UNRECOGNIZED'])
    const { body: capabilities } = await harness.provision('GET', 'capabilities', { platform: 'signal' })
    expect(capabilities.group_creation).toMatchObject({ group: { name: { required: true, max_length: 32 } } })
  })
})

describe('a group is changed by its room', () => {
  test('its name, topic, picture and timer', async () => {
    const { room, shown } = await group()
    expect(await set(room, 'm.room.name', { name: 'Climbers' })).toMatchObject({ status: 'SUCCESS' })
    expect(await set(room, 'm.room.topic', { topic: 'Up' })).toMatchObject({ status: 'SUCCESS' })
    const url = await harness.upload(new Uint8Array([1, 2, 3]), 'image/png', 'a.png')
    expect(await set(room, 'm.room.avatar', { url })).toMatchObject({ status: 'SUCCESS' })
    const timer = { type: 'after_send', timer: 7 * DAY_MS }
    expect(await set(room, 'com.beeper.disappearing_timer', timer)).toMatchObject({ status: 'SUCCESS' })
    expect(await shown()).toMatchObject({
      name: 'Climbers',
      topic: 'Up',
      avatar_url: expect.stringContaining('/media/'),
      disappearing_s: 604_800,
    })
    expect(await stateOf(room, 'm.bridge', 'whatsapp')).toMatchObject({
      channel: { displayname: 'Climbers' },
    })
    expect(await set(room, 'm.room.avatar', {})).toMatchObject({ status: 'SUCCESS' })
    expect(await set(room, 'com.beeper.disappearing_timer', { type: '', timer: 0 })).toMatchObject({
      status: 'SUCCESS',
    })
    expect(await shown()).toMatchObject({ avatar_url: null, disappearing_s: 0 })
  })

  test('its members', async () => {
    const { room, shown } = await group()
    const newcomer = `@whatsapp_${OTHER}:test.example`
    expect(await member(room, 'invite', newcomer)).toMatchObject({ status: 'SUCCESS' })
    expect(await shown()).toMatchObject({ members: [FRIEND, ME, OTHER] })
    await harness.event(
      ({ room_id, state_key, content }) =>
        room_id === room && state_key === newcomer && content.membership === 'join',
    )
    expect(await member(room, 'kick', GHOST)).toMatchObject({ status: 'SUCCESS' })
    expect(await shown()).toMatchObject({ members: [ME, OTHER] })
    await harness.matrix('POST', `rooms/${room}/leave`, {}, USER)
    await waitFor(async () => ((await shown()).members as string[]).join() === OTHER)
  })

  test('a member with a hidden id comes with their number', async () => {
    const { room, shown } = await group()
    const phone = '4477009006'
    const { body } = await harness.provision('GET', `resolve_identifier/${phone}`)
    expect(String(body.mxid)).toStartWith('@whatsapp_lid-')
    expect(await member(room, 'invite', String(body.mxid))).toMatchObject({ status: 'SUCCESS' })
    expect(await shown()).toMatchObject({ members: [FRIEND, ME, phone] })
    const { joined } = await harness.matrix('GET', `rooms/${room}/joined_members`, undefined, USER)
    expect(Object.keys(joined as Json)).toContain(`@whatsapp_${phone}:test.example`)
    expect(await stateOf(room, 'm.room.member', String(body.mxid))).toMatchObject({ membership: 'leave' })
  })

  test('admins, where the bridge can', async () => {
    const { room, shown } = await group('signal')
    const { body } = await harness.provision('GET', `resolve_identifier/${FRIEND}`, { platform: 'signal' })
    const before = await stateOf(room, 'm.room.power_levels')
    const levels = { ...before, users: { ...(before.users as Json), [String(body.mxid)]: 50 } }
    expect(await set(room, 'm.room.power_levels', levels)).toMatchObject({ status: 'SUCCESS' })
    expect(await shown()).toMatchObject({ admins: [FRIEND, ME] })
  })

  test('a linked member who is no admin removes nobody', async () => {
    const given = { name: 'Theirs', members: [FRIEND, ME, OTHER] }
    const { json } = await harness.api('POST', 'api/groups', given)
    const room = await roomNamed('Theirs')
    await harness.joined(room)
    const kick = harness.matrix('POST', `rooms/${room}/kick`, { user_id: GHOST }, USER)
    expect(await kick.catch(String)).toContain('M_FORBIDDEN')
    expect(await shownGroup('wa', json.id)).toMatchObject({ members: [FRIEND, ME, OTHER], admins: [FRIEND] })
  })

  test('what the network has no word for is refused', async () => {
    const { room } = await group('telegram')
    expect(await set(room, 'm.room.topic', { topic: 'x' })).toMatchObject(unsupported('of type m.room.topic'))
    const timer = { type: 'after_send', timer: 1_000 }
    expect(await set(room, 'com.beeper.disappearing_timer', timer)).toMatchObject(
      refused('invalid disappearing'),
    )
    const direct = await harness.room(FRIEND)
    expect(await set(direct, 'm.room.name', { name: 'x' })).toMatchObject(refused('cannot set m.room.name'))
    const invited = `@whatsapp_${OTHER}:test.example`
    expect(await member(direct, 'invite', invited)).toMatchObject(refused('cannot invite'))
  })
})

describe('a direct chat', () => {
  test('has a timer', async () => {
    const room = await harness.room(FRIEND, 'signal')
    const timer = { type: 'after_read', timer: 30_000 }
    expect(await set(room, 'com.beeper.disappearing_timer', timer)).toMatchObject({ status: 'SUCCESS' })
    expect(await chatOf(FRIEND, ME, 'signal')).toMatchObject({ disappearing_s: 30 })
  })

  test('may be blocked where the network has that: nothing comes from the other then', async () => {
    const room = await harness.room(OTHER, 'signal')
    const block = async (isBlocked: boolean, where = room) =>
      harness.status(await harness.send(where, { block: isBlocked }, 'com.beeper.block_user'))
    expect(await block(true)).toMatchObject({ status: 'SUCCESS' })
    expect(await chatOf(ME, OTHER, 'signal')).toMatchObject({ blocked: true })
    const say = (text: string) =>
      harness.api('POST', `api/phones/${OTHER}/messages`, { to: ME, platform: 'signal', text })
    await say('can you hear me?')
    expect(await block(false)).toMatchObject({ status: 'SUCCESS' })
    await say('and now?')
    await harness.event(event => event.content.body === 'and now?')
    expect(harness.seen.some(event => event.content.body === 'can you hear me?')).toBe(false)
    expect(await block(true, await harness.room(OTHER))).toMatchObject(unsupported('blocking users'))
  })
})

describe('what its user reads and types', () => {
  let room: string
  beforeEach(async () => {
    room = await harness.room(FRIEND)
  })

  test('is read on the network, up to there', async () => {
    const post = async (text: string) =>
      (await harness.api('POST', `api/phones/${FRIEND}/messages`, { to: ME, text })).json.id as string
    const first = await post('read me')
    const second = await post('and me')
    const { event_id } = await harness.event(event => event.content.body === 'read me')
    await harness.event(event => event.content.body === 'and me')
    await harness.matrix('POST', `rooms/${room}/receipt/m.read/${event_id}`, {}, USER)
    const readBy = async (id: string) =>
      ((await harness.messages(FRIEND)) as unknown as Json[]).find(one => one.id === id)?.read_by
    await waitFor(async () => ((await readBy(first)) as string[]).includes(ME))
    expect(await readBy(second)).toEqual([])
    expect(await chatOf(ME, FRIEND)).toMatchObject({ unread: 1 })
    await harness.status(await harness.send(room, { msgtype: 'm.text', body: 'I have read all' }))
    expect(await readBy(second)).toEqual([ME])
  })

  test('is seen to be typed until it stops', async () => {
    const typing = (isTyping: boolean) =>
      harness.matrix('PUT', `rooms/${room}/typing/${USER}`, { typing: isTyping, timeout: 10_000 }, USER)
    await typing(true)
    await waitFor(async () => ((await chatOf(FRIEND, ME)).typing as string[]).includes(ME))
    await typing(false)
    await waitFor(async () => ((await chatOf(FRIEND, ME)).typing as string[]).length === 0)
  })
})

async function chatOf(phone: string, id: string, platform = 'wa'): Promise<Json> {
  const { json } = await harness.api('GET', `api/phones/${phone}/chats`)
  return (json as Json[]).find(chat => chat.id === id && chat.platform === platform) ?? {}
}
