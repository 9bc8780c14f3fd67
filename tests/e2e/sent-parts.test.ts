/** Places, polls and contact cards, sent to phones. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { FILES } from '../support/file-heads.ts'
import { type Account, formWith, type GatewayClient, type Phone } from '../support/gateway-client.ts'
import { RECORDING } from '../support/recording.ts'
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

test('a text with Markdown is formatted on the phone, and without a preview if it says so', async () => {
  await send({ text: '**bold** and _not_', format: 'markdown', link_preview: false })
  await friend.waitForText('*bold* and _not_')
})

test('somebody is mentioned in a group; one who isn’t there fails with a reason', async () => {
  const member = await client.newPhone()
  const group = await client.newGroup('Choir', [friend.number, member.number])
  const to = { contact: undefined, group_url: group.invite_link }
  const text = `who else? @${member.number} `
  await send({ ...to, text, mentions: [member.number] })
  const shown = await member.waitForMessage(message => message.text.startsWith('who else?'))
  expect(shown).toMatchObject({ text: text.trim(), mentions: [member.number] })
  const [nobody] = await send({ ...to, text: '@999000111?', mentions: ['999000111'] })
  expect((await account.waitForStatus(nobody?.id ?? '', ['failed'])).reason).toContain(
    "999000111 isn't on wa",
  )
})

test.each([
  ['sticker', 'webp', 'webp', 'sticker'],
  ['gif', 'mp4', 'mp4', 'gif'],
  ['file', 'jpeg', 'jpg', 'file'],
] as const)('a file as %s', async (as, kind, extension, type) => {
  const name = `as-${as}.${extension}`
  const form = formWith({ contact: friend.number, platform: 'wa', as }, { name, content: FILES[kind] })
  const [sent] = await account.send(device, form)
  const shown = await friend.waitForMessage(({ file }) => file?.name === name)
  expect(shown.type).toBe(type)
  await account.waitForStatus(sent?.id ?? '', ['delivered'])
})

test('a recording as a voice message has its length; any other file is none', async () => {
  const fields = { contact: friend.number, platform: 'wa', as: 'voice' }
  await account.send(device, formWith(fields, { name: 'voice.ogg', content: RECORDING }))
  const shown = await friend.waitForMessage(({ type }) => type === 'voice')
  expect(shown.file?.duration_ms).toBeGreaterThan(0)
  const answer = await account.trySend(device, formWith(fields, { name: 'a.mp3', content: FILES.mp3 }))
  expect(answer).toMatchObject({
    status: 422,
    body: { error: 'WhatsApp takes voice messages as Ogg with Opus alone, not audio/mpeg' },
  })
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
