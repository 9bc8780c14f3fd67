/** The simulated networks take what the real ones take, and refuse the rest as their bridges do. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { SandboxPlatform } from '../../../src/sandbox/index.ts'
import { createHarness, type Harness, type Json, manualClock, USER } from './harness.ts'

const ME = '237123456789'
const FRIEND = '1234567890'
const MIB = 1024 * 1024
const DAY_MS = 24 * 3_600_000

let harness: Harness
const clock = manualClock()
const rooms = {} as Record<SandboxPlatform, string>

beforeAll(async () => {
  harness = await createHarness({ clock })
  await harness.api('POST', 'api/phones', { phone: FRIEND, echo: false })
  for (const platform of ['wa', 'signal', 'telegram'] as const) {
    await harness.link(ME, platform)
    rooms[platform] = await harness.room(FRIEND, platform)
  }
})
afterAll(() => harness.close())

const featuresOf = (room: string, network: string) =>
  harness.matrix('GET', `rooms/${room}/state/com.beeper.room_features/${network}`, undefined, USER)
const text = (body: string) => ({ msgtype: 'm.text', body })
const fateOf = async (platform: SandboxPlatform, content: Json, type?: string) =>
  harness.status(await harness.send(rooms[platform], content, type))
/** Refused by bridgev2 itself, which calls all that retriable. */
const byBridge = (message: string) => ({
  status: 'FAIL_RETRIABLE',
  reason: 'com.beeper.unsupported_event',
  message: expect.stringContaining(message),
})
const byNetwork = (message: string) => ({ ...byBridge(message), status: 'FAIL_PERMANENT' })

test('each network has its own, and a group more than a direct chat', async () => {
  expect(await featuresOf(rooms.wa, 'whatsapp')).toMatchObject({
    file: { 'm.file': { max_size: 2_000 * MIB }, 'm.audio': { caption: -1 } },
    max_text_length: 65_536,
    edit_max_age: 900,
    delete_max_age: 172_800,
    reaction_count: 1,
    typing_notifications: true,
  })
  expect(await featuresOf(rooms.signal, 'signal')).toMatchObject({
    file: { 'org.matrix.msc3245.voice': { max_duration: 3_600 }, 'm.image': { max_width: 4_096 } },
    max_text_length: 2_000,
    edit_max_count: 10,
  })
  const direct = await featuresOf(rooms.telegram, 'telegram')
  expect(direct).toMatchObject({ max_text_length: 4_096, allowed_reactions: expect.any(Array) })
  expect(direct.member_actions).toBeUndefined()
  const members = [ME, FRIEND]
  const { json } = await harness.api('POST', 'api/groups', { platform: 'wa', name: 'Hikers', members })
  await harness.api('POST', `api/phones/${FRIEND}/messages`, { group: json.id, text: 'to all' })
  const { room_id } = await harness.event(event => event.content.body === 'to all')
  expect(await featuresOf(room_id, 'whatsapp')).toMatchObject({
    state: { 'm.room.name': { level: 2 } },
    member_actions: { invite: 2, kick: 2, leave: 2 },
  })
})

describe('a file', () => {
  const file = (msgtype: string, mimetype: string, info: Json = {}, more: Json = {}) => ({
    msgtype,
    body: 'a',
    filename: 'a',
    url: 'mxc://test.example/nothing',
    info: { mimetype, ...info },
    ...more,
  })
  const voice = { 'org.matrix.msc3245.voice': {} }

  test.each<[SandboxPlatform, string, Json, Json]>([
    [
      'wa',
      'a type',
      file('m.image', 'image/heic'),
      byBridge('unsupported media type (image/heic in m.image)'),
    ],
    [
      'wa',
      'a size',
      file('m.file', 'a/b', { size: 2_001 * MIB }),
      byBridge('larger than the maximum of 2000.0 MiB'),
    ],
    ['telegram', 'a size', file('m.image', 'image/png', { size: 11 * MIB }), byBridge('of 10.0 MiB')],
    [
      'signal',
      'a duration',
      file('m.audio', 'audio/aac', { duration: 3_600_001 }, voice),
      byBridge('too long'),
    ],
    [
      'telegram',
      'a caption',
      file('m.file', 'a/b', {}, { body: 'x'.repeat(1_025) }),
      byNetwork('1024 is the most'),
    ],
  ])('on %s is refused for %s', async (platform, _, content, fate) => {
    expect(await fateOf(platform, content)).toMatchObject(fate)
  })
})

