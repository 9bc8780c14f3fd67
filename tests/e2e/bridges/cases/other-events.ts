/** Calls, posts, polls, votes: each comes by its own event, to whoever names it. */
import { expect, test } from 'bun:test'
import type { MessagePayload } from '../../../../src/domain/events.ts'
import { ASIDE_EVENT_NAMES } from '../../../../src/domain/states.ts'
import { pngOf } from '../../../support/files.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { STATUS_BROADCAST } from '../../../support/testnet.ts'
import { linkedUser, type SettingOf, sharedPair } from './setting.ts'

const POLL = { question: 'Where?', options: ['Here', 'There', 'Nowhere'], max_selections: 2 }

export function otherEventCases(setting: SettingOf): void {
  const pair = sharedPair(setting)

  /** The shared user with a webhook for these events, beside the one that names none. */
  async function listening() {
    const { user, friend } = pair()
    const names = ASIDE_EVENT_NAMES.filter(name => name !== 'message.own')
    const others = await InboxReader.of<MessagePayload>(user.account, names)
    return { user, friend, others, [Symbol.asyncDispose]: () => others[Symbol.asyncDispose]() }
  }

  /** Expects that only messages came, and the webhook that names no events has this one next. */
  async function expectNoMessage({ user, friend }: Awaited<ReturnType<typeof listening>>): Promise<void> {
    await friend.send({ to: user.phone.id, text: 'and now a message' })
    expect(await user.inbox.next()).toMatchObject({ message: 'and now a message' })
    expect(user.inbox.unread).toBe(0)
  }

  test('a call', async () => {
    await using scene = await listening()
    const { user, friend, others } = scene
    await friend.call({ to: user.phone.id, video: true })
    expect(await others.next()).toMatchObject({
      event: 'call.received',
      kind: 'call',
      call: { type: 'video' },
      device_id: user.device,
      sender: { phone: friend.number },
      chat: { kind: 'dm' },
    })
    await expectNoMessage(scene)
    expect(others.unread).toBe(0)
  })

  test('a status post, with its picture, and that it was deleted', async () => {
    await using scene = await listening()
    const { user, friend, others } = scene
    await user.phone.change({ contacts: [friend.number] })
    const data = pngOf(30, 20)
    const media = { data, file_name: 'sea.png', mime_type: 'image/png' }
    const post = await friend.send({ group: STATUS_BROADCAST, type: 'image', text: 'at the seaside', media })
    const posted = await others.next()
    expect(structuredClone(posted)).toMatchObject({
      event: 'status.posted',
      kind: 'image',
      message: 'at the seaside',
      sender: { phone: friend.number },
      chat: { kind: 'status' },
      media: { content: Buffer.from(data).toString('base64'), info: { file_name: 'sea.png' } },
    })
    await friend.delete(post.id)
    expect(await others.next()).toMatchObject({
      event: 'status.posted',
      kind: 'redaction',
      relates_to: posted.id,
    })
    await user.phone.send({ group: STATUS_BROADCAST, text: 'my own' })
    await expectNoMessage(scene)
    expect(others.unread).toBe(0)
  })

  test('a post of a channel comes from the channel; the channel is no group', async () => {
    await using scene = await listening()
    const { user, friend, others } = scene
    const channel = await setting().testnet.newGroup('News', friend, [user.phone], { channel: true })
    await friend.send({ group: channel.id, text: 'it rains' })
    expect(await others.next()).toMatchObject({
      event: 'channel.posted',
      kind: 'text',
      message: 'it rains',
      is_contact: false,
      sender: { phone: null, name: 'News' },
      chat: { kind: 'channel', name: 'News' },
    })
    await expectNoMessage(scene)
    const groups = await user.account.groups(user.device)
    expect(groups.map(({ name }) => name)).not.toContain('News')
  })

  test('a poll is a message with its options; votes on it name them, and none when taken back', async () => {
    await using scene = await listening()
    const { user, friend, others } = scene
    const { id } = await friend.send({ to: user.phone.id, type: 'poll', poll: POLL })
    const poll = await user.inbox.next()
    expect(structuredClone(poll)).toMatchObject({
      event: 'message.received',
      kind: 'poll',
      message: 'Where?',
      poll: {
        question: 'Where?',
        options: POLL.options.map(text => ({ id: expect.any(String), text, votes: 0 })),
        max_selections: 2,
      },
    })
    await friend.vote(id, 'Here', 'There')
    await friend.vote(id)
    const [vote, takenBack] = await others.take(2)
    expect(vote).toMatchObject({ event: 'poll.vote', relates_to: poll.id, sender: { phone: friend.number } })
    expect(vote?.vote?.options.map(({ text }) => text).toSorted()).toEqual(['Here', 'There'])
    expect(takenBack?.vote).toEqual({ options: [] })
    await user.phone.vote(id, 'Nowhere')
    await expectNoMessage(scene)
    expect(others.unread).toBe(0)
  })

  test('votes on a poll that the owner made at the phone name its options', async () => {
    await using scene = await listening()
    const { user, friend, others } = scene
    const { id } = await user.phone.send({ to: friend.id, type: 'poll', poll: POLL })
    await friend.waitForMessage(({ type }) => type === 'poll')
    await friend.vote(id, 'There')
    expect((await others.next()).vote?.options).toMatchObject([{ text: 'There' }])
    await expectNoMessage(scene)
  })

  test('a reaction that is taken back is no deletion', async () => {
    const { user, friend } = pair()
    const { id } = await friend.send({ to: user.phone.id, text: 'look' })
    const message = await user.inbox.next()
    for (const emoji of ['🎉', '']) {
      await friend.react(id, emoji)
      expect(await user.inbox.next()).toMatchObject({
        event: 'message.reaction',
        message: '🎉',
        removed: emoji === '',
        relates_to: message.id,
      })
    }
  })

  test('whoever asks for no events by name gets none of these, by the feed neither', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    await friend.send({ to: user.phone.id, text: 'hello' })
    await user.inbox.next()
    await friend.call({ to: user.phone.id })
    const named = await user.account.feed({ events: 'call.received', wait: 30 })
    expect(named.map(({ event }) => event)).toEqual(['call.received'])
    const all = await user.account.feed({})
    expect(all.map(({ event }) => event)).not.toContain('call.received')
    expect((await user.account.feed({ events: '*' })).map(({ event }) => event)).toContain('call.received')
  })
}
