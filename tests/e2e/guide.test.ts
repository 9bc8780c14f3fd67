/**
 * Runs every command of docs/usage.md and README.md in order in a shell, on a new gateway, and
 * compares every answer with the printed one.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MessageView } from '../../src/domain/views/message.ts'
import { formWith, GatewayClient, type Phone, type PhoneMessage } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { freePort } from '../support/program.ts'
import { installScript, type ShellSession, shellSession } from '../support/shell-session.ts'
import { tempDir } from '../support/temp-dir.ts'
import { commandsOf, type Example, examplesOf } from '../support/usage-guide.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(60_000)

const ROOT = join(import.meta.dir, '..', '..')
const USAGE = readFileSync(join(ROOT, 'docs', 'usage.md'), 'utf8')
const EVENTS = readFileSync(join(ROOT, 'docs', 'events.md'), 'utf8')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
/** Commands from the guide to the API that ours replaces. */
const ORIGINAL_COMMANDS = readFileSync(join(import.meta.dir, 'fixtures', 'guide-commands.txt'), 'utf8')
const EXAMPLES = examplesOf(USAGE)
const STANDARD_PORT = 8080
const PORT = isFree(STANDARD_PORT) ? STANDARD_PORT : 0
const PDF = '%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n'
/** Long enough for a busy machine. */
const DEADLINE_MS = 20_000
const DEVICE = '237123456789'
/** Sends nothing to the phones, nor does anything after it. */
const AFTER_SENDING = 'List contacts'
/** Id in the guide's examples of replies. */
const PRINTED_MESSAGE = '$eCLf_5pzs8ZBhEs5ZojVRS0K3SBLf73cHs2q_Je4kfQ'

/** Statuses of the commands under these headings, in order; all others are answered 200. */
const STATUSES: Record<string, number[]> = {
  'Get a token': [201],
  'Add a device': [201],
  'Add a webhook': [201],
  'Make or join a group': [201, 201],
  'Change it': [202, 202, 202],
  'What a chat takes': [422],
  'React, edit, unsend': [202],
  'Mark it as read': [202],
  'Show yourself as typing': [204],
  'Fetch older messages': [202],
  'Other ways to link': [201, 200, 200, 200],
  'Other events': [201],
  'Only some of them': [201],
  'Deliver again': [202, 202],
  'Try them out on the sandbox': [201],
  'People who change their id': [202],
  'Further tokens': [201, 201],
  'Create a credential': [201],
}

const folder = tempDir()
const tokens: string[] = []
/** Id of the newest link. */
let linkId = ''
/** Id of the chat that an answer named last. */
let chatId = ''
/** Id of the test event's delivery. */
let deliveryId = ''
/** Has the file whose address the guide names. */
let files: Bun.Server<undefined>
let gateway: GatewayProcess
let client: GatewayClient
let shell: ShellSession
/** Watches the QR code. */
let secondShell: ShellSession
let watching: Promise<{ exitCode: number }> | undefined

beforeAll(async () => {
  files = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(PDF) })
  gateway = await spawnGateway({ env: { PORT: String(PORT) } })
  client = new GatewayClient(gateway)
  writeFileSync(folder.file('document.pdf'), PDF)
  writeFileSync(join(gateway.directory, 'photo.jpg'), Buffer.from(ONE_PIXEL, 'base64'))
  // Makes curl print the status, without changes to the commands.
  writeFileSync(folder.file('.curlrc'), 'silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
  if (!Bun.which('websocat'))
    installScript(folder.file('bin'), 'websocat', [process.execPath, join(ROOT, 'tests/support/websocat.ts')])
  const options = {
    cwd: gateway.directory,
    home: folder.path,
    path: `${folder.file('bin')}:${process.env.PATH}`,
  }
  shell = shellSession(options)
  secondShell = shellSession(options)
})

afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await secondShell[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
  await files.stop(true)
  folder[Symbol.dispose]()
})

