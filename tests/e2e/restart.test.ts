/**
 * The point of the product: whenever the process is killed or stopped, no accepted message is lost
 * or sent twice, and each chat keeps its order, in both directions.
 */
import { Database } from 'bun:sqlite'
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { MessagePayload } from '../../src/domain/events.ts'
import { bytesOf } from '../support/files.ts'
import { formWith, GatewayClient, type PhoneMessage, scan } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { watchSocket } from '../support/socket-watcher.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { type WebhookReceiver, webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(120_000)

const DEADLINE_MS = 60_000
/** Messages to accept before the process is ended. */
const BURST = 200
const FILE = bytesOf(30_000)

const folders: Disposable[] = []
afterAll(() => {
  for (const folder of folders) folder[Symbol.dispose]()
})

function newFolder(): string {
  const folder = tempDir()
  folders.push(folder)
  return folder.path
}

/** A chat in one direction: numbered messages, each sent after the answer to the one before. */
interface Lane {
  next: number
  /** Numbers answered as accepted; others may have been accepted, too, with their answer lost. */
  accepted: number[]
  send(client: GatewayClient, number: number): Promise<unknown>
}

function lane(send: Lane['send']): Lane {
  return { next: 1, accepted: [], send }
}

/** Sends until the gateway is gone. */
async function pump(lane: Lane, client: GatewayClient): Promise<void> {
  for (;;) {
    const number = lane.next++
    try {
      await lane.send(client, number)
    } catch {
      return
    }
    lane.accepted.push(number)
  }
}

const countOf = (lanes: Lane[]) => lanes.reduce((sum, { accepted }) => sum + accepted.length, 0)

async function runBurst(gateway: GatewayProcess, lanes: Lane[], end: () => Promise<unknown>): Promise<void> {
  const client = new GatewayClient(gateway)
  const before = countOf(lanes)
  const pumps = lanes.map(lane => pump(lane, client))
  await waitFor(() => countOf(lanes) >= before + BURST, { what: 'the burst', deadlineMs: DEADLINE_MS })
  await end()
  await Promise.all(pumps)
}

/** Expects all accepted messages, each once and in order. */
function expectComplete(lane: Lane, numbers: number[]): void {
  expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other))
  const there = new Set(numbers)
  expect(lane.accepted.filter(number => !there.has(number))).toEqual([])
}

const numberOf = ({ text }: Pick<PhoneMessage, 'text'>) => Number(text)
const isNumber = ({ text }: Pick<PhoneMessage, 'text'>) => /^\d+$/.test(text)

describe('in the middle of traffic in both directions', () => {
  test.each<['kill' | 'stop', Record<string, string>[]]>([
    // A pause between messages builds up a queue for the next process.
    ['kill', [{}, { SEND_INTERVAL_MS: '100' }, {}, {}]],
    ['stop', [{}, { SEND_INTERVAL_MS: '100' }]],
  ])('%s', async (end, runs) => {
    const directory = newFolder()
    await using receiver = webhookReceiver()
    const { token, device, friends, group } = await prepare(directory, receiver)
    const outgoing = friends.map((friend, index) =>
      lane((client, number) => {
        const fields = { contact: friend, platform: 'wa', text: `${number}` }
        const withFile = index === 0 && number % 10 === 0
        const form = () => formWith(fields, { name: 'file.bin', content: FILE })
        return client.accountOf(token).send(device, withFile ? form() : fields)
      }),
    )
    const toGroup = lane((client, number) =>
      client.accountOf(token).send(device, { group_url: group.invite_link, text: `${number}` }),
    )
    const incoming = friends.map(friend =>
      lane((client, number) => client.phone(friend).send({ to: device, text: `${number}` })),
    )
    for (const env of runs) {
      await using gateway = await spawnGateway({ directory, env })
      await runBurst(gateway, [...outgoing, toGroup, ...incoming], async () => {
        if (end === 'kill') await gateway.kill()
        else expect(await gateway.stop()).toBe(0)
      })
    }

    await using gateway = await spawnGateway({ directory })
    const client = new GatewayClient(gateway)
    await everythingSent(client, token)
    for (const [index, friend] of friends.entries()) {
      const received = (await client.phone(friend).received()).filter(isNumber)
      const direct = received.filter(({ chat }) => chat === device)
      expectComplete(outgoing[index] as Lane, direct.map(numberOf))
      expectComplete(toGroup, received.filter(({ chat }) => chat === group.id).map(numberOf))
      if (index === 0) await expectFiles(gateway, direct)
    }

    for (const friend of friends) await client.phone(friend).send({ to: device, text: 'the end' })
    const isEnd = ({ message }: MessagePayload) => message === 'the end'
    await waitFor(() => payloadsOf(receiver).filter(isEnd).length === friends.length, {
      what: 'the end at the webhook',
      deadlineMs: DEADLINE_MS,
    })
    for (const [index, friend] of friends.entries()) {
      const payloads = payloadsOf(receiver).filter(({ sender }) => sender.phone === friend)
      const firstTimes = [...new Map(payloads.map(({ id, message }) => [id, message])).values()]
      expectComplete(incoming[index] as Lane, firstTimes.filter(text => text !== 'the end').map(Number))
    }
    expectOneWebhookIdEach(receiver)
  })
})

