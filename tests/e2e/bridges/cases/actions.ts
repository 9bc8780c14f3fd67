/** Actions on messages and chats that are there, as a real bridge takes them. */
import { describe, expect, test } from 'bun:test'
import type { ActionView } from '../../../../src/domain/views/action.ts'
import type { ChatView } from '../../../../src/domain/views/chat.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type SettingOf, sharedPair, untilEnded } from './setting.ts'

const EMOJIS = ['👍', '🎉', '👀', '🙏', '🔥', '😀']
/** A phone is told this of a message with these reactions that is unsent then. */
const TOLD = ['message', ...EMOJIS.map(emoji => `reaction ${emoji}`), 'delete']

type Call = 'put' | 'post' | 'patch' | 'delete'

export function actionCases(setting: SettingOf): void {
  const pair = sharedPair(setting)

  /** @param path behind the message, such as `/reaction`. @throws Error unless it is a 202 */
  async function act(
    { account }: LinkedUser,
    call: Call,
    message: string,
    path: string,
    body?: Record<string, unknown>,
  ): Promise<ActionView> {
    const url = `/api/v1/messages/${encodeURIComponent(message)}${path}`
    const { api } = account
    const answer =
      call === 'delete' ? await api.delete<ActionView>(url) : await api[call]<ActionView>(url, body ?? {})
    if (answer.status !== 202) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  async function sent(user: LinkedUser, friend: TestnetPhone, text: string) {
    const [accepted] = await user.account.send(user.device, { contact: friend.number, text })
    return { id: accepted?.id ?? '', onPhone: await friend.waitForText(text) }
  }

  /** The phone’s news of a message, oldest first. */
  const toldOf = async (phone: TestnetPhone, message: string) =>
    (await phone.events())
      .filter(event => event.message?.id === message)
      .map(({ kind, emoji }) => (kind === 'reaction' ? `reaction ${emoji ?? ''}` : kind))
      .filter(kind => kind !== 'receipt')

  test('a reaction to what a friend wrote, another in its place, and none', async () => {
    const { user, friend } = pair()
    const { id } = await friend.send({ to: user.phone.id, text: 'look' })
    const message = await user.inbox.next()
    const reactions = async () => (await friend.message(id)).reactions ?? {}
    for (const emoji of ['👍', '🎉']) {
      const action = await act(user, 'put', message.id, '/reaction', { emoji })
      expect(structuredClone(action)).toMatchObject({ id: expect.stringMatching(/^act_/), type: 'react' })
      expect(await untilEnded(user, action)).toMatchObject({ status: 'sent', reason: null })
      expect(await reactions()).toEqual({ [user.phone.id]: emoji })
    }
    await untilEnded(user, await act(user, 'delete', message.id, '/reaction'))
    expect(await reactions()).toEqual({})
  })

  test('a reaction to one’s own message, which is unsent then', async () => {
    const { user, friend } = pair()
    await using statuses = await InboxReader.of(user.account, ['action.status'])
    const { id, onPhone } = await sent(user, friend, 'to be unsent')
    await untilEnded(user, await act(user, 'put', id, '/reaction', { emoji: '👀' }))
    const unsent = await act(user, 'post', id, '/unsend')
    expect(await untilEnded(user, unsent)).toMatchObject({ type: 'unsend', status: 'sent', message_id: id })
    expect(await friend.message(onPhone.id)).toMatchObject({ deleted: true })
    expect(await user.account.message(id)).toMatchObject({ deleted_at: expect.any(String) })
    expect(await statuses.next()).toMatchObject({ event: 'action.status', type: 'react' })
  })

  test('what is done at once arrives in its order, behind the message that it is about', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const [accepted] = await user.account.send(user.device, { contact: friend.number, text: 'in order' })
    const id = accepted?.id ?? ''
    for (const emoji of EMOJIS) await act(user, 'put', id, '/reaction', { emoji })
    await user.account.send(user.device, { contact: friend.number, text: 'and on' })
    await untilEnded(user, await act(user, 'post', id, '/unsend'))
    await friend.waitForText('and on')
    const [message] = await friend.messages()
    expect(await toldOf(friend, message?.id ?? '')).toEqual(TOLD)
  })

  test('an edit of one’s own text, and another', async () => {
    const { user, friend } = pair()
    const { id, onPhone } = await sent(user, friend, 'at fuor')
    for (const text of ['at four', 'at five']) {
      const edit = await act(user, 'patch', id, '', { text })
      expect(await untilEnded(user, edit)).toMatchObject({ type: 'edit', status: 'sent', message_id: id })
    }
    expect(await friend.message(onPhone.id)).toMatchObject({ text: 'at five', edited: true })
    expect(await toldOf(friend, onPhone.id)).toEqual(['message', 'edit', 'edit'])
  })

  test('votes in a poll from a phone, by the texts of its options, and none', async () => {
    const { user, friend } = pair()
    const poll = { question: 'Which?', options: ['This', 'That', 'Neither'], max_selections: 2 }
    const { id } = await friend.send({ to: user.phone.id, type: 'poll', poll })
    const { id: event } = await user.inbox.next()
    for (const options of [['This', 'That'], ['Neither'], []]) {
      await untilEnded(user, await act(user, 'put', event, '/vote', { options }))
      const votes = (await friend.message(id)).votes?.[user.phone.id] ?? []
      expect(votes.toSorted()).toEqual(options.toSorted())
    }
    const tooMany = user.account.api.put(`/api/v1/messages/${encodeURIComponent(event)}/vote`, {
      options: ['This', 'That', 'Neither'],
    })
    expect((await tooMany).status).toBeGreaterThanOrEqual(400)
  })

  test('votes in one’s own poll', async () => {
    const { user, friend } = pair()
    const { body } = await user.account.api.post<{ messages: { id: string }[] }>(
      `/api/v1/devices/${user.device}/message`,
      { platform: PLATFORM, contact: friend.number, poll: { question: 'Mine?', options: ['Yes', 'No'] } },
    )
    const { id } = await friend.waitForMessage(({ poll }) => poll?.question === 'Mine?')
    await untilEnded(user, await act(user, 'put', body.messages[0]?.id ?? '', '/vote', { options: ['Yes'] }))
    expect((await friend.message(id)).votes).toEqual({ [user.phone.id]: ['Yes'] })
  })

  test('a chat is read up to a message, and then as a whole', async () => {
    const { user, friend } = pair()
    const [first, second] = [
      await friend.send({ to: user.phone.id, text: 'read me' }),
      await friend.send({ to: user.phone.id, text: 'and me later' }),
    ]
    const [event] = await user.inbox.take(2)
    const isRead = async ({ id }: { id: string }) =>
      (await friend.message(id)).read?.[user.phone.id] !== undefined
    const read = async (body: Record<string, unknown>) => {
      const url = `/api/v1/chats/${event?.chat_id}/read`
      const answer = await user.account.api.post<ActionView>(url, body)
      expect(answer.status).toBe(202)
      await untilEnded(user, answer.body)
    }
    await read({ up_to: event?.id })
    await waitFor(() => isRead(first), { what: 'the first to be read' })
    expect(await isRead(second)).toBe(false)
    await read({})
    await waitFor(() => isRead(second), { what: 'the second to be read' })
  })

  test('what the chat doesn’t take is a 422 that says so', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone({
      features: { reaction: -2, allowed_reactions: [], delete_max_age: 1 },
    })
    await friend.send({ to: user.phone.id, text: 'no reactions here' })
    const message = await user.inbox.next()
    const { status, body } = await user.account.api.put<{ code: string; details: unknown }>(
      `/api/v1/messages/${encodeURIComponent(message.id)}/reaction`,
      { emoji: '👍' },
    )
    expect({ status, ...body }).toMatchObject({ status: 422, code: 'unsupported_by_chat' })
  })

  test('an edit or an unsending that comes too late is a 422 with the limit in words', async () => {
    await using user = await linkedUser(setting())
    const features = { edit_max_age: 1, delete_max_age: 1 }
    const friend = await setting().testnet.newPhone({ features })
    const { id, onPhone } = await sent(user, friend, 'too late')
    const { updated_at: sentAt, chat_id: chat } = await user.account.waitForStatus(id, ['delivered', 'read'])
    const { api } = user.account
    await waitFor(async () => {
      const { body } = await api.get<ChatView>(`/api/v1/chats/${chat}`)
      return body.capabilities !== null && Date.now() - Date.parse(sentAt) > 1_500
    })
    expect(await api.patch(`/api/v1/messages/${id}`, { text: 'later' })).toMatchObject({
      status: 422,
      body: { error: 'WhatsApp allows edits for 1 second', feature: 'edit_max_age', limit: 1 },
    })
    expect(await api.post(`/api/v1/messages/${id}/unsend`, {})).toMatchObject({
      status: 422,
      body: { error: 'WhatsApp allows unsending for 1 second', feature: 'delete_max_age', limit: 1 },
    })
    const message = await friend.message(onPhone.id)
    expect([message.text, message.edited, message.deleted]).toEqual(['too late', undefined, undefined])
  })

  describe('after kill -9 of', () => {
    test('the bridge, what was done meanwhile is done, the last reaction last', async () => {
      await using user = await linkedUser(setting())
      const friend = await setting().testnet.newPhone()
      const [{ id, onPhone }, other] = [await sent(user, friend, 'kept'), await sent(user, friend, 'unsent')]
      const bridge = setting().deployment.bridge(PLATFORM)
      await bridge.kill()
      const actions = [await act(user, 'post', other.id, '/unsend')]
      for (const emoji of EMOJIS) actions.push(await act(user, 'put', id, '/reaction', { emoji }))
      await bridge.start()
      for (const action of actions) expect(await untilEnded(user, action)).toMatchObject({ status: 'sent' })
      const reaction = async () => (await friend.message(onPhone.id)).reactions?.[user.phone.id]
      await waitFor(async () => (await reaction()) === EMOJIS.at(-1), { what: 'the last reaction' })
      expect(await friend.message(other.onPhone.id)).toMatchObject({ deleted: true })
    })

    test('the gateway, each action is done once, in order', async () => {
      await using user = await linkedUser(setting())
      const friend = await setting().testnet.newPhone()
      const { id, onPhone } = await sent(user, friend, 'before the kill')
      const actions: ActionView[] = []
      const { gateway } = setting().deployment
      for (const emoji of EMOJIS) {
        actions.push(await act(user, 'put', id, '/reaction', { emoji }))
        if (actions.length !== 3) continue
        await gateway.kill()
        await gateway.start()
      }
      actions.push(await act(user, 'post', id, '/unsend'))
      for (const action of actions)
        expect(await untilEnded(user, action)).toMatchObject({ status: 'sent', reason: null })
      expect(await toldOf(friend, onPhone.id)).toEqual(TOLD)
    })
  })
}
