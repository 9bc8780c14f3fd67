/** Places, polls and contact cards, sent to phones. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Account, GatewayClient, Phone } from '../support/gateway-client.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'

setDefaultTimeout(60_000)

let gateway: TestGateway
let client: GatewayClient
let account: Account
let device: string
let friend: Phone

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
  ;({ account, device } = await client.linkedAccount())
  friend = await client.newPhone()
})
afterAll(() => gateway[Symbol.asyncDispose]())

const send = (fields: Record<string, unknown>) => account.send(device, { contact: friend.number, ...fields })

test('a place, with its name', async () => {
  const location = { latitude: 52.516274, longitude: 13.377722, name: 'Brandenburg Gate' }
  const [sent] = await send({ location, metadata: { order: '4711' } })
  const shown = await friend.waitForMessage(({ type }) => type === 'location')
  expect(shown).toMatchObject({
    text: 'Brandenburg Gate',
    location: { latitude: 52.516274, longitude: 13.377722 },
  })
  const message = await account.waitForStatus(sent?.id ?? '', ['delivered'])
  expect(message.metadata).toEqual({ order: '4711' })
})

test('a poll; one with too many options for the network is refused where the chat is known', async () => {
  const poll = { question: 'When?', options: ['Mon', 'Tue', 'Wed'], max_selections: 2 }
  await send({ poll })
  const shown = await friend.waitForMessage(({ type }) => type === 'poll')
  expect(shown).toMatchObject({ poll: { question: 'When?', options: poll.options, max_selections: 2 } })
  const options = Array.from({ length: 13 }, (_, index) => `${index}`)
  const answer = await account.trySend(device, { contact: friend.number, poll: { ...poll, options } })
  expect(answer).toMatchObject({
    status: 422,
    body: { code: 'unsupported_by_chat', error: 'WhatsApp takes polls of at most 12 options here, not 13' },
  })
  const stranger = await client.newPhone()
  const [late] = await account.send(device, { contact: stranger.number, poll: { ...poll, options } })
  expect((await account.waitForStatus(late?.id ?? '', ['failed'])).reason).toBe(
    'unsupported_by_chat: WhatsApp takes polls of at most 12 options here, not 13',
  )
})

test('a contact card is a file with a caption', async () => {
  const contact_card = { name: 'Ada Lovelace', phones: ['+4915112345678'] }
  await send({ contact_card, text: 'call her' })
  const shown = await friend.waitForText('call her')
  expect(shown.file).toMatchObject({ name: 'Ada Lovelace.vcf', mime_type: 'text/vcard' })
  const content = await (await fetch(`${gateway.url}${shown.file?.url}`)).text()
  expect(content).toContain('FN:Ada Lovelace\r\n')
  expect(content).toContain('+4915112345678\r\n')
})
