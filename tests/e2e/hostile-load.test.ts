/** Clients that try to block a gateway process: others' waits are compared with a quiet run. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Account, GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { longestLag } from '../support/loop-lag.ts'
import { openRaw } from '../support/raw-client.ts'
import { selfSigned } from '../support/self-signed.ts'
import { tempDir } from '../support/temp-dir.ts'
import { textFrame, upgradeHead } from '../support/upgrade-head.ts'
import { waitFor } from '../support/wait-for.ts'

const ROUNDS = 40
const EVERY_MS = 25

const folder = tempDir()
const gateways = new Map<string, GatewayProcess>()

beforeAll(async () => {
  const { cert, key } = selfSigned(folder, 'localhost')
  const env = { CLIENT_ID: 'admin', CLIENT_SECRET: 'a secret of the tests', SECRET_KEY: 'a key of the tests' }
  gateways.set('http', await spawnGateway({ env }))
  gateways.set('https', await spawnGateway({ env: { ...env, TLS_CERT_FILE: cert, TLS_KEY_FILE: key } }))
})
afterAll(async () => {
  for (const gateway of gateways.values()) await gateway[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

function gateway(scheme: string): GatewayProcess {
  const running = gateways.get(scheme)
  if (!running) throw new Error(`there is no gateway with ${scheme}`)
  return running
}

/** Asks as another client while `act` runs. @returns the number of answers */
async function askWhile(url: string, act: () => Promise<unknown>): Promise<number> {
  let isOver = false
  const acted = act().finally(() => {
    isOver = true
  })
  let answers = 0
  while (!isOver) {
    const response = await fetch(`${url}/health`, { tls: { rejectUnauthorized: false } })
    expect(response.status).toBe(200)
    answers++
  }
  await acted
  return answers
}

/** Writes `what` every few milliseconds; a closed connection is replaced. */
async function flood(url: string, what: string): Promise<void> {
  let client = await openRaw(url)
  for (let round = 0; round < ROUNDS; round++) {
    if (client.closed) client = await openRaw(url)
    client.write(what)
    client.heard = ''
    await Bun.sleep(EVERY_MS)
  }
  client[Symbol.dispose]()
}

const REQUESTS = {
  'a probe': 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'the homeserver': 'GET /_matrix/client/versions HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a call': 'POST /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}',
}

describe.each([
  ['http', Object.entries(REQUESTS)],
  ['https', Object.entries(REQUESTS).slice(0, 1)],
])('over %s', (scheme, requests) => {
  test.each(requests)('a flood of requests for %s leaves others their share', async (_what, request) => {
    const { url } = gateway(scheme)
    const alone = await askWhile(url, () => Bun.sleep(ROUNDS * EVERY_MS))
    const beside = await askWhile(url, () => flood(url, request.repeat(2_000)))
    // Without a limit there would be only a few answers.
    expect(beside).toBeGreaterThan(alone / 20)
  })
})

describe('with a token', () => {
  /** Seconds that a busy machine may cost by itself. */
  const NOISE_S = 0.5
  let account: Account
  let quietS: number
  beforeAll(async () => {
    const client = new GatewayClient(gateway('http'))
    account = await client.account()
    quietS = await longestLag(gateway('http').url, async () => undefined)
  })
  const lagWhile = (act: () => Promise<unknown>) => longestLag(gateway('http').url, act)
  const bound = () => Math.max(NOISE_S, 4 * quietS)

  test('input on the WebSocket of a link, without pause, leaves the event loop to others', async () => {
    await account.addDevice('wa')
    const input = textFrame('{"type": "input", "fields": {"phone_number": "+237123456789"}}')
    const lagS = await lagWhile(async () => {
      using socket = await openRaw(gateway('http').url)
      socket.write(upgradeHead(account.token))
      await waitFor(() => socket.statuses()[0] === 101)
      socket.write(Buffer.concat(Array<Buffer>(50_000).fill(input)))
      await waitFor(() => socket.closed, { what: 'the server to close' })
    })
    expect(lagS).toBeLessThanOrEqual(bound())
  })

  test('a megabyte of unknown fields leaves the event loop to others', async () => {
    const names = Array.from({ length: 80_000 }, (_, index) => [`f${index}`, 1])
    const body = { platform: 'wa', contact: '1', text: 'x', ...Object.fromEntries(names) }
    const lagS = await lagWhile(async () => {
      for (let time = 0; time < 5; time++) {
        const answer = await account.api.post('/api/v1/devices/237123456789/message', body)
        expect(answer.status).toBe(400)
      }
    })
    expect(lagS).toBeLessThanOrEqual(bound())
  })
})
