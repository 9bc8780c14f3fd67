/** Groups on the sandbox: made, joined, and who is in them. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { ChatView } from '../../src/domain/views/chat.ts'
import type { CreatedGroup, MemberView } from '../../src/domain/views/group.ts'
import { openEvents } from '../support/event-source.ts'
import { testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

async function scene() {
  const gateway = await testGateway()
  const { client } = gateway
  const [ann, ben] = [await client.newPhone(), await client.newPhone()]
  const { account, device, phone } = await client.linkedAccount({
    contacts: [{ phone: ann.number, name: 'Ann' }],
  })
  const members = async (chat: string) =>
    (await account.api.get<{ data: MemberView[] }>(`/api/v1/chats/${chat}/members`)).body.data
  return { gateway, client, account, device, phone, ann, ben, members }
}

test('a group is made of people as they are written to, and can be written to', async () => {
  const { gateway, account, device, phone, ann, ben, members } = await scene()
  await using _gateway = gateway
  const path = `/api/v1/devices/${device}/groups`
  const made = await account.api.post<typeof CreatedGroup.static>(path, {
    name: 'Team',
    participants: [`+${ann.number}`, ben.number],
  })
  expect(made.status).toBe(201)
  expect(made.body).toMatchObject({ name: 'Team', kind: 'group', device_id: device, not_added: [] })
  expect(made.body.member_count).toBe(3)
  const shown = await members(made.body.id)
  expect(shown.map(({ phone: number, role, is_self }) => [number, role, is_self])).toEqual([
    [phone.number, 'admin', true],
    ...[ann, ben].map(({ number }) => [number, 'member', false]),
  ])
  await account.send(device, { chat_id: made.body.id, text: 'Welcome' })
  await ann.waitForText('Welcome')
  const typing = await account.api.post(`/api/v1/chats/${made.body.id}/typing`, { typing: true })
  expect(typing.status).toBe(204)
})

test('somebody who isn’t on the network is named, and no group made', async () => {
  const { gateway, account, device, ann } = await scene()
  await using _gateway = gateway
  const path = `/api/v1/devices/${device}/groups`
  const refused = await account.api.post(path, { name: 'Team', participants: [ann.number, '000'] })
  expect(refused).toMatchObject({
    status: 404,
    body: { error: expect.stringMatching(/^participants\.1: "000"/) },
  })
  expect(await account.groups(device)).toEqual([])
})

test('a group is joined by its link, and as well once more', async () => {
  const { gateway, client, account, device, ann, ben, members } = await scene()
  await using _gateway = gateway
  const group = await client.newGroup('Friends', [ann.number, ben.number])
  const join = () =>
    account.api.post<ChatView>(`/api/v1/devices/${device}/groups/join`, { link: group.invite_link })
  const [first, second] = [await join(), await join()]
  expect([first.status, second.status]).toEqual([201, 201])
  expect(first.body).toMatchObject({ name: 'Friends', kind: 'group' })
  expect(second.body.id).toBe(first.body.id)
  expect(await members(first.body.id)).toHaveLength(3)
})

test('who types is told on a stream that names it', async () => {
  const { gateway, client, account, device, ann } = await scene()
  await using _gateway = gateway
  await account.send(device, { contact: ann.number, text: 'Are you there?' })
  await ann.waitForText('Are you there?')
  await ann.send({ to: device, text: 'One moment' })
  const url = `${gateway.url}/api/v1/events?events=chat.typing,message.received&after=now`
  await using stream = await openEvents(url, account.token)
  await ann.send({ to: device, text: 'Here I am' })
  const said = async () => ((await stream.next())?.data as { message?: string } | undefined)?.message
  await waitFor(async () => (await said()) === 'Here I am', { what: 'the message' })
  const path = `/phones/${ann.number}/chats/${device}?platform=wa`
  expect((await client.sandbox.patch(path, { typing: true })).status).toBe(200)
  const typing = await stream.next()
  expect(typing).toMatchObject({
    event: 'chat.typing',
    data: { device_id: device, sender: { phone: ann.number }, typing: true },
  })
})