describe('the usage guide', () => {
  const bash = EXAMPLES.filter(({ language }) => language === 'bash')
  const isAfterSending = bash.findIndex(({ heading }) => heading === AFTER_SENDING)

  for (const example of bash.slice(0, isAfterSending)) runs(example)

  test('messages of the examples are on the phones, each once and in order', async () => {
    await everythingSettled()
    const jonas = client.phone('1234567890')
    const file = 'document.pdf: Check out this document'
    expect(await inChatWith(jonas, DEVICE)).toEqual([
      'Hello from API',
      'Hello to multiple recipients',
      'This is a reply',
      file,
      file,
      'document.pdf: Both pages',
      'document.pdf: ',
      'hello.txt: ',
      '4711.pdf: Your invoice',
      'When shall we deliver?',
      'Our shop',
      'Ada Driver.vcf: ',
      '*Tomorrow* at nine, @1234567890: https://example.org',
      'Your order is packed',
      'Your order is on its way',
      'Your taxi is here',
    ])
    expect(await inChatWith(client.phone('0987654321'), DEVICE)).toEqual([
      'Hello to multiple recipients',
      file,
    ])
    expect(await inGroup('invite123', jonas)).toEqual([
      'This is a reply in group',
      file,
      'Hello group!',
      'Hello to multiple groups!',
    ])
    expect(await inGroup('invite456', client.phone('447700900123'))).toEqual(['Hello to multiple groups!'])
  })

  test('the document on the phone is the one that was sent', async () => {
    const message = (await client.phone('1234567890').received()).find(({ file }) => file !== null)
    expect(message?.file).toMatchObject({ mime_type: 'application/pdf', size: PDF.length })
    expect(await (await fetch(`${gateway.url}${message?.file?.url}`)).text()).toBe(PDF)
  })

  test('an address that nobody has fails with a reason, and no other does', async () => {
    const messages =
      await account().api.get<{ to: string; status: string; reason: string | null }[]>('/api/v1/messages')
    const failed = messages.body.filter(({ status }) => status === 'failed')
    expect(failed.map(({ to }) => to)).toEqual(['another_address'])
    expect(failed[0]?.reason).toContain('another_address')
    const rest = messages.body.filter(({ status }) => status !== 'failed')
    for (const { reason } of rest) expect(reason).toBeNull()
  })

  test('a file without an extension is refused', async () => {
    const fields = { contact: '1234567890', platform: 'wa' }
    const answer = await account().trySend(DEVICE, formWith(fields, { name: 'document', content: PDF }))
    expect(answer.status).toBe(400)
    expect(answer.body.error).toBe('Uploaded file must have a file extension')
  })

  for (const example of bash.slice(isAfterSending)) runs(example)

  test('a webhook receives what the guide shows', async () => {
    const printed = EXAMPLES.find(({ heading }) => heading === 'What it receives')
    const guide: Record<string, unknown> = JSON.parse(printed?.code ?? '')
    const linked = await client.account()
    await linked.link(DEVICE)
    await using receiver = webhookReceiver()
    await linked.addWebhook(`${receiver.url}/webhook`)
    await client.phone('2376987654321').send({ to: DEVICE, text: 'Good morning' })

    // Answers to the examples may still come, as the phone was just linked again.
    const payload = await waitFor(
      () =>
        receiver.received
          .map(({ json }) => json as Record<string, unknown>)
          .find(({ message }) => message === 'Good morning'),
      { what: 'the webhook', deadlineMs: DEADLINE_MS },
    )
    expect(Object.keys(payload).slice(0, Object.keys(guide).length)).toEqual(Object.keys(guide))
    expect(payload).toMatchObject({
      id: expect.stringMatching(/^\$[\w-]+$/),
      is_contact: true,
      type: 'm.text',
      from: '@whatsapp_2376987654321:localhost',
      to: expect.stringMatching(/^@\w+:localhost$/),
      message: 'Good morning',
      device_id: DEVICE,
      media: null,
    })

    const png = Uint8Array.from(Buffer.from(ONE_PIXEL, 'base64'))
    await client
      .phone('4915112345678')
      .send(formWith({ to: DEVICE }, { name: 'dot.png', type: 'image/png', content: png }))
    const withFile = await waitFor(
      () =>
        receiver.received
          .map(({ json }) => json as { is_contact: boolean; type: string; media: GuideMedia })
          .find(({ type }) => type === 'm.image'),
      { what: 'the webhook with a file', deadlineMs: DEADLINE_MS },
    )
    const guideMedia = guide.media as GuideMedia
    expect(withFile.is_contact).toBe(false)
    expect(Object.keys(withFile.media).slice(0, 2)).toEqual(Object.keys(guideMedia))
    expect(Object.keys(withFile.media.info).slice(0, 5)).toEqual(Object.keys(guideMedia.info))
  })

  test('a webhook that asks for them receives the other events that the guide shows', async () => {
    const printed = (heading: string): Record<string, unknown> =>
      JSON.parse(examplesOf(EVENTS).find(example => example.heading === heading)?.code ?? '')
    const linked = await client.account()
    await linked.link(DEVICE)
    await using receiver = webhookReceiver()
    await linked.addWebhook(receiver.url, ['message.status', 'device.logged_out'])
    const eventWhere = (name: string, value: string) =>
      waitFor(
        () =>
          receiver.received
            .map(({ json }) => json as Record<string, unknown>)
            .find(json => json[name] === value),
        { what: `an event whose ${name} is ${value}`, deadlineMs: DEADLINE_MS },
      )
    await linked.send(DEVICE, { contact: '1234567890', text: 'How far is it?' })
    expectLike(await eventWhere('status', 'delivered'), printed('message.status'))
    await client.setFaults({ platform: 'wa', logout: DEVICE })
    const lost = await eventWhere('event', 'device.logged_out')
    expectLike(lost, printed('device.logged_out'))
  })

  test('the receiver answers a text once, and nobody else can write to it', async () => {
    const linked = await client.account()
    const phone = await client.newPhone()
    await linked.link(phone.number)
    const port = freePort()
    const url = `http://127.0.0.1:${port}`
    const { id, secret } = await linked.addWebhook(url)
    const program = EXAMPLES.find(({ language }) => language === 'js')?.code ?? ''
    symlinkSync(join(ROOT, 'node_modules'), folder.file('node_modules'))
    writeFileSync(
      folder.file('receiver.mjs'),
      program.replace('localhost:8080', new URL(gateway.url).host).replace('9000', String(port)),
    )
    const receiver = Bun.spawn([process.execPath, folder.file('receiver.mjs')], {
      env: { ...process.env, WEBHOOK_SECRET: secret, TOKEN: linked.token },
    })
    try {
      const isForged = () =>
        fetch(url, { method: 'POST', body: '{}' }).then(
          ({ status }) => status === 401,
          () => false,
        )
      await waitFor(isForged, { what: 'the receiver to refuse what the gateway did not sign' })
      const person = await client.newPhone()
      await person.send({ to: phone.number, text: 'Are you there?' })
      await person.waitForText('You wrote: Are you there?')
      const deliveries = `/api/v1/webhooks/${id}/deliveries?status=succeeded`
      const delivery = await waitFor(
        async () => (await linked.api.get<DeliveryPage>(deliveries)).body.deliveries[0],
        { what: 'the delivery', deadlineMs: DEADLINE_MS },
      )
      expect((await linked.api.post(`/api/v1/deliveries/${delivery.id}/retry`, {})).status).toBe(202)
      await waitFor(
        async () => {
          const { body } = await linked.api.get<Delivery>(`/api/v1/deliveries/${delivery.id}`)
          return body.attempts.length === 2 && body.status === 'succeeded'
        },
        { what: 'the repeat', deadlineMs: DEADLINE_MS },
      )
      expect((await linked.api.get<unknown[]>('/api/v1/messages')).body).toHaveLength(1)
    } finally {
      receiver.kill()
    }
  })

  test('has every command of the original', () => {
    const own = commandsOf(USAGE)
    // The original's webhooks are at domains that belong to somebody.
    const others = commandsOf(
      ORIGINAL_COMMANDS.replaceAll('your-server.com', 'your-server.example.com').replaceAll(
        'new-url.com',
        'new.example.com',
      ),
    )
    expect(others.length).toBeGreaterThan(20)
    expect(own.filter(command => others.includes(command)).toSorted()).toEqual(others.toSorted())
  })

  test('registers no address that belongs to somebody', () => {
    const urls = commandsOf(USAGE).flatMap(command =>
      [...command.matchAll(/"url": "([^"]+)"/g)].map(([, url]) => url),
    )
    expect(urls.length).toBeGreaterThan(2)
    for (const url of urls) expect(new URL(url ?? '').hostname).toEndWith('.example.com')
  })
})

