/** Actions on messages, up to the sandbox's phones. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { ActionView } from '../../src/domain/views/action.ts'
import { type Account, formWith } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { bearer } from '../support/json-client.ts'
import { testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

interface Shown {
  id: string
  text: string | null
  edited: boolean
  deleted: boolean
  reactions: { emoji: string }[]
  read_by: string[]
  poll: { votes: unknown } | null
}

/** @returns the action once it is at an end */
async function done(account: Account, { id }: ActionView): Promise<ActionView> {
  return waitFor(
    async () => {
      const { body } = await account.api.get<ActionView>(`/api/v1/actions/${id}`)
      return !['queued', 'sending'].includes(body.status) && body
    },
    { what: `action ${id} to be done`, deadlineMs: 20_000 },
  )
}

test('messages sent and received are reacted to, edited, unsent, voted on and read', async () => {
  await using stack = new AsyncDisposableStack()
  const { client } = stack.use(await testGateway())
  const friend = await client.newPhone()
  const { account, device } = await client.linkedAccount({
    contacts: [{ phone: friend.number, name: 'Friend' }],
  })
  const inbox = stack.use(await InboxReader.open(account))
  const { api } = account
  const onPhone = async (text: string) => (await friend.waitForText(text)) as unknown as Shown
  const phone = async (wanted: (message: Shown) => boolean) =>
    friend.waitForMessage(message => wanted(message as unknown as Shown))

  const [sent] = await account.send(device, { contact: friend.number, text: 'helo' })
  const path = `/api/v1/messages/${sent?.id}`
  // All are accepted while the message may still be queued.
  const reaction = (await api.put<ActionView>(`${path}/reaction`, { emoji: '👍' })).body
  const replaced = (await api.put<ActionView>(`${path}/reaction`, { emoji: '🎉' })).body
  expect((await done(account, reaction)).status).toBe('sent')
  expect((await done(account, replaced)).status).toBe('sent')
  const { id: phoneId } = await onPhone('helo')
  await phone(({ id, reactions }) => id === phoneId && reactions.map(({ emoji }) => emoji).join() === '🎉')

  const edit = (await api.patch<ActionView>(path, { text: 'hello' })).body
  expect((await done(account, edit)).status).toBe('sent')
  await phone(({ id, text, edited }) => id === phoneId && text === 'hello' && edited)

  const removal = (await api.delete<ActionView>(`${path}/reaction`)).body
  expect((await done(account, removal)).status).toBe('sent')
  await phone(({ id, reactions }) => id === phoneId && reactions.length === 0)

  const unsendOnce = async () => {
    const headers = { authorization: bearer(account.token), 'idempotency-key': 'unsend-1' }
    const answer = await fetch(`${account.address.url}${path}/unsend`, { method: 'POST', headers })
    return (await answer.json()) as ActionView
  }
  const unsent = await unsendOnce()
  expect(await unsendOnce()).toEqual(unsent)
  expect((await done(account, unsent)).status).toBe('sent')
  await phone(({ id, deleted }) => id === phoneId && deleted)
  const message = await account.message(sent?.id ?? '')
  expect(message.deleted_at).not.toBeNull()
  expect(message.actions.map(({ type }) => type)).toEqual(['react', 'react', 'edit', 'unreact', 'unsend'])

  await friend.send({ to: device, poll: { question: 'When?', options: ['Monday', 'Tuesday'] } })
  const poll = await inbox.next()
  const received = `/api/v1/messages/${encodeURIComponent(poll.id)}`
  const vote = (await api.put<ActionView>(`${received}/vote`, { options: ['Tuesday'] })).body
  expect(vote).toMatchObject({ type: 'vote', message_id: poll.id, chat_id: poll.chat_id })
  expect((await done(account, vote)).status).toBe('sent')
  await phone(shown => JSON.stringify(shown.poll?.votes ?? null).includes(device))

  const heart = (await api.put<ActionView>(`${received}/reaction`, { emoji: '❤️' })).body
  expect((await done(account, heart)).status).toBe('sent')
  const read = (await api.post<ActionView>(`/api/v1/chats/${poll.chat_id}/read`, {})).body
  expect((await done(account, read)).status).toBe('sent')
  await phone(({ read_by }) => read_by.includes(device))
})

test('a text, and a file that came in, are forwarded to somebody else', async () => {
  await using stack = new AsyncDisposableStack()
  const { client } = stack.use(await testGateway())
  const [friend, other] = [await client.newPhone(), await client.newPhone()]
  const { account, device } = await client.linkedAccount()
  const inbox = stack.use(await InboxReader.open(account))
  const { api } = account

  const [sent] = await account.send(device, { contact: friend.number, text: 'pass it on' })
  const forward = (id: string, to: object) =>
    api.post<{ id: string; to: string; status: string }>(
      `/api/v1/messages/${encodeURIComponent(id)}/forward`,
      to,
    )
  const text = await forward(sent?.id ?? '', { contact: other.number })
  expect(text).toMatchObject({ status: 201, body: { to: other.number, status: 'queued' } })
  expect(text.body.id).not.toBe(sent?.id)
  await other.waitForText('pass it on')

  const file = { name: 'a.png', type: 'image/png', content: 'a picture' }
  await friend.send(formWith({ to: device, text: 'look' }, file))
  const received = await inbox.next()
  expect((await forward(received.id, { contact: other.number })).status).toBe(201)
  const shown = await other.waitForText('look')
  expect(shown.file).toMatchObject({ name: 'a.png', size: 9 })

  expect((await forward(received.id, {})).status).toBe(400)
  expect((await forward(received.id, { contact: `${other.number},${friend.number}` })).status).toBe(400)
  expect((await forward('$nothing', { contact: other.number })).status).toBe(404)
  await friend.send({ to: device, poll: { question: 'When?', options: ['Monday', 'Tuesday'] } })
  const poll = await inbox.next()
  expect((await forward(poll.id, { contact: other.number })).status).toBe(422)
})
