/**
 * A client repeats requests with their Idempotency-Key while the gateway is killed again and again:
 * each message is sent once, and every repeat gets the first answer.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { bytesOf } from '../support/files.ts'
import { type Account, formWith, GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { basic, bearer } from '../support/json-client.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(120_000)

const KILLS = 4
const CLIENTS = 8
/** Answers before each kill. */
const ANSWERS = 60
const FILE = bytesOf(20_000)

interface Answered {
  status: number
  text: string
  replayed: boolean
}

/** A request, repeated until answered. */
interface Asking {
  key: string
  path: string
  authorization: string
  body(): string | FormData
  answer: Answered | null
}

async function ask(url: string, { key, path, authorization, body }: Asking): Promise<Answered> {
  const content = body()
  const type = typeof content === 'string' ? { 'content-type': 'application/json' } : {}
  const headers = { authorization, 'idempotency-key': key, ...type }
  const response = await fetch(url + path, { method: 'POST', headers, body: content })
  const replayed = response.headers.get('idempotency-replayed') === 'true'
  return { status: response.status, text: await response.text(), replayed }
}

test('killed at any moment: each message once, and the first answer to every repeat', async () => {
  using folder = tempDir()
  const first = await spawnGateway({ directory: folder.path })
  const { account, device } = await new GatewayClient(first).linkedAccount()
  const { number: friend } = await new GatewayClient(first).newPhone()
  const admin = basic(first.clientId, first.clientSecret)
  await first.kill()

  const requests: Asking[] = []
  const send = (): Asking => {
    const text = `${requests.length}`
    const fields = { contact: friend, platform: 'wa', text }
    const withFile = requests.length % 7 === 0
    return {
      key: `send-${text}`,
      path: `/api/v1/devices/${device}/message`,
      authorization: bearer(account.token),
      body: () => (withFile ? formWith(fields, { name: 'a.bin', content: FILE }) : JSON.stringify(fields)),
      answer: null,
    }
  }
  const makeToken = (): Asking => ({
    key: `token-${requests.length}`,
    path: '/api/v1/tokens',
    authorization: admin,
    body: () => '{}',
    answer: null,
  })
  const next = (): Asking => {
    const request = requests.length % 5 === 0 ? makeToken() : send()
    requests.push(request)
    return request
  }

  /** Sends unanswered requests again, then new ones, until the gateway is gone. */
  async function client(url: string, unanswered: Asking[]): Promise<void> {
    for (;;) {
      const request = unanswered.pop() ?? next()
      try {
        request.answer = await ask(url, request)
      } catch {
        return
      }
    }
  }

  for (let kill = 0; kill < KILLS; kill++) {
    await using gateway = await spawnGateway({ directory: folder.path })
    const answered = () => requests.filter(({ answer }) => answer !== null).length
    const enough = answered() + ANSWERS
    const unanswered = requests.filter(({ answer }) => answer === null)
    const clients = Array.from({ length: CLIENTS }, () => client(gateway.url, unanswered))
    await waitFor(() => answered() >= enough, { what: 'answers', deadlineMs: 60_000 })
    await gateway.kill()
    await Promise.all(clients)
  }

  await using gateway = await spawnGateway({ directory: folder.path })
  for (const request of requests) {
    const again = await ask(gateway.url, request)
    const { key, answer } = request
    expect({ key, status: again.status }).toEqual({ key, status: key.startsWith('send') ? 200 : 201 })
    if (answer) expect({ key, ...again }).toEqual({ key, ...answer, replayed: true })
  }
  const after = new GatewayClient(gateway)
  const sends = requests.filter(({ key }) => key.startsWith('send')).length
  await everythingDelivered(after.accountOf(account.token), sends)
  const texts = (await after.phone(friend).received()).map(({ text }) => Number(text))
  expect(texts.toSorted((one, other) => one - other)).toEqual(
    requests.flatMap(({ key }, index) => (key.startsWith('send') ? [index] : [])),
  )
  // One token linked the device; each key made one more.
  const tokens = await after.admin.get<unknown[]>('/api/v1/tokens')
  expect(tokens.body).toHaveLength(1 + requests.length - sends)
})

async function everythingDelivered({ api }: Account, count: number): Promise<void> {
  await waitFor(
    async () => {
      const all: { id: string; status: string }[] = []
      for (let before = ''; ; before = `&before=${all.at(-1)?.id}`) {
        const { body } = await api.get<{ id: string; status: string }[]>(
          `/api/v1/messages?limit=500${before}`,
        )
        if (body.length === 0) return all.length >= count && all.every(({ status }) => status === 'delivered')
        all.push(...body)
      }
    },
    { what: 'everything to be delivered', deadlineMs: 60_000 },
  )
}
