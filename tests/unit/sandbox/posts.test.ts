/** Calls, polls, votes, channels and status posts, by the API of the phones. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type Json, type SeenEvent, USER } from './harness.ts'

const ME = '237123456789'
const THEM = '1234567890'
const OTHER = '4915112345678'
const BOT = '@whatsappbot:test.example'
const GHOST = `@whatsapp_${THEM}:test.example`
const START = 'org.matrix.msc3381.poll.start'
const RESPONSE = 'org.matrix.msc3381.poll.response'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
  for (const platform of ['wa', 'signal', 'telegram'] as const) await harness.link(undefined, platform)
  await harness.api('POST', 'api/phones', { phone: THEM, echo: false })
})
afterAll(() => harness.close())

/** Does something at a phone. @returns the message */
async function does(phone: string, what: Json): Promise<Json & { id: string }> {
  const { status, json } = await harness.api('POST', `api/phones/${phone}/messages`, what)
  if (status !== 201) throw new Error(JSON.stringify(json))
  return json
}

async function refusalOf(phone: string, what: Json): Promise<string> {
  const { status, json } = await harness.api('POST', `api/phones/${phone}/messages`, what)
  return `${status} ${json.error}`
}

async function newChannel(owner: string, followers: readonly string[]): Promise<string> {
  const channel = { name: `News of ${owner}`, members: followers, channel: { owner } }
  const { status, json } = await harness.api('POST', 'api/groups', channel)
  if (status !== 201) throw new Error(JSON.stringify(json))
  return json.id
}

const bodied = (body: string) => harness.event(({ content }) => content.body === body)

/** The portal's state as the bridge describes it. */
async function bridgeState(roomId: string): Promise<Json> {
  return harness.matrix('GET', `rooms/${roomId}/state/m.bridge/whatsapp`, undefined, USER)
}

/** True when the user has seen nothing of it, though a later message of the phone came. */
async function nothingOf(phone: string, wanted: (event: SeenEvent) => boolean): Promise<boolean> {
  const text = `after it ${Math.random()}`
  await does(phone, { to: ME, text })
  await bodied(text)
  return !harness.seen.some(wanted)
}

const isCall = ({ content }: SeenEvent) => 'com.beeper.action_message' in content

describe('a call', () => {
  test.each([
    ['wa', 'm.text', 'Incoming call. Use the WhatsApp app to answer.', undefined],
    ['signal', 'm.text', 'Incoming call', undefined],
    ['telegram', 'm.notice', 'Started a video call', 'video'],
  ])('of %s is told in the words of its bridge', async (platform, msgtype, body, callType) => {
    const call = await does(THEM, { to: ME, platform, call: { video: true } })
    expect(call).toMatchObject({ type: 'call', call: { video: true } })
    const { content, type } = await bodied(body)
    expect([type, content.msgtype]).toEqual(['m.room.message', msgtype])
    expect(content['com.beeper.action_message']).toEqual({
      type: 'call',
      ...(callType ? { call_type: callType } : {}),
    })
  })

  test('by the linked phone itself is not told', async () => {
    const before = harness.seen.filter(isCall).length
    await does(ME, { to: OTHER, call: {} })
    await nothingOf(THEM, () => false)
    expect(harness.seen.filter(isCall)).toHaveLength(before)
  })
})