/** Runs after the guide, as its tokens belong to other identities. */
describe('the README', () => {
  let newToken = ''
  let qrCode = ''

  for (const command of commandsOf(README)) {
    const [firstLine = ''] = command.split('\n')
    test(firstLine, async () => {
      const onPort = command.replaceAll('localhost:8080', new URL(gateway.url).host)
      if (firstLine.startsWith('websocat ')) {
        await secondShell.run(`TOKEN="${newToken}"`)
        const watched = secondShell.run(onPort)
        await waitFor(() => secondShell.outputSoFar().includes('█'), { what: 'a QR code' })
        expect((await fetch(qrCode, { method: 'POST' })).status).toBe(200)
        expect(await watched).toMatchObject({
          exitCode: 0,
          output: expect.stringContaining(`Linked: wa ${DEVICE}`),
        })
        return
      }
      const { output, exitCode } = await shell.run(onPort)
      expect(exitCode).toBe(0)
      const [, body = '', status = ''] = /^(.*)\n(\d{3})$/s.exec(output) ?? []
      expect({ status, body }).toMatchObject({ status: expect.stringMatching(/^20[01]$/) })
      const answer: { token?: string; link?: { step: { payload: string } } } = JSON.parse(body)
      qrCode = answer.link?.step.payload ?? qrCode
      if (answer.token === undefined) return
      newToken = answer.token
      await shell.run(`TOKEN="${newToken}"`)
    })
  }

  test('its phone got the text and the file', async () => {
    const received = await waitFor(
      async () => {
        const messages = await inChatWith(client.phone('1234567890'), DEVICE)
        return messages.at(-1)?.startsWith('photo.jpg') && messages
      },
      { what: 'the file', deadlineMs: DEADLINE_MS },
    )
    expect(received.slice(-2)).toEqual(['Hello from API', 'photo.jpg: '])
  })
})

