/** Events of the sandbox have exactly the fields that docs/events.md shows of them. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { wholeEvent } from '../support/event-examples.ts'
import { testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

test('an event has the fields of its example', async () => {
  await using gateway = await testGateway()
  const { client } = gateway
  const friend = await client.newPhone()
  const contacts = [{ phone: friend.number, name: 'Friend' }]
  const { account, device } = await client.linkedAccount({ contacts })
  const { sandbox } = client
  await sandbox.post('/phones', { phone: friend.number, contacts: [{ phone: device, name: 'Device' }] })
  const members = [friend.number, device]

  const said = await friend.send({ to: device, text: 'See you at 8' })
  await seen('message.received', 1)
  await friend.send({ reaction: { message: said.id, emoji: '👍' } })
  await friend.send({ edit: said.id, text: 'See you at 9' })
  await friend.send({ delete: said.id })
  await friend.send({ to: device, call: {} })
  await friend.send({ status: true, text: 'At the seaside' })
  const poll = await friend.send({ to: device, poll: { question: 'Where?', options: ['Here', 'There'] } })
  await friend.send({ vote: { message: poll.id, options: ['Here'] } })
  const news = { name: 'News', members: [device], channel: { owner: friend.number } }
  const channel = await sandbox.post<{ id: string }>('/groups', news)
  await friend.send({ group: channel.body.id, text: 'It rains' })
  const group = await client.newGroup('Book club', members)
  const guest = await client.newPhone()
  await friend.send({ group: group.id, text: 'Hello all' })
  await seen('message.received', 3)
  await sandbox.patch(`/groups/${group.id}`, { name: 'Readers', add: [guest.number] })
  await sandbox.patch(`/groups/${group.id}`, { by: guest.number, remove: [guest.number] })
  await account.send(device, { contact: friend.number, text: 'Hello' })
  await client.phone(device).send({ to: friend.number, text: 'From the phone' })
  await seen('action.status', 0)
  const id = (await seen('message.received', 3)).map(event => (event as { id: string }).id).at(-1) ?? ''
  const reaction = await account.api.put(`/api/v1/messages/${encodeURIComponent(id)}/reaction`, {
    emoji: '👍',
  })
  expect(reaction.status).toBe(202)
  await seen('action.status', 1)
  await client.setFaults({ platform: 'wa', restricted_until: '2099-01-01T00:00:00Z' })
  await seen('device.restricted', 1)
  await client.setFaults({ platform: 'wa', offline: true })
  await seen('device.disconnected', 1)
  await client.setFaults({ platform: 'wa', offline: false, restricted_until: null })
  await client.setFaults({ platform: 'wa', logout: device })

  const names = [
    ...['message.received', 'message.reaction', 'message.edited', 'message.deleted', 'message.status'],
    ...['call.received', 'status.posted', 'channel.posted', 'poll.vote'],
    ...['message.own', 'action.status', 'link.updated'],
    ...['chat.updated', 'member.joined', 'member.left'],
    ...['device.connected', 'device.disconnected', 'device.logged_out', 'device.restricted'],
  ]
  for (const name of names) {
    const [event] = await seen(name, 1)
    expect([name, ...Object.keys(event ?? {}).toSorted()]).toEqual([
      name,
      ...Object.keys(wholeEvent(name)).toSorted(),
    ])
  }

  /** @returns the payloads of the feed's events of that name, once there are so many */
  async function seen(name: string, count: number): Promise<object[]> {
    return waitFor(
      async () => {
        const events = (await account.feed({ events: name })) as { event: string; payload: object }[]
        return events.length >= count && events.map(({ payload }) => payload)
      },
      { what: `${count} ${name}`, deadlineMs: 20_000 },
    )
  }
})