describe('a poll', () => {
  const POLL = { question: 'Where?', options: ['Here', 'There', 'Nowhere'], max_selections: 2 }

  test('and its votes, changed and taken back, come as bridges tell them and stand on the phones', async () => {
    const poll = await does(THEM, { to: ME, poll: POLL })
    const event = await harness.event(({ type }) => type === START)
    expect(event).toMatchObject({ sender: GHOST, content: { msgtype: 'm.text' } })
    expect(event.content.body).toEndWith('(This message is a poll. Please open WhatsApp to vote.)')
    const { answers, ...start } = event.content[START] as { answers: Json[] }
    expect(start).toMatchObject({ max_selections: 2, question: { 'org.matrix.msc1767.text': 'Where?' } })
    expect(answers.map(answer => answer['org.matrix.msc1767.text'])).toEqual(POLL.options)

    for (const options of [['Here', 'There'], ['Nowhere'], []])
      await does(THEM, { vote: { message: poll.id, options } })
    const votes = await waitFor(() => {
      const seen = harness.seen.filter(({ type }) => type === RESPONSE)
      return seen.length === 3 && seen
    })
    const [here, there, nowhere] = answers.map(({ id }) => id)
    expect(votes.map(({ content }) => (content[RESPONSE] as Json).answers)).toEqual([
      [here, there],
      [nowhere],
      [],
    ])
    expect(votes[0]).toMatchObject({
      sender: GHOST,
      content: { 'm.relates_to': { rel_type: 'm.reference', event_id: event.event_id } },
    })
    await does(ME, { vote: { message: poll.id, options: ['There'] } })
    const shown = (await harness.messages(THEM)).find(({ id }) => id === poll.id)
    expect(shown).toMatchObject({ poll: { ...POLL, votes: [{ from: ME, options: ['There'] }] } })
  })

  test('of Telegram is a text, and votes on it aren’t told', async () => {
    const poll = await does(THEM, { to: ME, platform: 'telegram', poll: POLL })
    await bodied('Poll: Where?\n1. Here\n2. There\n3. Nowhere\nOpen the Telegram app to vote.')
    await does(THEM, { vote: { message: poll.id, options: ['Here'] } })
    const isOfTelegram = ({ sender, type }: SeenEvent) => sender.startsWith('@telegram') && type === RESPONSE
    expect(await nothingOf(THEM, isOfTelegram)).toBe(true)
  })

  test('takes no more than it says', async () => {
    const poll = await does(THEM, { to: ME, poll: { ...POLL, max_selections: 1 } })
    const vote = (options: string[], message = poll.id) => refusalOf(THEM, { vote: { message, options } })
    expect(await vote(['Here', 'There'])).toContain('400 vote: expected at most 1 of Here, There, Nowhere')
    expect(await vote(['Elsewhere'])).toContain('400 vote: expected at most 1')
    const text = await does(THEM, { to: ME, text: 'no poll' })
    expect(await vote([], text.id)).toBe('400 vote: expected a poll')
    const twice = { ...POLL, options: ['Here', 'Here'] }
    expect(await refusalOf(THEM, { to: ME, poll: twice })).toContain('400 poll: expected options that differ')
    expect(await refusalOf(THEM, { to: ME, poll: { question: 'x', options: ['y'] } })).toContain(
      'two options',
    )
  })
})

describe('a status post', () => {
  test('is seen by those who know the author, in a room of its own in which nobody writes', async () => {
    await does(OTHER, { status: true, text: 'nobody knows me' })
    const post = await does(THEM, { status: true, text: 'at the seaside' })
    expect(post).toMatchObject({ group: { id: 'status@broadcast' }, type: 'text' })
    const event = await bodied('at the seaside')
    expect(event.sender).toBe(GHOST)
    const state = await bridgeState(event.room_id)
    expect(state).toMatchObject({ bridgebot: BOT, channel: { id: 'status@broadcast' } })
    expect(Object.keys(state)).not.toContain('com.beeper.room_type')
    expect(harness.seen.some(({ content }) => content.body === 'nobody knows me')).toBe(false)
    expect((await harness.messages(OTHER)).some(({ text }) => text === 'at the seaside')).toBe(false)

    const answer = await harness.send(event.room_id, { msgtype: 'm.text', body: 'lovely' })
    expect(await harness.status(answer)).toMatchObject({
      status: 'FAIL_PERMANENT',
      message: 'sending status messages is disabled',
    })
    await does(THEM, { delete: post.id })
    const redaction = await harness.event(
      ({ type, room_id }) => type === 'm.room.redaction' && room_id === event.room_id,
    )
    expect(redaction.sender).toBe(GHOST)
    expect(await refusalOf(ME, { reaction: { message: post.id, emoji: '👍' } })).toContain('400 reaction')
  })

  test('may be a picture, which comes as a form', async () => {
    const form = new FormData()
    form.append('status', 'true')
    form.append('text', 'the sea')
    form.append('file', new File([new Uint8Array([1])], 'sea.png', { type: 'image/png' }))
    const { status } = await harness.api('POST', `api/phones/${THEM}/messages`, form)
    expect(status).toBe(201)
    const event = await harness.event(({ content }) => content.body === 'the sea')
    expect(event.content).toMatchObject({ msgtype: 'm.image', filename: 'sea.png' })
  })

  test('of another who is known comes into the same room, and is no group', async () => {
    await harness.api('POST', 'api/phones', { phone: ME, contacts: [{ phone: OTHER, name: 'Lena' }] })
    await does(OTHER, { status: true, text: 'now I am known' })
    const [first, second] = [await bodied('at the seaside'), await bodied('now I am known')]
    expect(second.room_id).toBe(first.room_id)
    const { json } = await harness.api('GET', 'api/groups')
    expect(json.some(({ id }: Json) => id === 'status@broadcast')).toBe(false)
  })

  test('needs a platform that has them', async () => {
    const refusal = await refusalOf(THEM, { status: true, text: 'x', platform: 'signal' })
    expect(refusal).toBe('400 status: signal has none here; wa has')
  })
})