interface Delivery {
  id: string
  status: string
  attempts: unknown[]
}

interface DeliveryPage {
  deliveries: Delivery[]
}

interface GuideMedia {
  info: Record<string, unknown>
}

const ONE_PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

/** A test that runs the example in its turn. */
function runs(example: Example): void {
  const [firstLine = ''] = example.code.split('\n')
  test(`${example.heading}: ${firstLine}`, async () => {
    if (firstLine.startsWith('make ')) return hasTasks(firstLine)
    const code = await asReaderWouldTypeIt(example.code)
    if (firstLine.startsWith('websocat ')) return watchQrCode(code)
    const { output, exitCode } = await shell.run(code)
    expect(exitCode).toBe(0)
    if (!firstLine.startsWith('curl ')) return
    const [, body = '', status = ''] = /^(.*)\n(\d{3})$/s.exec(output) ?? []
    expect(Number(status)).toBe(STATUSES[example.heading]?.[placeUnderHeading(example)] ?? 200)
    if (body === '') return
    const answer: unknown = JSON.parse(body)
    learnToken(answer)
    learnLink(answer)
    learnDelivery(answer)
    learnChat(answer)
    const printed = answerPrintedFor(example)
    if (printed !== undefined) expectLike(answer, JSON.parse(printed))
    // The second shell ends with the scan.
    if (code.includes('/sandbox/link/')) expect((await watching)?.exitCode).toBe(0)
  })
}

