/** Owners of phones change chats and groups; rooms and other phones learn of it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { PNG } from 'pngjs'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type Json, type SeenEvent, USER } from './harness.ts'

const ME = '237123456789'
const FRIEND = '1234567890'
const OTHER = '447700900128'
const ghost = (phone: string) => `@whatsapp_${phone}:test.example`

let harness: Harness
let room: string
beforeAll(async () => {
  harness = await createHarness()
  for (const phone of [FRIEND, OTHER]) await harness.api('POST', 'api/phones', { phone, echo: false })
  await harness.link(ME)
  room = await harness.room(FRIEND)
})
afterAll(() => harness.close())

const chat = (phone: string, id: string, change: Json, query = '') =>
  harness.api('PATCH', `api/phones/${phone}/chats/${encodeURIComponent(id)}${query}`, change)
const changeGroup = (id: string, change: Json | FormData) =>
  harness.api('PATCH', `api/groups/${encodeURIComponent(id)}`, change)
const say = async (phone: string, message: Json) =>
  (await harness.api('POST', `api/phones/${phone}/messages`, message)).json as Json
const ephemeralOf = (type: string) =>
  harness.ephemeral.filter(one => one.type === type).map(one => ({ ...one, text: JSON.stringify(one) }))

function memberEvent(where: string, phone: string, membership: string): Promise<SeenEvent> {
  return harness.event(
    ({ room_id, state_key, content }) =>
      room_id === where && state_key === ghost(phone) && content.membership === membership,
  )
}

/** @returns a group of FRIEND's, its admin, with ME, and ME's room of it */
async function group(name: string) {
  const { json } = await harness.api('POST', 'api/groups', { name, members: [FRIEND, ME] })
  const joined = await waitFor(async () => {
    for (const { room_id, state_key, content } of harness.seen) {
      if (state_key !== USER || content.membership !== 'join') continue
      const path = `rooms/${room_id}/state/m.room.name/`
      const state = await harness.matrix('GET', path, undefined, USER).catch(() => null)
      if (state?.name === name) return room_id
    }
    return null
  })
  return { id: String(json.id), joined }
}

test('a phone shows a picture: its ghost has it, and so have address books, as one file', async () => {
  const bytes = new Uint8Array(PNG.sync.write(new PNG({ width: 2, height: 2 })))
  const form = new FormData()
  form.append('phone', FRIEND)
  form.append('file', new File([bytes], 'me.png', { type: 'image/png' }))
  const { json } = await harness.api('POST', 'api/phones', form)
  expect(json).toMatchObject({ avatar_url: expect.stringContaining('/media/'), echo: false })
  const resolved = async () =>
    (await harness.provision('GET', `resolve_identifier/${FRIEND}`)).body.avatar_url
  const mxc = String(await resolved())
  expect(await harness.download(mxc)).toEqual(bytes)
  const profile = () => harness.matrix('GET', `profile/${ghost(FRIEND)}`, undefined, USER)
  expect(await profile()).toMatchObject({ avatar_url: mxc })
  const { contacts } = (await harness.provision('GET', 'contacts')).body
  expect((contacts as Json[]).find(({ mxid }) => mxid === ghost(FRIEND))).toMatchObject({ avatar_url: mxc })
  await harness.api('POST', 'api/phones', { phone: FRIEND, avatar: null })
  expect(await resolved()).toBe('')
  expect((await profile()).avatar_url ?? '').toBe('')
  form.set('file', new File(['text'], 'a.txt', { type: 'text/plain' }))
  expect((await harness.api('POST', 'api/phones', form)).json.error).toBe('file: expected a picture')
})

