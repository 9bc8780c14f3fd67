/** Guesses at tokens of operators, homeservers and bridges are slowed down; right ones pass. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createStatusReceiver, STATUS_PATH } from '../../src/bridges/status-receiver.ts'
import type { RefusalReason, SecretKind } from '../../src/domain/observation.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Signals } from '../../src/lib/signals.ts'
import { createAppserviceSource } from '../../src/matrix/appservice-source.ts'
import { collectedLog } from '../support/collected-log.ts'
import { answers, freePort } from '../support/program.ts'
import { testGateway } from '../support/test-gateway.ts'
import { basic, testHttp } from '../support/test-http.ts'
import { waitFor } from '../support/wait-for.ts'

const METRICS_TOKEN = 'the-token-of-the-scraper'
const HS_TOKEN = 'the-token-of-the-homeserver'
const AS_TOKEN = 'the-token-of-the-bridge'
const LIMITS = { perCredential: 3, perAddress: 5, windowMs: 60_000 }
const ATTACKER = '203.0.113.1'

/** A surface with the status of a wrong and of a right token. */
const SURFACES = [
  { name: 'metrics', method: 'GET', path: '/metrics', token: METRICS_TOKEN, wrong: 401 },
  {
    name: "a homeserver's transactions",
    method: 'PUT',
    path: '/_matrix/app/v1/transactions/1',
    token: HS_TOKEN,
    wrong: 403,
    body: '{"events":[]}',
  },
  {
    name: "a bridge's states",
    method: 'POST',
    path: `${STATUS_PATH}/wa`,
    token: AS_TOKEN,
    wrong: 401,
    body: '{}',
  },
]
type Surface = (typeof SURFACES)[number]

let app: Awaited<ReturnType<typeof testHttp>>
let url: string
let stop: () => Promise<unknown>
let log: ReturnType<typeof collectedLog>
let failures: SecretKind[]
let refusals: RefusalReason[]

beforeEach(async () => {
  log = collectedLog()
  failures = []
  refusals = []
  app = await testHttp({
    http: { trustedProxies: ['127.0.0.1'] },
    authFailures: LIMITS,
    logger: log.logger,
    metricsToken: METRICS_TOKEN,
    observer: {
      requestAnswered: () => undefined,
      requestRefused: reason => void refusals.push(reason),
      authenticationFailed: kind => void failures.push(kind),
    },
    metrics: async () => 'meshgate_build_info 1\n',
    readiness: () => ({ ready: true, checks: { database: 'sda1 is full' } }),
    mounts: [
      {
        prefix: '/_matrix/app',
        ...createAppserviceSource({
          hsToken: HS_TOKEN,
          sink: { accept: async () => undefined },
          logger: silentLogger,
        }),
      },
      {
        prefix: STATUS_PATH,
        ...createStatusReceiver({
          asTokenOf: platform => (platform === 'wa' ? AS_TOKEN : undefined),
          signals: new Signals(),
          passedOn: () => Promise.resolve(),
        }),
      },
      { prefix: '/open', fetch: () => new Response('', { status: 401 }) },
    ],
  })
  const server = app.http.listen()
  url = server.url
  stop = () => server.stop(0)
})
afterEach(async () => {
  await stop()
  app.destroy()
})

