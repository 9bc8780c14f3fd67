/** Calls, posts, polls and votes of the sandbox's phones, at a webhook that names them. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { MessagePayload } from '../../src/domain/events.ts'
import { ASIDE_EVENT_NAMES } from '../../src/domain/states.ts'
import type { Phone } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

async function scene() {
  const stack = new AsyncDisposableStack()
  const { client } = stack.use(await testGateway())
  const friend = await client.newPhone()
  const contacts = [{ phone: friend.number, name: 'Friend' }]
  const { account, device, phone } = await client.linkedAccount({ contacts })
  const messages = stack.use(await InboxReader.open(account))
  const names = ASIDE_EVENT_NAMES.filter(name => name !== 'message.own')
  const others = stack.use(await InboxReader.of<MessagePayload>(account, names))
  const owned = stack.move()
  return {
    client,
    account,
    device,
    phone,
    friend,
    messages,
    others,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Expects that nothing before this message came as one. */
async function expectMessageNext(phone: Phone, to: string, inbox: InboxReader): Promise<void> {
  await phone.send({ to, text: 'a message' })
  expect(await inbox.next()).toMatchObject({ event: 'message.received', message: 'a message' })
}

test('a call, a status post, a channel’s post and votes are told by name, and are no messages', async () => {
  await using world = await scene()
  const { client, account, device, phone, friend, messages, others } = world
  await friend.send({ to: device, call: {} })
  expect(await others.next()).toMatchObject({
    event: 'call.received',
    call: { type: null },
    sender: { phone: friend.number },
    chat: { kind: 'dm' },
  })

  const status = await friend.send({ status: true, text: 'at the seaside' })
  const posted = await others.next()
  expect(posted).toMatchObject({
    event: 'status.posted',
    message: 'at the seaside',
    is_contact: true,
    chat: { kind: 'status', name: 'WhatsApp Status Broadcast' },
  })
  await friend.send({ delete: status.id })
  expect(await others.next()).toMatchObject({
    event: 'status.posted',
    kind: 'redaction',
    relates_to: posted.id,
  })

  const channel = { name: 'News', members: [device], channel: { owner: friend.number } }
  const { body } = await client.sandbox.post<{ id: string }>('/groups', channel)
  await friend.send({ group: body.id, text: 'it rains' })
  expect(await others.next()).toMatchObject({
    event: 'channel.posted',
    message: 'it rains',
    sender: { phone: null, name: 'News' },
    chat: { kind: 'channel', name: 'News' },
  })
  expect((await account.groups(device)).map(({ name }) => name)).not.toContain('News')

  const poll = await friend.send({ to: device, poll: { question: 'Where?', options: ['Here', 'There'] } })
  const received = await messages.next()
  expect(received).toMatchObject({
    event: 'message.received',
    kind: 'poll',
    message: 'Where?',
    poll: { options: [{ text: 'Here', votes: 0 }, { text: 'There' }], max_selections: 1 },
  })
  await friend.send({ vote: { message: poll.id, options: ['There'] } })
  await phone.send({ vote: { message: poll.id, options: ['Here'] } })
  await friend.send({ vote: { message: poll.id, options: [] } })
  const votes = await others.take(2)
  expect(votes.map(({ vote }) => vote?.options.map(({ text }) => text))).toEqual([['There'], []])
  expect(votes[0]).toMatchObject({ relates_to: received.id, sender: { phone: friend.number } })

  const own = await phone.send({ to: friend.number, poll: { question: 'When?', options: ['now', 'later'] } })
  await friend.send({ vote: { message: own.id, options: ['later'] } })
  expect((await others.next()).vote?.options).toMatchObject([{ text: 'later' }])

  await expectMessageNext(friend, device, messages)
  expect([messages.unread, others.unread]).toEqual([0, 0])
})

test('a channel takes posts of its owner alone, by its id or its room', async () => {
  await using world = await scene()
  const { client, account, device, phone, friend, others } = world
  const newChannel = async (owner: string, members: string[]) => {
    const channel = { name: 'News', members, channel: { owner } }
    return (await client.sandbox.post<{ id: string }>('/groups', channel)).body.id
  }
  const followed = await newChannel(friend.number, [device])
  await friend.send({ group: followed, text: 'it rains' })
  const { chat } = await others.next()
  const [refused] = await account.send(device, { group_url: chat.id, text: 'again?' })
  const { reason } = await account.waitForStatus(refused?.id ?? '', ['failed'])
  expect(reason).toBe('only the owners of a channel post in it')

  const own = await newChannel(device, [friend.number])
  await phone.send({ group: own, text: 'first' })
  // Its room becomes known a moment after the post.
  await waitFor(async () => {
    const [post] = await account.send(device, { group_url: own, text: 'second' })
    const { status } = await account.waitForStatus(post?.id ?? '', ['delivered', 'read', 'failed'])
    return status !== 'failed'
  })
  await friend.waitForText('second')
  expect((await friend.messages()).filter(({ text }) => text === 'second')).toHaveLength(1)
})

test('what is written to the status chat fails with the bridge’s words', async () => {
  await using world = await scene()
  const { account, device, friend, others } = world
  await friend.send({ status: true, text: 'at the seaside' })
  const { chat } = await others.next()
  const [accepted] = await account.send(device, { group_url: chat.id, text: 'lovely' })
  const { reason } = await account.waitForStatus(accepted?.id ?? '', ['failed'])
  expect(reason).toContain('sending status messages is disabled')
})