test('a text is refused by the network itself', async () => {
  expect(await fateOf('signal', text('x'.repeat(2_001)))).toMatchObject(byNetwork('2000 is the most'))
  expect(await fateOf('signal', text('x'.repeat(2_000)))).toMatchObject({ status: 'SUCCESS' })
})

describe('a poll', () => {
  const TEXT = 'org.matrix.msc1767.text'
  const START = 'org.matrix.msc3381.poll.start'
  const RESPONSE = 'org.matrix.msc3381.poll.response'
  const answersOf = (...options: string[]) =>
    options.map((option, index) => ({ id: `a${index}`, [TEXT]: option }))
  const poll = (...options: string[]) => ({
    [START]: { question: { [TEXT]: 'Where?' }, answers: answersOf(...options), max_selections: 1 },
  })
  const vote = (event_id: string, ...answers: string[]) => ({
    'm.relates_to': { rel_type: 'm.reference', event_id },
    [RESPONSE]: { answers },
  })
  const ofFriend = async () => (await harness.messages(FRIEND)) as unknown as Json[]

  test('arrives, is voted in, and hears of votes under its own ids', async () => {
    const event = await harness.send(rooms.wa, poll('Here', 'There'), START)
    expect(await harness.status(event)).toMatchObject({ status: 'SUCCESS' })
    const arrived = (await ofFriend()).at(-1)
    expect(arrived).toMatchObject({ type: 'poll', poll: { question: 'Where?', options: ['Here', 'There'] } })
    const choice = { message: arrived?.id, options: ['There'] }
    await harness.api('POST', `api/phones/${FRIEND}/messages`, { vote: choice })
    const told = await harness.event(({ type, content }) => type === RESPONSE && RESPONSE in content)
    expect(told.content).toMatchObject({
      'm.relates_to': { event_id: event },
      [RESPONSE]: { answers: ['a1'] },
    })
    expect(await fateOf('wa', vote(event, 'a0'), RESPONSE)).toMatchObject({ status: 'SUCCESS' })
    const votes = (await ofFriend()).find(({ id }) => id === arrived?.id)?.poll
    expect(votes).toMatchObject({
      votes: [
        { from: FRIEND, options: ['There'] },
        { from: ME, options: ['Here'] },
      ],
    })
  })

  test('of a phone can be voted in', async () => {
    const given = { to: ME, platform: 'wa', poll: { question: 'When?', options: ['now', 'never'] } }
    const { json } = await harness.api('POST', `api/phones/${FRIEND}/messages`, given)
    const { event_id, content } = await harness.event(one => String(one.content.body).startsWith('When?'))
    const [first] = (content[START] as { answers: { id: string }[] }).answers
    expect(await fateOf('wa', vote(event_id, first?.id ?? ''), RESPONSE)).toMatchObject({ status: 'SUCCESS' })
    const voted = (await ofFriend()).find(({ id }) => id === json.id)
    expect(voted?.poll).toMatchObject({ votes: [{ from: ME, options: ['now'] }] })
  })

  test.each<[SandboxPlatform, string, Json, string, Json]>([
    ['telegram', 'any', poll('a', 'b'), START, byBridge('does not support polls')],
    [
      'signal',
      'too many options',
      poll(...'abcdefghijk'),
      START,
      byNetwork('11 options, and 10 is the most'),
    ],
    ['wa', 'a long option', poll('a', 'b'.repeat(101)), START, byNetwork('100 is the most')],
    ['wa', 'a vote in none', vote('$nothing', 'a'), RESPONSE, byBridge('poll not found')],
  ])('on %s is refused: %s', async (platform, _, content, type, fate) => {
    expect(await fateOf(platform, content, type)).toMatchObject(fate)
  })
})