test('a long queue of one chat, of which many are sent together', async () => {
  const directory = newFolder()
  await using receiver = webhookReceiver()
  const { token, device, friends } = await prepare(directory, receiver)
  const [friend] = friends as [string]
  const received = async (gateway: GatewayProcess) =>
    (await new GatewayClient(gateway).phone(friend).received()).filter(isNumber)
  const accepted: number[] = []
  for (let run = 0; run < 3; run++) {
    await using gateway = await spawnGateway({ directory })
    const account = new GatewayClient(gateway).accountOf(token)
    // Many at once: more are accepted than a single call takes.
    const send = async (number: number) => {
      const fields = { contact: friend, platform: 'wa', text: String(number) }
      if (
        await account.send(device, fields).then(
          () => true,
          () => false,
        )
      )
        accepted.push(number)
    }
    const before = (await received(gateway)).length
    const sends = Array.from({ length: 400 }, (_none, index) => send(run * 400 + index))
    await waitFor(async () => (await received(gateway)).length > before, {
      what: 'the first of them on the phone',
      deadlineMs: DEADLINE_MS,
    })
    await gateway.kill()
    await Promise.all(sends)
  }
  await using gateway = await spawnGateway({ directory })
  const client = new GatewayClient(gateway)
  await everythingSent(client, token)
  const numbers = (await received(gateway)).map(numberOf)
  expect(numbers).toHaveLength(new Set(numbers).size)
  expect(accepted.filter(number => !numbers.includes(number))).toEqual([])
  using database = new Database(join(directory, 'data', 'meshgate.db'), { readonly: true })
  const inOrder = database.query<{ text: string }, []>('SELECT text FROM messages ORDER BY seq').all()
  expect(numbers).toEqual(inOrder.map(numberOf).filter(number => !Number.isNaN(number)))
})