/** Checks only that the tasks exist: make.test.ts runs `make`, and the gateway runs already. */
function hasTasks(line: string): void {
  const makefile = readFileSync(join(ROOT, 'Makefile'), 'utf8')
  for (const [, task] of line.matchAll(/make ([\w-]+)/g)) expect(makefile).toContain(`\n${task}: `)
}

async function watchQrCode(code: string): Promise<void> {
  await secondShell.run(`TOKEN="${tokens[0]}"`)
  watching = secondShell.run(code)
  await qrPayload()
}

function qrPayload(): Promise<string> {
  return waitFor(() => /^http\S+$/m.exec(secondShell.outputSoFar())?.[0], {
    what: 'a QR code',
    deadlineMs: DEADLINE_MS,
  })
}

async function asReaderWouldTypeIt(code: string): Promise<string> {
  let typed = code.replace('mt_abc123...', tokens[0] ?? '')
  typed = typed.replaceAll('/path/to/document.pdf', folder.file('document.pdf'))
  typed = typed.replace('https://files.example.com/', files.url.href)
  // An example's end of the year must be in the future.
  if (Date.now() > Date.parse('2026-12-31T23:59:59Z'))
    typed = typed.replace('2026-12-31', `${new Date().getUTCFullYear() + 1}-12-31`)
  if (typed.includes('{token_id}')) {
    const all = (await client.admin.get<{ id: number }[]>('/api/v1/tokens')).body
    typed = typed.replace('{token_id}', String(all.at(-1)?.id))
  }
  if (typed.includes('-X DELETE') && typed.includes('{chat_id}')) await cancelWaiting()
  typed = typed.replace('{link_id}', linkId).replace('{chat_id}', chatId)
  if (typed.includes(PRINTED_MESSAGE)) typed = typed.replace(PRINTED_MESSAGE, await receivedMessage())
  typed = typed.replace('{delivery_id}', deliveryId)
  if (typed.includes('{code}')) typed = typed.replace('{code}', (await qrPayload()).split('/').at(-1) ?? '')
  return PORT === STANDARD_PORT ? typed : typed.replaceAll('localhost:8080', new URL(gateway.url).host)
}

/** As the guide says of a chat in which something waits. */
async function cancelWaiting(): Promise<void> {
  const { api } = account()
  const all = async () => (await api.get<{ id: string; status: string }[]>('/api/v1/messages')).body
  for (const { id, status } of await all())
    if (status === 'queued') await api.delete(`/api/v1/messages/${id}`)
  const isOver = async () => (await all()).every(({ status }) => status !== 'queued' && status !== 'sending')
  await waitFor(isOver, { what: 'nothing to wait', deadlineMs: DEADLINE_MS })
}

/** The id that a webhook would show; the sandbox's phones have replied by now. */
function receivedMessage(): Promise<string> {
  return waitFor(
    async () => {
      const { body } = await account().api.get<{ events: { payload: { id: string } }[] }>(
        '/api/v1/events?events=message.received',
      )
      return body.events[0]?.payload.id
    },
    { what: 'a message received', deadlineMs: DEADLINE_MS },
  )
}

function learnToken(answer: unknown): void {
  if (typeof answer === 'object' && answer !== null && 'token' in answer) tokens.push(String(answer.token))
}

function learnLink(answer: unknown): void {
  const { link } = answer as { link?: { id: string } }
  if (link) linkId = link.id
}

function learnChat(answer: unknown): void {
  const { data, id, room_id } = answer as { data?: { id: string }[]; id?: string; room_id?: string }
  if (room_id) chatId = id ?? ''
  if (data?.[0]?.id?.startsWith('chat_')) chatId = data[0].id
}

function learnDelivery(answer: unknown): void {
  const { id, event } = answer as { id?: string; event?: string }
  if (id && event === 'webhook.test') deliveryId = id
}

function placeUnderHeading(example: Example): number {
  const peers = EXAMPLES.filter(({ heading, code }) => heading === example.heading && code.startsWith('curl'))
  return peers.indexOf(example)
}