describe('what is said of a message', () => {
  const sent = async (platform: SandboxPlatform, body: string) => harness.send(rooms[platform], text(body))
  const edit = (platform: SandboxPlatform, event: string, body: string) =>
    fateOf(platform, {
      ...text(`* ${body}`),
      'm.new_content': text(body),
      'm.relates_to': { rel_type: 'm.replace', event_id: event },
    })
  const react = (platform: SandboxPlatform, event_id: string, key: string) =>
    fateOf(platform, { 'm.relates_to': { rel_type: 'm.annotation', event_id, key } }, 'm.reaction')
  const remove = async (platform: SandboxPlatform, event: string) => {
    const path = `rooms/${rooms[platform]}/redact/${event}/${crypto.randomUUID()}`
    const { event_id } = await harness.matrix('PUT', path, {}, USER)
    return harness.status(String(event_id))
  }

  test('may come too late', async () => {
    const event = await sent('wa', 'one')
    expect(await edit('wa', event, 'two')).toMatchObject({ status: 'SUCCESS' })
    await clock.advance(901_000)
    expect(await edit('wa', event, 'three')).toMatchObject(byBridge('too old to be edited'))
    await clock.advance(2 * DAY_MS)
    expect(await remove('wa', event)).toMatchObject(byNetwork('too old to be deleted'))
    expect((await harness.messages(FRIEND)).at(-1)).toMatchObject({ text: 'two', deleted: false })
  })

  test('may be once too often', async () => {
    const event = await sent('signal', 'zero')
    for (let count = 1; count <= 10; count++)
      expect(await edit('signal', event, String(count))).toMatchObject({ status: 'SUCCESS' })
    expect(await edit('signal', event, '11')).toMatchObject(byBridge('too many times'))
  })

  test('may be a reaction that the network doesn’t have', async () => {
    const event = await sent('telegram', 'hello')
    expect(await react('telegram', event, '🦄')).toMatchObject(byNetwork("isn't allowed"))
    expect(await react('telegram', event, '👍')).toMatchObject({ status: 'SUCCESS' })
    expect(await react('wa', await sent('wa', 'hello'), '🦄')).toMatchObject({ status: 'SUCCESS' })
  })
})

describe('a restriction', () => {
  const restrict = (restricted_until: string | null) =>
    harness.api('POST', 'api/faults', { platform: 'wa', restricted_until })
  const stateOf = async () => {
    const { body } = await harness.provision('GET', 'whoami')
    return (body.logins as { state: Json }[])[0]?.state
  }

  test('is told with the state, refuses first messages, and ends', async () => {
    const until = new Date(clock.now() + DAY_MS).toISOString()
    const told = harness.reported.length
    expect((await restrict(until)).json.wa).toMatchObject({ restricted_until: until })
    expect(await stateOf()).toMatchObject({
      state_event: 'CONNECTED',
      info: { reachout_timelock_until: until },
    })
    expect(harness.reported.slice(told)).toMatchObject([{ platform: 'wa', state: 'CONNECTED' }])

    rooms.wa = await harness.room('4477009001')
    expect(await fateOf('wa', text('nice to meet you'))).toMatchObject({
      status: 'FAIL_RETRIABLE',
      reason: 'm.event_not_handled',
      message: 'server returned error 463',
    })
    await harness.api('POST', 'api/phones/4477009001/messages', { to: ME, text: 'who is it?' })
    expect(await fateOf('wa', text('it’s me'))).toMatchObject({ status: 'SUCCESS' })
    rooms.wa = await harness.room('4477009002')
    expect((await fateOf('wa', text('hello'))).status).toBe('FAIL_RETRIABLE')
    await clock.advance(DAY_MS)
    expect(await fateOf('wa', text('hello again'))).toMatchObject({ status: 'SUCCESS' })
    await restrict(null)
    expect((await stateOf())?.info).toBeUndefined()
  })

  test('has a time', async () => {
    const { status, json } = await restrict('soon')
    expect([status, json.error]).toEqual([400, 'restricted_until: expected a time (RFC 3339) or null'])
  })

  test('is WhatsApp’s alone', async () => {
    const given = { platform: 'signal', restricted_until: '2099-01-01T00:00:00Z' }
    const { status, json } = await harness.api('POST', 'api/faults', given)
    expect([status, json.error]).toEqual([400, 'restricted_until: signal restricts nobody; wa does'])
    expect((await harness.api('GET', 'api/faults')).json.signal).not.toHaveProperty('restricted_until')
  })
})
