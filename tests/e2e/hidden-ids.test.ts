/** A person with a hidden WhatsApp id (LID) stays one, by number, id and either Matrix user. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { MessagePayload } from '../../src/domain/events.ts'
import type { ContactView } from '../../src/domain/views/contact.ts'
import type { Account, GatewayClient, Phone } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'

setDefaultTimeout(60_000)

let gateway: TestGateway
let client: GatewayClient
let account: Account
let device: string
let phone: Phone
let saved: Phone
let inbox: InboxReader

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
  saved = await client.newPhone({ ending: '3' })
  const contacts = [{ phone: saved.number, name: 'Lena' }]
  ;({ account, device, phone } = await client.linkedAccount({ contacts, ending: '6' }))
  inbox = await InboxReader.open(account)
})
afterAll(async () => {
  await inbox[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

/** The feed's last event. */
async function lastEvent(): Promise<MessagePayload> {
  const { body } = await account.api.get<{ events: { payload: MessagePayload }[] }>(
    '/api/v1/events?events=message.received',
  )
  return body.events.at(-1)?.payload as MessagePayload
}

test.each([
  ['somebody of the address book', () => saved, true],
  ['a stranger', () => client.newPhone({ ending: '6' }), false],
])('%s is told with their number, in webhook and feed', async (_, of, is_contact) => {
  const friend = await of()
  await friend.send({ to: device, text: 'it is me' })
  const payload = await inbox.next()
  expect(payload).toMatchObject({ message: 'it is me', is_contact, sender: { phone: friend.number } })
  expect(payload.from).toMatch(/^@whatsapp_lid-\d+:localhost$/)
  expect(payload.from).not.toContain(friend.number)
  expect(await lastEvent()).toEqual(payload)
})

test('who is found by number, id or Matrix user is the same person', async () => {
  const path = `/api/v1/devices/${device}/contacts`
  const { body } = await account.api.get<ContactView[]>(path)
  const [contact] = body
  // Bun writes matchers into the compared object.
  expect(structuredClone(contact)).toMatchObject({
    name: 'Lena',
    id: expect.stringMatching(/^lid-\d+$/),
    phone: saved.number,
    identifiers: [`tel:+${saved.number}`],
    native_ids: [contact?.id],
  })
  const lid = `${contact?.id.slice('lid-'.length)}@lid`
  const ways = [saved.number, contact?.id, contact?.matrix_id, lid, `@whatsapp_${saved.number}:localhost`]
  for (const written of ways) {
    const found = await account.api.get(`${path}/${encodeURIComponent(String(written))}`)
    expect(found.body).toMatchObject({ exists: true, id: contact?.id, phone: saved.number })
  }
})

test('however they are written they get a message once, and in order', async () => {
  const friend = await client.newPhone({ ending: '3' })
  await friend.send({ to: device, text: 'hello' })
  const { from } = await inbox.next()
  const [, digits] = /lid-(\d+):/.exec(from) ?? []
  const spellings = [
    from,
    `+${friend.number}`,
    `lid-${digits}`,
    `${digits}@lid`,
    `@whatsapp_${friend.number}:localhost`,
  ]
  const accepted = await account.send(device, { contact: spellings.join(','), text: 'once' })
  expect(accepted.map(({ to }) => to)).toEqual([from])
  const texts = Array.from({ length: 20 }, (_, index) => `${index}`)
  for (const [index, text] of texts.entries())
    await account.send(device, { contact: spellings[index % spellings.length] ?? '', text })
  await friend.waitForText('19')
  const received = await friend.received()
  expect(received.map(({ text }) => text)).toEqual(['once', ...texts])
  expect(new Set(received.map(({ chat }) => chat)).size).toBe(1)
})

test('in a group they may speak by another Matrix user, and are the same person', async () => {
  const friend = await client.newPhone({ ending: '3' })
  const group = await client.newGroup('Both', [device, friend.number, saved.number])
  await saved.send({ group: group.invite_link, text: 'to all' })
  const inGroup = await inbox.next()
  expect(inGroup).toMatchObject({
    from: `@whatsapp_${saved.number}:localhost`,
    is_contact: true,
    sender: { phone: saved.number, name: 'Lena' },
  })
  const contact = `${inGroup.from}, ${saved.number}`
  expect(await account.send(device, { contact, text: 'to you alone' })).toHaveLength(1)
  await saved.waitForText('to you alone')
})

test("what is written on the linked phone itself, which has a hidden id, too, isn't received", async () => {
  const friend = await client.newPhone({ ending: '6' })
  await phone.send({ to: friend.number, text: 'my own words' })
  await friend.waitForText('my own words')
  await friend.send({ to: device, text: 'an answer' })
  expect(await inbox.next()).toMatchObject({ message: 'an answer' })
  expect(inbox.unread).toBe(0)
})

describe('a chat that the network moves from the number to the hidden id', () => {
  const move = async (friend: Phone, body: Record<string, string> = {}) =>
    expect((await client.sandbox.post(`/phones/${friend.number}/move`, body)).status).toBe(202)

  /** A friend whose chat is still with the number. */
  async function byNumber() {
    const friend = await client.newPhone({ ending: '3' })
    await move(friend, { to: 'number' })
    await friend.send({ to: device, text: 'hello' })
    const { from, chat } = await inbox.next()
    expect(from).toBe(`@whatsapp_${friend.number}:localhost`)
    return { friend, from, room: chat.id }
  }

  async function said(friend: Phone, text: string) {
    await friend.send({ to: device, text })
    const { from, chat, sender, message } = await inbox.next()
    expect([message, sender.phone]).toEqual([text, friend.number])
    return { from, room: chat.id }
  }

  test('goes on in its room with the other Matrix user, and both lead there', async () => {
    const { friend, from, room } = await byNumber()
    await move(friend)
    const after = await said(friend, 'still me')
    expect(after.room).toBe(room)
    expect(after.from).toMatch(/^@whatsapp_lid-/)
    const contact = [from, after.from, friend.number, room].join(',')
    expect(await account.send(device, { contact, text: 'once' })).toHaveLength(1)
    await friend.waitForText('once')
  })

  test('goes on in a new room, to which the old one leads; nothing is lost or doubled in the move', async () => {
    const { friend, from, room } = await byNumber()
    const texts = Array.from({ length: 20 }, (_, index) => `${index}`)
    for (const text of texts) {
      const [accepted] = await account.send(device, { contact: room, text })
      if (text !== '10') continue
      // A message that was taken but could not be reported would come twice (docs/reliability.md).
      await account.waitForStatus(accepted?.id ?? '', ['delivered'])
      await move(friend, { room: 'new' })
    }
    for (const text of texts) await friend.waitForText(text)
    const after = await said(friend, 'in the new room')
    expect(after.room).not.toBe(room)
    for (const [index, contact] of [room, from, after.from, after.room, friend.number].entries()) {
      await account.send(device, { contact, text: `way ${index}` })
      await friend.waitForText(`way ${index}`)
    }
    const received = (await friend.received()).map(({ text }) => text)
    expect(received.filter(text => texts.includes(text))).toEqual(texts)
  })

  test('is refused for a phone without a hidden id', async () => {
    const friend = await client.newPhone({ ending: '1' })
    const { status, body } = await client.sandbox.post(`/phones/${friend.number}/move`, {})
    expect([status, body]).toMatchObject([400, { error: expect.stringContaining('no hidden id') }])
  })
})