/** The JSON block right after the command, under the same heading. */
function answerPrintedFor(example: Example): string | undefined {
  const next = EXAMPLES[EXAMPLES.indexOf(example) + 1]
  return next?.language === 'json' && next.heading === example.heading ? next.code : undefined
}

/** Every printed field is there, in order and with its value; unpredictable values match a form. */
function expectLike(actual: unknown, printed: unknown, path = 'answer'): void {
  if (Array.isArray(printed)) {
    expect(actual).toBeArrayOfSize(printed.length)
    for (const [index, item] of printed.entries())
      expectLike((actual as unknown[])[index], item, `${path}[${index}]`)
  } else if (typeof printed === 'object' && printed !== null) {
    const keys = Object.keys(printed)
    expect(Object.keys(actual as object).filter(key => keys.includes(key))).toEqual(keys)
    for (const [key, value] of Object.entries(printed))
      expectLike((actual as Record<string, unknown>)[key], value, `${path}.${key}`)
  } else {
    expect({ path, value: actual }).toEqual({ path, value: expectedFor(printed) })
  }
}

function expectedFor(printed: unknown): unknown {
  if (typeof printed !== 'string') return printed
  if (/^\d{4}-\d\d-\d\dT/.test(printed))
    return expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/)
  if (printed.startsWith('ws://')) {
    const { host } = new URL(gateway.url)
    return printed.replace('localhost:8080', host).replace('mt_abc123...', tokens[0] ?? '')
  }
  if (printed.includes('/link/'))
    return expect.stringMatching(new RegExp(`^${RegExp.escape(gateway.url)}/link/[\\w-]{22}$`))
  if (printed.startsWith('mt_')) return expect.stringMatching(/^mt_[\w-]{20,}$/)
  if (printed.startsWith('chat_')) return expect.stringMatching(/^chat_\w{20,}$/)
  if (printed.startsWith('$')) return expect.stringMatching(/^\$[\w-]{20,}$/)
  if (/^[\da-f]{8}-[\da-f-]{27}$/.test(printed)) return expect.stringMatching(/^[\da-f-]{36}$/)
  if (printed.startsWith('msg_')) return expect.stringMatching(/^msg_\w{20,}$/)
  if (printed.includes('lnk_')) return printed.replace(/lnk_\w+/, linkId)
  if (/^x+$/.test(printed)) return expect.stringMatching(/^\S{20,}$/)
  return printed
}

function account() {
  return client.accountOf(tokens[0] ?? '')
}

/** Waits until nothing is left to send or deliver, but for what is sent later. */
async function everythingSettled(): Promise<void> {
  await waitFor(
    async () => {
      const { body } = await account().api.get<MessageView[]>('/api/v1/messages')
      return body.every(
        ({ status, send_at }) => ['delivered', 'read', 'failed'].includes(status) || send_at !== null,
      )
    },
    { what: 'all examples to be settled', deadlineMs: DEADLINE_MS },
  )
}

async function inChatWith(phone: Phone, other: string): Promise<string[]> {
  const messages = await phone.received()
  // A reaction has no text.
  const said = messages.filter(({ type }) => type !== 'reaction')
  return said.filter(message => message.chat === other && message.from === other).map(asText)
}

async function inGroup(inviteCode: string, member: Phone): Promise<string[]> {
  const groups = await client.sandbox.get<{ id: string; invite_code: string; platform: string }[]>('/groups')
  const group = groups.body.find(
    ({ invite_code, platform }) => invite_code === inviteCode && platform === 'wa',
  )
  return inChatOf(await member.received(), group?.id)
}

function inChatOf(messages: PhoneMessage[], chat: string | undefined): string[] {
  return messages.filter(message => message.chat === chat && message.from === DEVICE).map(asText)
}

function asText({ file, text }: PhoneMessage): string {
  return file ? `${file.name}: ${text}` : text
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } }).stop(true)
    return true
  } catch {
    return false
  }
}
