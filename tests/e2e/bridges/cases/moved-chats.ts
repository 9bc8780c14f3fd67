/** Chats with a number that the network moves to the hidden id (LID) of the same person. */
import { expect, test } from 'bun:test'
import type { MessagePayload } from '../../../../src/domain/events.ts'
import type { ContactView } from '../../../../src/domain/views/contact.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type SettingOf, sendText } from './setting.ts'

export function movedChatCases(setting: SettingOf): void {
  /** Somebody with a hidden id, who still goes by the number, has said hello. */
  async function begun(user: LinkedUser) {
    const friend = await setting().testnet.newPhone({ lid: true, chats_by_number: true })
    await friend.send({ to: user.phone.id, text: 'hello' })
    const { from, chat, chat_id: chatId, id } = await user.inbox.next()
    return { friend, from, room: chat.id, chatId, event: id }
  }

  /** As `begun`, and the friend has a second room, of the hidden id. */
  async function begunTwice(user: LinkedUser) {
    const first = await begun(user)
    await first.friend.change({ chats_by_number: false })
    await first.friend.send({ to: user.phone.id, text: 'by my hidden id' })
    const { from, chat, id } = await user.inbox.next()
    expect(chat.id).not.toBe(first.room)
    return { friend: first.friend, first, second: { from, room: chat.id, event: id } }
  }

  const textsOf = async (friend: TestnetPhone, user: LinkedUser) =>
    (await friend.messages()).filter(({ from }) => from === user.phone.id).map(({ text }) => text)

  async function sendTo(user: LinkedUser, contact: string, text: string, replyId?: string) {
    const reply = replyId === undefined ? {} : { reply_id: replyId }
    const [accepted] = await user.account.send(user.device, { platform: PLATFORM, contact, text, ...reply })
    return accepted?.id ?? ''
  }

  /** Until the bridge knows the person's chat in this room alone. */
  async function untilMoved({ account, device }: LinkedUser, friend: TestnetPhone, room: string) {
    const path = `/api/v1/devices/${device}/contacts/${friend.number}`
    const isThere = async () => (await account.api.get<ContactView>(path)).body.room === room
    await waitFor(isThere, { what: 'the chat to be moved' })
  }

  test('in its room: each id leads there, and what is said before and after is one conversation', async () => {
    await using user = await linkedUser(setting())
    const { friend, from, room, event } = await begun(user)
    await sendText(user, friend, 'before')
    await friend.moveChats()
    await friend.send({ to: user.phone.id, text: 'it is still me' })
    const after = await user.inbox.next()
    expect(after).toMatchObject({ chat: { id: room }, sender: { phone: friend.number } })
    expect(after.from).not.toBe(from)

    const ways = [from, after.from, friend.number, `lid-${friend.lid}`, `${friend.lid}@lid`, room]
    const accepted = await user.account.send(user.device, {
      platform: PLATFORM,
      contact: ways.join(','),
      text: 'once',
    })
    expect(accepted).toHaveLength(1)
    for (const [index, way] of ways.entries()) await sendTo(user, way, `${index}`)
    await friend.waitForText(`${ways.length - 1}`)
    expect(await textsOf(friend, user)).toEqual(['before', 'once', ...ways.keys().map(String)])
    await sendTo(user, after.from, 'quoting', event)
    expect(await friend.waitForText('quoting')).toMatchObject({ reply_to: expect.any(String) })
  })

  test('whoever is saved is one contact before and after, by whichever Matrix user', async () => {
    const friend = await setting().testnet.newPhone({ lid: true, chats_by_number: true })
    await using user = await linkedUser(setting(), { contacts: [friend.number] })
    await friend.send({ to: user.phone.id, text: 'before' })
    const before = await user.inbox.next()
    await friend.moveChats()
    await friend.send({ to: user.phone.id, text: 'after' })
    const after = await user.inbox.next()
    expect(after.from).not.toBe(before.from)
    for (const { is_contact, sender } of [before, after])
      expect([is_contact, sender.phone]).toEqual([true, friend.number])
    const path = `/api/v1/devices/${user.device}/contacts`
    const { body } = await user.account.api.get<ContactView[]>(path)
    const id = `lid-${friend.lid}`
    expect(body).toMatchObject([{ id, phone: friend.number, native_ids: [id], room: after.chat.id }])
  })

  test('a webhook for one chat alone gets what is said in it after the move', async () => {
    await using user = await linkedUser(setting())
    const { friend, first, second } = await begunTwice(user)
    const stranger = await setting().testnet.newPhone()
    await using ofChat = await InboxReader.of<MessagePayload>(user.account, ['message.received'], {
      filters: { chats: [first.chatId ?? ''] },
    })
    await friend.moveChats()
    await untilMoved(user, friend, second.room)
    await stranger.send({ to: user.phone.id, text: 'in another chat' })
    expect(await user.inbox.next()).toMatchObject({ message: 'in another chat' })
    await friend.send({ to: user.phone.id, text: 'in the chat' })
    expect(await ofChat.next()).toMatchObject({ message: 'in the chat', chat: { id: second.room } })
    expect(ofChat.unread).toBe(0)
  })

  test('two rooms become one: each id of both leads to the room that is left', async () => {
    await using user = await linkedUser(setting())
    const { friend, first, second } = await begunTwice(user)
    await friend.moveChats()
    await untilMoved(user, friend, second.room)
    const ways = [first.room, second.room, first.from, second.from, friend.number, `${friend.lid}@lid`]
    for (const [index, way] of ways.entries()) await sendTo(user, way, `way ${index}`)
    for (const index of ways.keys()) await friend.waitForText(`way ${index}`)
    const texts = await textsOf(friend, user)
    for (const index of ways.keys()) expect(texts.filter(text => text === `way ${index}`)).toHaveLength(1)

    await friend.send({ to: user.phone.id, text: 'after it' })
    expect(await user.inbox.next()).toMatchObject({ message: 'after it', chat: { id: second.room } })
  })

  test('what waits for the closed room goes to the other one, once', async () => {
    await using user = await linkedUser(setting())
    const { friend, first } = await begunTwice(user)
    await user.phone.setConnection({ state: 'disconnected' })
    await waitFor(async () => {
      const { body } = await user.account.api.get<{ state: string }[]>('/api/v1/devices')
      return body[0]?.state === 'disconnected'
    })
    const waiting = ['one', 'two', 'three']
    for (const text of waiting) await sendTo(user, first.room, text)
    await friend.moveChats()
    await user.phone.setConnection({ state: 'connected' })
    for (const text of waiting) await friend.waitForText(text)
    await sendTo(user, first.from, 'and so on')
    await friend.waitForText('and so on')
    const texts = (await textsOf(friend, user)).filter(text => waiting.includes(text ?? ''))
    expect(texts).toEqual(waiting)
  })

  test('a message of the closed room is quoted no more, and the sender hears why', async () => {
    await using user = await linkedUser(setting())
    const { friend, first, second } = await begunTwice(user)
    await friend.moveChats()
    await untilMoved(user, friend, second.room)
    const id = await sendTo(user, first.from, 'quoting', first.event)
    const { reason } = await user.account.waitForStatus(id, ['failed'])
    expect(reason).toContain('reply_id')
    await sendTo(user, first.from, 'quoting the other', second.event)
    expect(await friend.waitForText('quoting the other')).toMatchObject({ reply_to: expect.any(String) })
  })

  test('a message that comes into the room as it is closed is sent again in the other one, in order', async () => {
    await using user = await linkedUser(setting())
    const { friend, first, second } = await begunTwice(user)
    const texts = Array.from({ length: 30 }, (_, index) => `in the move ${index}`)
    const ids: string[] = []
    for (const [index, text] of texts.entries()) {
      ids.push(await sendTo(user, first.room, text))
      if (index === 10) await friend.moveChats()
    }
    for (const id of ids) await user.account.waitForStatus(id, ['sent', 'delivered', 'read'])
    for (const text of texts) await friend.waitForText(text)
    await untilMoved(user, friend, second.room)
    expect(await textsOf(friend, user)).toEqual(texts)
  })

  test('a move while the gateway is away: what is written next arrives, by number, id and room', async () => {
    await using user = await linkedUser(setting())
    const { friend, first, second } = await begunTwice(user)
    await sendText(user, friend, 'before')
    const { gateway } = setting().deployment
    await gateway.kill()
    await friend.moveChats()
    await gateway.start()
    const ways = [friend.number, first.from, second.from, first.room, second.room]
    for (const [index, way] of ways.entries()) await sendTo(user, way, `way ${index}`)
    for (const index of ways.keys()) await friend.waitForText(`way ${index}`)
    expect(await textsOf(friend, user)).toEqual(['before', ...ways.keys().map(index => `way ${index}`)])
  })

  test('a bridge that moves chats as it starts: what waited for it arrives, in order', async () => {
    await using user = await linkedUser(setting())
    const { friend, first, second } = await begunTwice(user)
    const bridge = setting().deployment.bridge(PLATFORM)
    await bridge.kill()
    const waiting = ['one', 'two', 'three']
    for (const text of waiting) await sendTo(user, first.room, text)
    await bridge.start()
    for (const text of waiting) await friend.waitForText(text)
    await untilMoved(user, friend, second.room)
    await friend.send({ to: user.phone.id, text: 'after it' })
    expect(await user.inbox.next()).toMatchObject({ message: 'after it', chat: { id: second.room } })
    expect(await textsOf(friend, user)).toEqual(waiting)
  })
}
