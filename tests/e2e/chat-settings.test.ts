/** Chats and their members are changed on the sandbox, each change with a status of its own. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { ActionView } from '../../src/domain/views/action.ts'
import type { ChatView } from '../../src/domain/views/chat.ts'
import type { MemberView } from '../../src/domain/views/group.ts'
import type { Account } from '../support/gateway-client.ts'
import { testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

async function scene() {
  const gateway = await testGateway()
  const { client } = gateway
  const [ann, ben] = [await client.newPhone(), await client.newPhone()]
  const { account, device, phone } = await client.linkedAccount()
  const group = { name: 'Team', participants: [ann.number] }
  const made = await account.api.post<ChatView>(`/api/v1/devices/${device}/groups`, group)
  const chat = `/api/v1/chats/${made.body.id}`
  const members = async () => (await account.api.get<{ data: MemberView[] }>(`${chat}/members`)).body.data
  return { gateway, account, device, phone, ann, ben, chat, members }
}

async function untilSent(account: Account, actions: readonly ActionView[]): Promise<void> {
  for (const { id } of actions) {
    const ended = await waitFor(
      async () => {
        const { body } = await account.api.get<ActionView>(`/api/v1/actions/${id}`)
        return body.status === 'queued' || body.status === 'sending' ? undefined : body
      },
      { what: `the end of ${id}` },
    )
    expect([ended.type, ended.status, ended.reason]).toEqual([ended.type, 'sent', null])
  }
}

test('a name, a topic and a time after which messages disappear', async () => {
  const { gateway, account, chat } = await scene()
  await using _gateway = gateway
  const change = { name: 'Friends', topic: 'Plans', disappearing_s: 86_400, muted: true }
  const { status, body } = await account.api.patch<{ data: ActionView[] }>(chat, change)
  expect(status).toBe(202)
  expect(body.data.map(({ type }) => type)).toEqual(['rename', 'set_topic', 'set_disappearing'])
  await untilSent(account, body.data)
  const shown = await waitFor(
    async () => {
      const found = (await account.api.get<ChatView>(chat)).body
      return found.topic === 'Plans' ? found : undefined
    },
    { what: 'the topic' },
  )
  expect(shown).toMatchObject({ name: 'Friends', topic: 'Plans', muted: true, archived: false })
})

/** A picture of one pixel. */
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')

function pictureForm(fields: Record<string, string> = {}): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  // Browsers call it “blob”, without an extension.
  form.append('avatar', new Blob([PIXEL]))
  return form
}

test('a picture comes to the phones, with what else the form has, and goes again', async () => {
  const { gateway, account, chat } = await scene()
  await using _gateway = gateway
  const onPhone = async () => {
    const { body } =
      await gateway.client.sandbox.get<{ name: string; avatar_url: string | null }[]>('/groups')
    return body.find(({ name }) => name === 'Orchestra')?.avatar_url
  }
  const form = pictureForm({ name: 'Orchestra', muted: 'true' })
  const { status, body } = await account.api.patch<{ data: ActionView[] }>(chat, form)
  expect([status, body.data.map(({ type }) => type)]).toEqual([202, ['rename', 'set_avatar']])
  await untilSent(account, body.data)
  const shown = await waitFor(
    async () => {
      const found = (await account.api.get<ChatView>(chat)).body
      return found.avatar_url === null ? undefined : found
    },
    { what: 'the picture' },
  )
  expect(shown).toMatchObject({ name: 'Orchestra', muted: true })
  expect(shown.capabilities?.changes).toContain('set_avatar')
  expect(Buffer.from(await (await fetch(shown.avatar_url ?? '')).arrayBuffer())).toEqual(PIXEL)
  expect(await onPhone()).toEqual(expect.any(String))

  const removed = await account.api.patch<{ data: ActionView[] }>(chat, { avatar: null })
  expect(removed.body.data.map(({ type }) => type)).toEqual(['set_avatar'])
  await untilSent(account, removed.body.data)
  expect(await onPhone()).toBeNull()
  await waitFor(async () => (await account.api.get<ChatView>(chat)).body.avatar_url === null, {
    what: 'no picture any more',
  })
})

test('a direct chat has no picture of its own, and a repeat of a form is answered as before', async () => {
  const { gateway, account, device, chat, ann } = await scene()
  await using _gateway = gateway
  await account.send(device, { contact: ann.number, text: 'hello' })
  await ann.waitForText('hello')
  const dm = await waitFor(
    async () => (await account.api.get<{ data: ChatView[] }>('/api/v1/chats?kind=dm')).body.data[0],
    { what: 'the direct chat' },
  )
  const refused = await account.api.patch(`/api/v1/chats/${dm.id}`, pictureForm())
  expect(refused).toMatchObject({ status: 422, body: { feature: 'm.room.avatar', limit: null } })

  const once = async (fields?: Record<string, string>) => {
    const response = await fetch(account.address.url + chat, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${account.token}`, 'idempotency-key': 'picture' },
      body: pictureForm(fields),
    })
    return { status: response.status, text: await response.text() }
  }
  const first = await once()
  expect(first.status).toBe(202)
  expect(await once()).toEqual(first)
  expect((await once({ name: 'Other' })).status).toBe(422)
})

test('members are added and removed, and made admins where the bridge lets us', async () => {
  const { gateway, account, ben, chat, members } = await scene()
  await using _gateway = gateway
  const changed = async (change: object) => {
    const { status, body } = await account.api.patch<{ data: ActionView[] }>(`${chat}/members`, change)
    expect([status, body.data.map(({ member }) => member)]).toEqual([202, [ben.number]])
    await untilSent(account, body.data)
  }
  const role = async () => (await members()).find(({ phone }) => phone === ben.number)?.role
  await changed({ add: [ben.number] })
  await waitFor(async () => (await role()) === 'member', { what: 'Ben in the group' })
  const promoted = await account.api.patch<{ data: ActionView[] }>(`${chat}/members`, {
    promote: [ben.number],
  })
  const [promotion] = promoted.body.data
  const failed = await waitFor(
    async () => {
      const { body } = await account.api.get<ActionView>(`/api/v1/actions/${promotion?.id}`)
      return body.status === 'failed' ? body : undefined
    },
    { what: 'the end of the promotion' },
  )
  expect(failed.reason).toContain('only at the phone')
  await changed({ remove: [ben.number] })
  await waitFor(async () => (await role()) === undefined, { what: 'Ben out of the group' })
})

test('what the network doesn’t take is refused in words, and nothing is half done', async () => {
  const { gateway, account, chat } = await scene()
  await using _gateway = gateway
  const refused = await account.api.patch(chat, { name: 'Friends', disappearing_s: 61 })
  expect(refused).toMatchObject({
    status: 422,
    body: {
      code: 'unsupported_by_chat',
      error: expect.stringMatching(/^WhatsApp lets messages disappear only after /),
      feature: 'com.beeper.disappearing_timer',
      limit: null,
    },
  })
  expect((await account.api.patch(chat, {})).status).toBe(400)
  expect((await account.api.get<ChatView>(chat)).body.name).toBe('Team')
})

test('a group is left', async () => {
  const { gateway, account, device, chat } = await scene()
  await using _gateway = gateway
  const { status, body } = await account.api.post<ActionView>(`${chat}/leave`, {})
  expect([status, body.type]).toEqual([202, 'leave'])
  await untilSent(account, [body])
  await waitFor(async () => (await account.groups(device)).length === 0, { what: 'no group any more' })
})
