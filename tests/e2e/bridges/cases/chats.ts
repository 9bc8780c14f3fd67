/** Chats as a real bridge makes and changes them: listed, written to by their ids, typed in. */
import { expect, test } from 'bun:test'
import type { ChatView } from '../../../../src/domain/views/chat.ts'
import type { ChatMessageView } from '../../../../src/domain/views/chat-message.ts'
import { openEvents } from '../../../support/event-source.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, type SettingOf, sharedPair } from './setting.ts'

export function chatCases(setting: SettingOf): void {
  const pair = sharedPair(setting)

  const chatsOf = async ({ account }: LinkedUser, query = '') =>
    (await account.api.get<{ data: ChatView[]; next: string | null }>(`/api/v1/chats${query}`)).body

  test('a direct chat and a group are listed, the last one in which something was said first', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const friend = await testnet.newPhone({ name: 'Ada' })
    const group = await testnet.newGroup('Choir', friend, [user.phone])
    await friend.send({ group: group.id, text: 'to all' })
    await user.inbox.next()
    await friend.send({ to: user.phone.id, text: 'to you' })
    const { chat_id: direct, chat } = await user.inbox.next()
    const { data, next } = await chatsOf(user)
    expect(next).toBeNull()
    expect(data).toMatchObject([
      {
        id: direct,
        room_id: chat.id,
        device_id: user.device,
        kind: 'dm',
        name: 'Ada',
        person: { phone: friend.number },
        unread_count: 1,
        last_message: { text: 'to you', direction: 'in' },
        capabilities: { max_text_length: 20_000, reply: true },
      },
      { kind: 'group', name: 'Choir', person: null },
    ])
    for (const id of [direct ?? '', chat.id]) {
      const { body } = await user.account.api.get<ChatView>(`/api/v1/chats/${encodeURIComponent(id)}`)
      expect(body).toMatchObject({ id: direct, kind: 'dm' })
    }
    expect((await chatsOf(user, '?kind=group&query=cho')).data).toMatchObject([{ name: 'Choir' }])
    await friend.send({ group: group.id, text: 'again' })
    await user.inbox.next()
    const { data: newest } = await chatsOf(user, '?limit=1')
    expect(newest).toMatchObject([{ name: 'Choir', unread_count: 2, last_message: { text: 'again' } }])
  })

  test('has all its messages: from phones and from here, with reactions, votes, edits and answers', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone({ name: 'Ada' })
    const first = await friend.send({ to: user.phone.id, text: 'firts' })
    const { chat_id: chat, id: firstEvent } = await user.inbox.next()
    await friend.edit(first.id, 'first')
    await friend.react(first.id, '🎉')
    await user.phone.send({ to: friend.id, text: 'from my own phone' })
    const poll = await friend.send({
      to: user.phone.id,
      type: 'poll',
      poll: { question: 'Where?', options: ['Here', 'There'] },
    })
    await friend.vote(poll.id, 'There')
    const gone = await friend.send({ to: user.phone.id, text: 'gone' })
    const path = `/api/v1/chats/${chat}/messages`
    const messages = async () =>
      (await user.account.api.get<{ data: ChatMessageView[]; next: string | null }>(path)).body
    const newest = async () => (await messages()).data[0]
    // A message that is deleted before the gateway hears of it leaves nothing.
    await waitFor(async () => (await newest())?.text === 'gone', { what: 'the last message' })
    await friend.delete(gone.id)
    await waitFor(async () => (await newest())?.deleted_at !== null, { what: 'its deletion' })
    const [sent] = await user.account.send(user.device, {
      chat_id: chat ?? '',
      text: 'from here',
      reply_id: firstEvent,
    })
    await user.account.waitForStatus(sent?.id ?? '', ['sent', 'delivered', 'read'])
    const body = await messages()
    expect(body.next).toBeNull()
    expect(body.data).toMatchObject([
      {
        id: expect.stringMatching(/^msg_/),
        direction: 'out',
        text: 'from here',
        reply_to: firstEvent,
        quoted: { text: 'first', sender: { phone: friend.number } },
      },
      { direction: 'in', text: '', deleted_at: expect.any(String) },
      { direction: 'in', kind: 'poll', poll: { question: 'Where?', options: [{ votes: 0 }, { votes: 1 }] } },
      { direction: 'out', text: 'from my own phone', status: null },
      {
        id: firstEvent,
        direction: 'in',
        sender: { phone: friend.number, name: 'Ada' },
        text: 'first',
        edited_at: expect.any(String),
        reactions: [{ emoji: '🎉', sender: { phone: friend.number } }],
      },
    ])
    const seen: string[] = []
    for (let cursor = ''; ; ) {
      const page = await user.account.api.get<{ data: ChatMessageView[]; next: string | null }>(
        `${path}?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
      )
      seen.push(...page.body.data.map(({ event_id }) => event_id))
      if (page.body.next === null) break
      cursor = page.body.next
    }
    expect(seen).toEqual(body.data.map(({ event_id }) => event_id))
  })

  test('what is written to a chat’s id and to several at once arrives there', async () => {
    const { user, friend } = pair()
    await friend.send({ to: user.phone.id, text: 'hello' })
    const { chat_id: chatId } = await user.inbox.next()
    const { status } = await user.account.api.post(`/api/v1/devices/${user.device}/message`, {
      chat_id: chatId,
      text: 'by the chat',
    })
    expect(status).toBe(200)
    await friend.waitForText('by the chat')
    const other = await setting().testnet.newPhone()
    await user.account.api.post(`/api/v1/devices/${user.device}/message`, {
      platform: 'wa',
      contact: [friend.number, other.number],
      text: 'to both',
    })
    for (const phone of [friend, other]) await phone.waitForText('to both')
  })

  test('who types is told on the stream, and that they stopped', async () => {
    const { user, friend } = pair()
    await friend.send({ to: user.phone.id, text: 'wait' })
    const { chat_id: chatId } = await user.inbox.next()
    const url = `${user.account.address.url}/api/v1/events?events=chat.typing`
    await using stream = await openEvents(url, user.account.token)
    await friend.typing(user.phone.id, true)
    const [begun] = await stream.take(1)
    expect(begun).toMatchObject({ id: '', event: 'chat.typing', data: { chat_id: chatId, typing: true } })
    await friend.typing(user.phone.id, false)
    expect(await stream.next()).toMatchObject({ data: { chat_id: chatId, typing: false } })
  })
}
