/** Events of the sandbox have exactly the fields that docs/events.md shows of them. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { MessagePayload } from '../../src/domain/events.ts'
import { differences, PRINTED_EVENTS, wholeEvent } from '../support/event-examples.ts'
import { openEvents } from '../support/event-source.ts'
import { pngOf } from '../support/files.ts'
import { formWith } from '../support/gateway-client.ts'
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
  const [{ chat_id: chatId } = { chat_id: '' }] = (await seen('message.received', 1)) as MessagePayload[]
  await friend.send({ reaction: { message: said.id, emoji: '👍' } })
  await friend.send({ edit: said.id, text: 'See you at 9' })
  await friend.send({ delete: said.id })
  await friend.send({ to: device, call: {} })
  await friend.send({ status: true, text: 'At the seaside' })
  const file = { name: 'dot.png', type: 'image/png', content: pngOf(1, 1) }
  await friend.send(formWith({ to: device, platform: 'wa' }, file))
  await friend.send({ to: device, location: { latitude: 4.0511, longitude: 9.7679, name: 'Our shop' } })
  const poll = await friend.send({ to: device, poll: { question: 'Where?', options: ['Here', 'There'] } })
  await friend.send({ vote: { message: poll.id, options: ['Here'] } })
  const news = { name: 'News', members: [device], channel: { owner: friend.number } }
  const channel = await sandbox.post<{ id: string }>('/groups', news)
  await friend.send({ group: channel.body.id, text: 'It rains' })
  const group = await client.newGroup('Book club', members)
  const guest = await client.newPhone()
  await friend.send({ group: group.id, text: 'Hello all' })
  await seen('message.received', 5)
  await sandbox.patch(`/groups/${group.id}`, { name: 'Readers', add: [guest.number] })
  await sandbox.patch(`/groups/${group.id}`, { by: guest.number, remove: [guest.number] })
  const metadata = { order: '4711' }
  const [sent] = await account.send(device, { contact: friend.number, text: 'Hello', metadata })
  const { id: hello } = await friend.waitForText('Hello')
  await friend.send({ to: device, text: 'Hello to you', reply_to: hello })
  await client.phone(device).send({ to: friend.number, text: 'From the phone' })
  await seen('action.status', 0)
  const reaction = await account.api.put(`/api/v1/messages/${sent?.id}/reaction`, { emoji: '👍' })
  expect(reaction.status).toBe(202)
  await seen('action.status', 1)
  await friend.send({ to: device, text: 'Are you there?' })
  await seen('message.received', 7)
  const chat = `/phones/${device}/chats/${friend.number}?platform=wa`
  expect((await sandbox.patch(chat, { read: true })).status).toBe(200)
  await seen('chat.read', 1)
  expect((await account.api.post(`/api/v1/chats/${chatId}/backfill`, {})).status).toBe(202)
  await seen('chat.backfilled', 1)
  await using stream = await openEvents(`${gateway.url}/api/v1/events?events=chat.typing`, account.token)
  const atFriends = `/phones/${friend.number}/chats/${device}?platform=wa`
  expect((await sandbox.patch(atFriends, { typing: true })).status).toBe(200)
  const typing = await stream.next()
  expect(differences(typing?.data, wholeEvent('chat.typing'))).toEqual([])
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
    ...['chat.read', 'chat.updated', 'chat.backfilled', 'member.joined', 'member.left'],
    ...['device.connected', 'device.disconnected', 'device.logged_out', 'device.restricted'],
  ]
  for (const name of names) {
    const [event] = await seen(name, 1)
    expect([name, differences(event, wholeEvent(name))]).toEqual([name, []])
  }
  const received = (await seen('message.received', 6)) as MessagePayload[]
  expect(received.find(({ quoted }) => quoted)).toMatchObject({ reply_to_message_id: sent?.id, metadata })
  const { location } = PRINTED_EVENTS.find(({ payload }) => payload.location)?.payload ?? {}
  expect(received.find(event => event.location)).toMatchObject({ message: 'Our shop', location })
  for (const field of ['media', 'location', 'poll', 'quoted'] as const) {
    const example = PRINTED_EVENTS.find(({ payload }) => payload[field])
    const event = received.find(each => each[field])
    expect([field, differences(event, wholeEvent('message.received', example?.payload))]).toEqual([field, []])
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