/** @param address of the client, as the proxy in front tells it */
function ask(path: string, token: string | null, init: RequestInit = {}, address = ATTACKER) {
  const authorization: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` }
  return fetch(url + path, { ...init, headers: { ...authorization, 'x-forwarded-for': address } })
}

async function statusOf({ method, path, body }: Surface, token: string | null, address?: string) {
  const response = await ask(path, token, { method, ...(body ? { body } : {}) }, address)
  await response.body?.cancel()
  return response.status
}

/** @returns the statuses of so many different guesses, one after another */
async function guess(surface: Surface, times: number): Promise<number[]> {
  const found: number[] = []
  for (let turn = 0; turn < times; turn += 1) found.push(await statusOf(surface, `guess-${turn}-${turn}`))
  return found
}

test('at the listener for bridges a guess counts for its address, too', async () => {
  const other = await testHttp({
    authFailures: LIMITS,
    logger: log.logger,
    bridgeMounts: [
      { prefix: '/_matrix', fetch: () => new Response('', { status: 401 }), isRightToken: () => false },
    ],
  })
  const listener = other.http.listenForBridges({ host: '127.0.0.1', port: 0 })
  for (let turn = 0; turn < 8; turn++)
    await fetch(`${listener.url}/_matrix/x`, { headers: { authorization: `Bearer guess-${turn}` } })
  await listener.stop(0)
  await other.destroy()
  expect(log.text()).toContain('127.0.0.1')
})

describe.each(SURFACES)('$name', surface => {
  test('guessed at from one address: refused, then 429 whatever the token, until the window ends', async () => {
    const found = await guess(surface, 8)
    expect(found[0]).toBe(surface.wrong)
    expect(found.at(-1)).toBe(429)
    expect(found.filter(status => status === surface.wrong).length).toBeLessThanOrEqual(LIMITS.perAddress)
    expect(await statusOf(surface, surface.token)).toBe(429)
    await app.clock.advance(LIMITS.windowMs)
    expect(await statusOf(surface, surface.token)).toBe(200)
  })

  test('the right token gets in from everywhere else, and where it proved right before', async () => {
    expect(await statusOf(surface, surface.token)).toBe(200)
    expect((await guess(surface, 8)).at(-1)).toBe(429)
    expect(await statusOf(surface, surface.token)).toBe(200)
    expect(await statusOf(surface, surface.token, '198.51.100.7')).toBe(200)
  })

  test('no token at all is no guess', async () => {
    for (let turn = 0; turn < 8; turn += 1) expect(await statusOf(surface, null)).toBe(401)
    expect(await statusOf(surface, surface.token)).toBe(200)
  })

  test('the log tells the address and no token', async () => {
    await guess(surface, 8)
    expect(log.text()).toContain('too many failed authentications')
    expect(log.text()).toContain(ATTACKER)
    expect(log.text()).not.toContain('guess-')
  })
})

test('the reasons behind /ready are kept from who guesses too often, and /ready still answers', async () => {
  const reason = async (token: string) => {
    const response = await ask('/ready', token)
    const { checks } = (await response.json()) as { checks: { database: string } }
    return [response.status, checks.database]
  }
  for (let turn = 0; turn < 8; turn += 1) expect(await reason(`guess-${turn}`)).toEqual([200, 'failing'])
  expect(await reason(METRICS_TOKEN)).toEqual([200, 'failing'])
  await app.clock.advance(LIMITS.windowMs)
  expect(await reason(METRICS_TOKEN)).toEqual([200, 'sda1 is full'])
})

test('one token tried again and again is one guess: a bridge that was there before it was attached gets in', async () => {
  let attachedToken: string | undefined
  const late = createStatusReceiver({
    asTokenOf: () => attachedToken,
    signals: new Signals(),
    passedOn: () => Promise.resolve(),
  })
  const guarded = await testHttp({ authFailures: LIMITS, mounts: [{ prefix: STATUS_PATH, ...late }] })
  const server = guarded.http.listen()
  const report = async () => {
    const headers = { authorization: `Bearer ${AS_TOKEN}` }
    const response = await fetch(`${server.url}${STATUS_PATH}/wa`, { method: 'POST', headers, body: '{}' })
    return response.status
  }
  for (let turn = 0; turn < 20; turn += 1) expect(await report()).toBe(401)
  attachedToken = AS_TOKEN
  expect(await report()).toBe(200)
  await server.stop(0)
  await guarded.destroy()
})

test('Matrix is told in its own words when to come back', async () => {
  const surface = SURFACES[1] as Surface
  await guess(surface, 8)
  const response = await ask(surface.path, 'guess', { method: 'PUT', body: '{}' })
  expect(response.status).toBe(429)
  expect(response.headers.get('retry-after')).toBe('60')
  expect(await response.json()).toMatchObject({ errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 60_000 })
})

test('wrong secrets and what is refused for them are counted', async () => {
  for (const surface of SURFACES) expect(await statusOf(surface, 'guess')).toBe(surface.wrong)
  await ask('/api/v1/devices', 'mt_guess')
  await ask('/api/v1/tokens', null, { headers: {} })
  await app.http.handle(
    new Request(`${url}/api/v1/tokens`, { headers: { authorization: basic('admin', 'wrong') } }),
  )
  expect(failures).toEqual(['metrics', 'matrix', 'matrix', 'token', 'credential'])
  expect(refusals).toEqual([])
  await guess(SURFACES[0] as Surface, 8)
  expect(refusals.length).toBeGreaterThan(0)
  expect(new Set(refusals)).toEqual(new Set(['authentication']))
})

test('what takes no tokens is nobody’s guess', async () => {
  for (let turn = 0; turn < 8; turn += 1) expect((await ask('/open', `guess-${turn}`)).status).toBe(401)
})

test('the embedded homeserver of the whole gateway is guarded, in the header and in the query', async () => {
  const port = freePort()
  await using gateway = await testGateway({ AUTH_FAILURES_PER_ADDRESS: '4', BRIDGE_PORT: String(port) })
  const url = `http://127.0.0.1:${port}`
  await gateway.meshgateBridge('add', 'wa', '--url', 'http://127.0.0.1:1')
  await waitFor(() => answers(`${url}/_matrix/client/versions`))
  const whoami = `${url}/_matrix/client/v3/account/whoami`
  const found: number[] = []
  for (let turn = 0; turn < 3; turn += 1) {
    const authorization = `Bearer guess-${turn}`
    found.push((await fetch(whoami, { headers: { authorization } })).status)
    found.push((await fetch(`${whoami}?access_token=other-${turn}`)).status)
  }
  expect(found).toEqual([401, 401, 401, 401, 429, 429])
  expect((await fetch(`${url}/_matrix/client/versions`)).status).toBe(200)
})