describe('in a chat', () => {
  test('a phone reads: the room has its receipt, and a restart would tell it, too', async () => {
    const event = await harness.send(room, { msgtype: 'm.text', body: 'read me' })
    await harness.status(event)
    expect((await chat(FRIEND, ME, {})).json).toMatchObject({ unread: 1 })
    expect((await chat(FRIEND, ME, { read: true })).json).toMatchObject({ unread: 0 })
    await waitFor(() =>
      ephemeralOf('m.receipt').some(({ text }) => text.includes(event) && text.includes(ghost(FRIEND))),
    )
    expect((await harness.messages(ME)).at(-1)).toMatchObject({ read_by: [FRIEND] })
    await chat(FRIEND, ME, { read: true })
    const reads = harness.database.query("SELECT count(*) AS n FROM sandbox_message WHERE type = 'read'")
    expect(reads.get()).toEqual({ n: 1 })
  })

  test('the owner of the linked phone reads there: their own ghost says so', async () => {
    const { id } = await say(FRIEND, { to: ME, text: 'seen at the phone' })
    const { event_id } = await harness.event(event => event.content.body === 'seen at the phone')
    await chat(ME, FRIEND, { read: String(id) })
    await waitFor(() =>
      ephemeralOf('m.receipt').some(({ text }) => text.includes(event_id) && text.includes(ghost(ME))),
    )
  })

  test('what the owner of the linked phone does to messages there comes from their own ghost', async () => {
    const { id } = await say(FRIEND, { to: ME, text: 'for the owner' })
    await harness.event(event => event.content.body === 'for the owner')
    const own = await say(ME, { to: FRIEND, text: 'by hand' })
    await say(ME, { reaction: { message: id, emoji: '🤝' } })
    await say(ME, { edit: own.id, text: 'by my hand' })
    const reacted = await harness.event(
      ({ type, content }) => type === 'm.reaction' && JSON.stringify(content).includes('🤝'),
    )
    const edited = await harness.event(({ content }) => content.body === '* by my hand')
    expect([reacted.sender, edited.sender]).toEqual([ghost(ME), ghost(ME)])
    await say(ME, { reaction: { message: id, emoji: '' } })
    await harness.event(
      ({ type, redacts, sender }) =>
        type === 'm.room.redaction' && redacts === reacted.event_id && sender === ghost(ME),
    )
    await say(ME, { delete: own.id })
    await harness.event(({ type, redacts }) => type === 'm.room.redaction' && redacts !== reacted.event_id)
  })

  test('a phone types until it stops', async () => {
    await chat(FRIEND, ME, { typing: true })
    await waitFor(() => ephemeralOf('m.typing').some(({ text }) => text.includes(ghost(FRIEND))))
    expect((await harness.api('GET', `api/phones/${ME}/chats/${FRIEND}`)).json.typing).toEqual([FRIEND])
    await chat(FRIEND, ME, { typing: false })
    await waitFor(() => ephemeralOf('m.typing').at(-1)?.text.includes('"user_ids":[]'))
  })

  test('a phone blocks the other, and lets messages stay for a time', async () => {
    expect((await chat(OTHER, ME, { blocked: true, disappearing_s: 86_400 })).json).toMatchObject({
      blocked: true,
      disappearing_s: 86_400,
    })
    const where = await harness.room(OTHER)
    const timer = () =>
      harness.matrix('GET', `rooms/${where}/state/com.beeper.disappearing_timer/`, undefined, USER)
    await waitFor(async () => (await timer()).timer === 86_400_000)
    await harness.status(await harness.send(where, { msgtype: 'm.text', body: 'hello?' }))
    expect(await harness.messages(OTHER)).toEqual([])
  })

  test.each([
    [ME, { read: '3EB0' }, '400 read: the chat has no message 3EB0'],
    [ME, { typing: 'yes' }, '400 typing: expected true or false'],
    [ME, { mood: 'good' }, '400 body: Unrecognized key: "mood"'],
    ['99912345', {}, '404 chat: 99912345 is not on the network (no number that begins with 999 is)'],
    ['nothing', {}, '404 group: there is no group nothing on wa (expected an id, invite code or link)'],
    ['invite456', {}, `404 ${FRIEND} is not in the group invite456`],
  ])('of %s, %j is refused', async (id, change, error) => {
    const { status, json } = await chat(FRIEND, id, change)
    expect(`${status} ${json.error}`).toBe(error)
  })
})

