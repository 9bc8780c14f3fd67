/** Calls, status posts, channels, polls, votes, and reactions that are taken away. */
import { expect, test } from 'bun:test'
import type { RoomEvent } from '../../../support/driven-bridge.ts'
import { STATUS_BROADCAST } from '../../../support/testnet.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { newChat, type SceneOf } from './scene.ts'

const POLL = { question: 'Where?', options: ['Here', 'There', 'Nowhere'], max_selections: 2 }
const START = 'org.matrix.msc3381.poll.start'
const RESPONSE = 'org.matrix.msc3381.poll.response'

interface PollStart {
  max_selections: number
  question: Record<string, string>
  answers: { id: string; 'org.matrix.msc1767.text': string }[]
}

const pollIn = ({ content }: RoomEvent) => content[START] as PollStart
const isReaction = ({ type, content }: RoomEvent) => type === 'm.reaction' && 'm.relates_to' in content

export function noticeCases(scene: SceneOf): void {
  test('a call is a text that says so', async () => {
    const { phone, friend, portal } = await newChat(scene())
    await friend.call({ to: phone.id, video: true })
    const notice = await portal.waitForEvent(({ content }) => 'com.beeper.action_message' in content)
    expect(notice).toMatchObject({
      type: 'm.room.message',
      sender: expect.stringContaining(friend.id),
      content: {
        msgtype: 'm.text',
        body: 'Incoming video call. Use the Testnet app to answer.',
        'com.beeper.action_message': { type: 'call', call_type: 'video' },
      },
    })
  })

  test('status posts come in a room of their own, from who wrote them, and nobody can answer there', async () => {
    const { bridge } = scene()
    const { phone, friend } = await newChat(scene())
    await friend.send({ group: STATUS_BROADCAST, text: 'nobody knows me' })
    await phone.change({ contacts: [friend.number] })
    const post = await friend.send({ group: STATUS_BROADCAST, text: 'at the seaside' })
    const portal = await waitFor(async () => {
      for (const candidate of await bridge.portals(STATUS_BROADCAST))
        if ((await candidate.events()).some(({ content }) => content.body === 'at the seaside'))
          return candidate
      return null
    })
    expect(await portal.waitForBody('at the seaside')).toMatchObject({
      sender: expect.stringContaining(friend.id),
    })
    expect((await portal.events()).some(({ content }) => content.body === 'nobody knows me')).toBe(false)
    const user = await portal.user()
    const answer = await bridge.send(user, portal.id, 'm.room.message', { msgtype: 'm.text', body: 'lovely' })
    expect(await portal.statusOf(answer)).toMatchObject({ status: 'FAIL_PERMANENT' })
    expect(await phone.message(post.id)).toMatchObject({ group: STATUS_BROADCAST })
  })

  test('a channel is a room in which the bridge’s bot says what its owner writes', async () => {
    const { bridge, testnet } = scene()
    const { phone, friend } = await newChat(scene())
    const channel = await testnet.newGroup('News', friend, [phone], { channel: true })
    expect(channel.id).toEndWith('@newsletter')
    await friend.send({ group: channel.id, text: 'it rains' })
    const portal = await bridge.portal(channel.id)
    expect((await portal.waitForBody('it rains')).sender).toBe(bridge.bot)
    expect(await portal.ghosts()).not.toContain(friend.id)
    const user = await portal.user()
    const answer = bridge.send(user, portal.id, 'm.room.message', { msgtype: 'm.text', body: 'again?' })
    await expect(answer).rejects.toThrow('power')
  })

  test('a poll is a text, with the poll beside it', async () => {
    const { phone, friend, portal } = await newChat(scene())
    await friend.send({ to: phone.id, type: 'poll', poll: POLL })
    const event = await portal.waitForEvent(({ content }) => START in content)
    expect(event).toMatchObject({ type: 'm.room.message', content: { msgtype: 'm.text' } })
    expect(event.content.body).toContain('(This message is a poll. Please open Testnet to vote.)')
    expect(pollIn(event)).toMatchObject({
      max_selections: 2,
      question: { 'org.matrix.msc1767.text': 'Where?' },
      answers: POLL.options.map(option => ({ 'org.matrix.msc1767.text': option })),
    })
  })

  test('votes go both ways, and are changed and taken back', async () => {
    const { bridge } = scene()
    const { user, phone, friend, portal } = await newChat(scene())
    const { id } = await friend.send({ to: phone.id, type: 'poll', poll: POLL })
    const poll = await portal.waitForEvent(({ content }) => START in content)
    const [here, there] = pollIn(poll).answers.map(answer => answer.id)
    const votes = async () => (await portal.events()).filter(({ type }) => type === RESPONSE)

    await friend.vote(id, 'Here', 'There')
    await friend.vote(id)
    await waitFor(async () => (await votes()).length === 2)
    const [first, second] = await votes()
    expect(first).toMatchObject({
      sender: expect.stringContaining(friend.id),
      content: { 'm.relates_to': { rel_type: 'm.reference', event_id: poll.event_id } },
    })
    const answersOf = (event: RoomEvent | undefined) => event?.content[RESPONSE] as { answers: string[] }
    expect(answersOf(first).answers.toSorted()).toEqual([String(here), String(there)].toSorted())
    expect(answersOf(second).answers).toEqual([])

    const vote = await bridge.send(user, portal.id, RESPONSE, {
      'm.relates_to': { rel_type: 'm.reference', event_id: poll.event_id },
      [RESPONSE]: { answers: [there] },
    })
    expect(await portal.statusOf(vote)).toMatchObject({ status: 'SUCCESS' })
    expect((await friend.message(id)).votes).toEqual({ [phone.id]: ['There'] })
  })

  test('a poll from Matrix arrives on the phone, whose votes name its options', async () => {
    const { bridge } = scene()
    const { user, friend, portal } = await newChat(scene())
    const answers = POLL.options.map((option, index) => ({
      id: `answer ${index}`,
      'org.matrix.msc1767.text': option,
    }))
    const question = { 'org.matrix.msc1767.text': POLL.question }
    const event = await bridge.send(user, portal.id, START, {
      [START]: { kind: 'org.matrix.msc3381.poll.disclosed', max_selections: 1, question, answers },
    })
    expect(await portal.statusOf(event)).toMatchObject({ status: 'SUCCESS' })
    const { id, poll } = await friend.waitForMessage(({ type }) => type === 'poll')
    expect(poll).toEqual({ ...POLL, max_selections: 1 })
    await friend.vote(id, 'There')
    const vote = await portal.waitForEvent(({ type }) => type === RESPONSE)
    expect(vote.content[RESPONSE]).toEqual({ answers: ['answer 1'] })
  })

  test('a reaction that is taken away is redacted', async () => {
    const { phone, friend, portal } = await newChat(scene())
    const { id } = await friend.send({ to: phone.id, text: 'look' })
    await friend.react(id, '👍')
    const reaction = await portal.waitForEvent(isReaction)
    await friend.react(id, '')
    const redaction = await portal.waitForEvent(({ type }) => type === 'm.room.redaction')
    expect(redaction).toMatchObject({
      sender: expect.stringContaining(friend.id),
      content: { redacts: reaction.event_id },
    })
  })
}