test('chats that begin at the moment of a kill: with contacts, in groups, and from strangers', async () => {
  const directory = newFolder()
  await using receiver = webhookReceiver()
  const { token, device } = await prepare(directory, receiver)
  /** The texts that each phone must receive; below, those of the webhook. */
  const onPhones = new Map<string, string>()
  const atWebhook = new Set<string>()
  let begun = 0
  const begin: ((client: GatewayClient, phone: string) => Promise<unknown>)[] = [
    async (client, phone) => {
      await client.accountOf(token).send(device, { contact: phone, text: `to ${phone}` })
      onPhones.set(phone, `to ${phone}`)
    },
    async (client, phone) => {
      const { invite_link } = await client.newGroup(`Group of ${phone}`, [phone])
      await client.accountOf(token).send(device, { group_url: invite_link, text: `to the group of ${phone}` })
      onPhones.set(phone, `to the group of ${phone}`)
    },
    async (client, phone) => {
      await client.phone(phone).send({ to: device, text: `from ${phone}` })
      atWebhook.add(`from ${phone}`)
    },
  ]
  const beginChats = async (client: GatewayClient) => {
    for (;;) {
      try {
        const { number } = await client.newPhone()
        await begin[begun++ % begin.length]?.(client, number)
      } catch {
        return
      }
    }
  }
  for (const count of [1, 5, 12]) {
    await using gateway = await spawnGateway({ directory })
    const client = new GatewayClient(gateway)
    const before = onPhones.size + atWebhook.size
    const running = Array.from({ length: 6 }, () => beginChats(client))
    await waitFor(() => onPhones.size + atWebhook.size >= before + count, { deadlineMs: DEADLINE_MS })
    await gateway.kill()
    await Promise.all(running)
  }

  await using gateway = await spawnGateway({ directory })
  const client = new GatewayClient(gateway)
  await everythingSent(client, token)
  for (const [phone, text] of onPhones) {
    expect((await client.phone(phone).received()).map(message => message.text)).toEqual([text])
  }
  const missing = () => {
    const there = new Set(payloadsOf(receiver).map(({ message }) => message))
    return [...atWebhook].filter(text => !there.has(text))
  }
  await waitFor(() => missing().length === 0, { what: 'strangers at the webhook', deadlineMs: DEADLINE_MS })
  expectOneWebhookIdEach(receiver)
})

describe('the same data after a kill', () => {
  test('devices, webhooks and tokens are as they were, and the phone still has its messages', async () => {
    const directory = newFolder()
    await using receiver = webhookReceiver()
    const { token, device, friends } = await prepare(directory, receiver)
    const friend = friends[0] ?? ''
    const before = await spawnGateway({ directory })
    const account = new GatewayClient(before).accountOf(token)
    const [sent] = await account.send(device, { contact: friend, text: 'before' })
    await account.waitForStatus(sent?.id ?? '', ['delivered'])
    const webhooks = (await account.api.get('/api/v1/webhooks')).body
    const [known] = await account.devices()
    await before.kill()

    await using after = await spawnGateway({ directory })
    const client = new GatewayClient(after)
    const again = client.accountOf(token)
    expect((await again.api.get('/api/v1/webhooks')).body).toEqual(webhooks)
    const [device_] = await again.devices()
    expect(device_).toMatchObject({
      device_id: device,
      linked_at: known?.linked_at ?? '',
      state: 'connected',
    })
    expect((await client.phone(friend).received()).map(({ text }) => text)).toEqual(['before'])
    expect(await again.message(sent?.id ?? '')).toMatchObject({ status: 'delivered' })
  })

  test('a link that was under way is gone, and a new one works', async () => {
    const directory = newFolder()
    const before = await spawnGateway({ directory })
    const { token } = await new GatewayClient(before).account()
    await new GatewayClient(before).accountOf(token).addDevice('wa')
    await before.kill()
    await using after = await spawnGateway({ directory })
    const client = new GatewayClient(after)
    const phone = await client.newPhone()
    await client.accountOf(token).link(phone.number)
    expect(await client.accountOf(token).devices()).toHaveLength(1)
  })
})

test('a phone that has scanned is linked, even when the gateway is killed at that moment', async () => {
  const directory = newFolder()
  const before = await spawnGateway({ directory })
  const { account, phone } = await accountWithPhone(before)
  await using socket = watchSocket(await account.addDevice('wa'))
  expect((await scan(await socket.waitForText(0), phone)).status).toBe(200)
  await before.kill()

  await using after = await spawnGateway({ directory })
  const client = new GatewayClient(after)
  await using receiver = webhookReceiver()
  const again = client.accountOf(account.token)
  await again.addWebhook(receiver.url)
  const stranger = await client.newPhone()
  await stranger.send({ to: phone, text: 'are you linked?' })
  const [request] = await receiver.waitForCount(1, DEADLINE_MS)
  expect(request?.json).toMatchObject({ message: 'are you linked?', device_id: phone })
  expect((await again.devices()).map(({ device_id }) => device_id)).toEqual([phone])
  await again.send(phone, { contact: stranger.number, text: 'I am' })
  await stranger.waitForText('I am')
})