describe('a group', () => {
  test('that a linked phone is put in comes to its device at once', async () => {
    const { joined } = await group('At once')
    expect(joined).toStartWith('!')
  })

  test('gets a name, a topic and a picture, from whoever gives it', async () => {
    const { id, joined } = await group('Before')
    const { json } = await changeGroup(id, { name: 'After', topic: 'News', by: FRIEND })
    expect(json).toMatchObject({ name: 'After', topic: 'News' })
    const form = new FormData()
    form.append('file', new File([new Uint8Array(PNG.sync.write(new PNG({ width: 2, height: 2 })))], 'a.png'))
    expect((await changeGroup(id, form)).json.avatar_url).toContain('/media/')
    const named = await harness.event(({ content }) => content.name === 'After')
    expect(named).toMatchObject({ room_id: joined, sender: ghost(FRIEND), type: 'm.room.name' })
    await harness.event(({ type, content }) => type === 'm.room.topic' && content.topic === 'News')
    const pictured = await harness.event(
      ({ room_id, type, content }) =>
        room_id === joined && type === 'm.room.avatar' && content.url !== undefined,
    )
    expect(pictured.sender).toBe(ghost(FRIEND))
    const names = () =>
      harness.seen.filter(({ room_id, type }) => room_id === joined && type === 'm.room.name')
    const before = names().length
    await changeGroup(id, { name: 'After', topic: 'Old news' })
    await harness.event(({ type, content }) => type === 'm.room.topic' && content.topic === 'Old news')
    expect(names()).toHaveLength(before)
    expect((await changeGroup(id, { avatar: null })).json.avatar_url).toBeNull()
  })

  test('gets members, admins, and loses them', async () => {
    const { id, joined } = await group('Coming and going')
    await changeGroup(id, { add: [OTHER] })
    await memberEvent(joined, OTHER, 'join')
    await changeGroup(id, { promote: [OTHER] })
    await harness.event(
      ({ room_id, type, content }) =>
        room_id === joined && type === 'm.room.power_levels' && (content.users as Json)[ghost(OTHER)] === 50,
    )
    expect((await changeGroup(id, { remove: [FRIEND], by: OTHER })).json).toMatchObject({
      members: [ME, OTHER],
      admins: [OTHER],
    })
    // No ghost removes one of its own level: the bot does.
    expect((await memberEvent(joined, FRIEND, 'leave')).sender).toBe('@whatsappbot:test.example')
    await changeGroup(id, { remove: [ME] })
    const removed = await harness.event(
      ({ room_id, state_key, content }) =>
        room_id === joined && state_key === USER && content.membership === 'leave',
    )
    expect(removed.sender).toBe(ghost(OTHER))
    await changeGroup(id, { add: [ME] })
    await waitFor(
      () =>
        harness.seen.findLast(({ room_id, state_key }) => room_id === joined && state_key === USER)?.content
          .membership === 'join',
    )
    await harness.api('POST', `api/phones/${OTHER}/messages`, { group: id, text: 'welcome back' })
    expect((await harness.event(event => event.content.body === 'welcome back')).room_id).toBe(joined)
  })

  test('is left by a member, and joined by its link', async () => {
    const { id, joined } = await group('Open')
    const { json } = await changeGroup(id, { by: OTHER, add: [OTHER] })
    expect(json.members).toContain(OTHER)
    await memberEvent(joined, OTHER, 'join')
    await changeGroup(id, { by: OTHER, remove: [OTHER] })
    expect((await memberEvent(joined, OTHER, 'leave')).sender).toBe(ghost(OTHER))
  })

  test.each([
    [{ by: OTHER, name: 'x' }, `400 by: ${OTHER} is no member`],
    [{ by: ME, remove: [FRIEND] }, `400 by: ${ME} is no admin, and only admins remove others`],
    [{ remove: [OTHER] }, `400 remove: ${OTHER} is no member`],
    [{ add: ['99912345'] }, '404 add: 99912345 is not on the network (no number that begins with 999 is)'],
    [{ name: '' }, '400 name: expected a name'],
    [{ disappearing_s: -1 }, '400 disappearing_s: expected 0 or more'],
    [{ colour: 'red' }, '400 body: Unrecognized key: "colour"'],
  ])('refuses %j', async (change, error) => {
    const { json: made } = await harness.api('POST', 'api/groups', { name: 'Firm', members: [FRIEND, ME] })
    const { status, json } = await changeGroup(made.id, change)
    expect(`${status} ${json.error}`).toBe(error)
    const { json: shown } = await harness.api('GET', `api/groups/${made.id}`)
    expect(shown).toEqual(made)
  })
})