describe('a channel', () => {
  test('speaks by the bridge’s bot, shows none of its followers, and takes nothing of theirs', async () => {
    const id = await newChannel(THEM, [ME, OTHER])
    expect(id).toEndWith('@newsletter')
    await does(THEM, { group: id, text: 'it rains' })
    const event = await bodied('it rains')
    expect(event.sender).toBe(BOT)
    expect(await bridgeState(event.room_id)).toMatchObject({ channel: { id } })
    const { joined } = await harness.matrix('GET', `rooms/${event.room_id}/joined_members`, undefined, USER)
    expect(Object.keys(joined as Json).toSorted()).toEqual(
      [USER, `@whatsapp_${ME}:test.example`, BOT].toSorted(),
    )
    await expect(harness.send(event.room_id, { msgtype: 'm.text', body: 'again?' })).rejects.toThrow('403')
    expect(await refusalOf(OTHER, { group: id, text: 'me too' })).toBe(
      `400 group: only ${THEM} posts in this channel`,
    )
    const { json: groups } = await harness.api('GET', 'api/groups')
    expect(groups.find((group: Json) => group.id === id)).toMatchObject({
      admins: [THEM],
      kind: 'channel',
      owner: THEM,
      invite_link: expect.stringMatching(/^https:\/\/whatsapp\.com\/channel\/\w+$/),
    })
  })

  test('of the linked phone is written to from Matrix, and nobody echoes', async () => {
    const id = await newChannel(ME, [OTHER])
    await does(ME, { group: id, text: 'first' })
    const { room_id, sender } = await bodied('first')
    expect(sender).toBe(`@whatsapp_${ME}:test.example`)
    const post = await harness.send(room_id, { msgtype: 'm.text', body: 'second' })
    expect(await harness.status(post)).toMatchObject({ status: 'SUCCESS' })
    const texts = (await harness.messages(OTHER))
      .filter(({ group }) => group?.id === id)
      .map(({ text }) => text)
    expect(texts).toEqual(['first', 'second'])
  })

  test('has reactions and votes of those who follow it', async () => {
    const id = await newChannel(THEM, [ME, OTHER])
    const poll = await does(THEM, { group: id, poll: { question: 'Rain?', options: ['yes', 'no'] } })
    await does(OTHER, { reaction: { message: poll.id, emoji: '👍' } })
    await does(OTHER, { vote: { message: poll.id, options: ['yes'] } })
    const ghost = `@whatsapp_${OTHER}:test.example`
    const of = (wanted: string) => harness.event(({ type, sender }) => type === wanted && sender === ghost)
    expect((await of('m.reaction')).room_id).toBe((await of(RESPONSE)).room_id)
  })

  test('needs a platform that has them', async () => {
    const channel = { name: 'x', platform: 'telegram', channel: { owner: THEM } }
    expect((await harness.api('POST', 'api/groups', channel)).json.error).toContain(
      'channel: telegram has none',
    )
  })
})