test('a link that was completed while no gateway ran is noticed without anybody asking', async () => {
  const directory = newFolder()
  await using receiver = webhookReceiver()
  const before = await spawnGateway({ directory })
  const { account, phone } = await accountWithPhone(before)
  await account.addWebhook(receiver.url, ['device.connected'])
  await using socket = watchSocket(await account.addDevice('wa'))
  expect((await scan(await socket.waitForText(0), phone)).status).toBe(200)
  await before.kill()

  await using _ = await spawnGateway({ directory })
  const [told] = await receiver.waitForCount(1, DEADLINE_MS)
  expect(told?.json).toMatchObject({ event: 'device.connected', device_id: phone })
})

describe('SIGTERM', () => {
  test('with a webhook that does not answer: exit code 0 within ten seconds, and it is delivered after', async () => {
    const directory = newFolder()
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    let isSlow = true
    await using receiver = webhookReceiver(async () => {
      if (isSlow) await released
      return new Response('ok')
    })
    const { device, friends } = await prepare(directory, receiver)
    const gateway = await spawnGateway({ directory })
    await new GatewayClient(gateway).phone(friends[0] ?? '').send({ to: device, text: 'be patient' })
    await receiver.waitForCount(1, DEADLINE_MS)
    const startedAt = performance.now()
    expect(await gateway.stop()).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    isSlow = false
    release()

    await using _after = await spawnGateway({ directory })
    const [first, second] = await receiver.waitForCount(2, DEADLINE_MS)
    expect(second?.headers.get('webhook-id')).toBe(first?.headers.get('webhook-id') ?? '')
    expect(second?.text).toBe(first?.text ?? '')
  })
})

async function accountWithPhone(gateway: GatewayProcess) {
  const client = new GatewayClient(gateway)
  return { account: await client.account(), phone: (await client.newPhone()).number }
}

/** A first run: a token with a webhook and a linked phone, its friends, and a group of all. */
async function prepare(directory: string, receiver: WebhookReceiver) {
  await using gateway = await spawnGateway({ directory })
  const client = new GatewayClient(gateway)
  const { account, device } = await client.linkedAccount()
  await account.addWebhook(receiver.url)
  const friends: string[] = []
  for (let count = 0; count < 4; count++) friends.push((await client.newPhone()).number)
  const group = await client.newGroup('All', friends)
  await gateway.stop()
  return { token: account.token, device, friends, group }
}

async function everythingSent(client: GatewayClient, token: string): Promise<void> {
  const { api } = client.accountOf(token)
  await waitFor(
    async () => {
      let before = ''
      for (;;) {
        const page = await api.get<{ id: string; status: string }[]>(`/api/v1/messages?limit=500${before}`)
        if (page.body.some(({ status }) => status !== 'delivered')) return false
        const oldest = page.body.at(-1)
        if (!oldest) return true
        before = `&before=${oldest.id}`
      }
    },
    { what: 'everything to be delivered', deadlineMs: DEADLINE_MS },
  )
}

async function expectFiles(gateway: GatewayProcess, messages: PhoneMessage[]): Promise<void> {
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  const withFile = messages.filter(message => numberOf(message) % 10 === 0)
  expect(withFile.length).toBeGreaterThan(0)
  for (const { file } of withFile) {
    const answer = await fetch(gateway.url + file?.url)
    expect(digest(await answer.bytes())).toBe(digest(FILE))
  }
}

function payloadsOf(receiver: WebhookReceiver): MessagePayload[] {
  return receiver.received.map(({ json }) => json as MessagePayload)
}

/** Expects each event to have come with one webhook-id only. */
function expectOneWebhookIdEach(receiver: WebhookReceiver): void {
  const ids = new Map<string, Set<string>>()
  for (const { headers, json } of receiver.received) {
    const { id } = json as MessagePayload
    ids.set(id, (ids.get(id) ?? new Set()).add(headers.get('webhook-id') ?? ''))
  }
  expect([...ids.values()].filter(({ size }) => size !== 1)).toEqual([])
}
