/** Guessing secrets is slowed down by address, and nobody can lock another client out by it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { collectedLog } from '../support/collected-log.ts'
import { ADMIN, basic, testHttp } from '../support/test-http.ts'

const LIMITS = { perCredential: 3, perAddress: 5, windowMs: 60_000 }
const WRONG_TOKEN = `Bearer mt_${'A'.repeat(43)}`

let app: Awaited<ReturnType<typeof testHttp>>
let url: string
let stop: () => Promise<unknown>
let log: ReturnType<typeof collectedLog>

beforeEach(async () => {
  log = collectedLog()
  const http = { trustedProxies: ['127.0.0.1'] }
  app = await testHttp({ http, authFailures: LIMITS, logger: log.logger })
  const server = app.http.listen()
  url = server.url
  stop = () => server.stop(0)
})
afterEach(async () => {
  await stop()
  app.destroy()
})

/** @param address of the client, as the proxy in front tells it */
async function ask(path: string, authorization: string, address = '203.0.113.1') {
  const response = await fetch(`${url}${path}`, { headers: { authorization, 'x-forwarded-for': address } })
  await response.body?.cancel()
  return { status: response.status, retryAfterS: response.headers.get('retry-after') }
}

async function statuses(times: number, path: string, authorization: string, address?: string) {
  const found: number[] = []
  for (let turn = 0; turn < times; turn += 1) found.push((await ask(path, authorization, address)).status)
  return found
}

const TOKENS = '/api/v1/tokens'
const DEVICES = '/api/v1/devices'
const wrong = (clientId: string, secret = 'wrong') => basic(clientId, secret)

describe('a credential', () => {
  test('that failed too often from an address is answered 429 there, whatever the secret, until the window ends', async () => {
    expect(await statuses(4, TOKENS, wrong(ADMIN.clientId))).toEqual([401, 401, 401, 429])
    const refused = await ask(TOKENS, basic())
    expect(refused.status).toBe(429)
    expect(Number(refused.retryAfterS)).toBe(60)
    await app.clock.advance(59_000)
    expect((await ask(TOKENS, basic())).retryAfterS).toBe('1')
    await app.clock.advance(1_000)
    expect((await ask(TOKENS, basic())).status).toBe(200)
  })

  test('guessed at many times at once is looked at no more often than in turn', async () => {
    const guesses = Array.from({ length: 20 }, (_, guess) =>
      ask(TOKENS, wrong(ADMIN.clientId, `guess-${guess}`)),
    )
    const found = (await Promise.all(guesses)).map(({ status }) => status).sort()
    expect(found).toEqual([...Array(LIMITS.perCredential).fill(401), ...Array(17).fill(429)])
  })

  test('that is right may be used many times at once from the first', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(TOKENS, basic())))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
  })

  test('that others hammer works from everywhere else', async () => {
    for (let host = 1; host <= 8; host += 1) {
      const last = (await statuses(4, TOKENS, wrong(ADMIN.clientId), `198.51.100.${host}`)).at(-1)
      expect(last).toBe(429)
    }
    expect((await ask(TOKENS, basic(), '203.0.113.7')).status).toBe(200)
  })

  test('that proved right before works beside a neighbour who guesses behind the same address', async () => {
    expect((await ask(TOKENS, basic())).status).toBe(200)
    expect(await statuses(4, TOKENS, wrong(ADMIN.clientId))).toEqual([401, 401, 401, 429])
    expect((await ask(TOKENS, basic())).status).toBe(200)
  })

  test('that proved right elsewhere teaches who is shut out nothing', async () => {
    expect((await ask(TOKENS, basic(), '203.0.113.7')).status).toBe(200)
    expect((await statuses(4, TOKENS, wrong(ADMIN.clientId))).at(-1)).toBe(429)
    expect((await ask(TOKENS, basic())).status).toBe(429)
    expect((await ask(TOKENS, basic(), '203.0.113.7')).status).toBe(200)
  })

  test('does not stand in for another', async () => {
    expect(await statuses(3, TOKENS, wrong('somebody'))).toEqual([401, 401, 401])
    expect((await ask(TOKENS, basic())).status).toBe(200)
  })
})

describe('an address', () => {
  test('that failed too often is answered 429 with whatever else it tries', async () => {
    for (const clientId of ['a', 'b', 'c', 'd', 'e']) {
      expect((await ask(TOKENS, wrong(clientId))).status).toBe(401)
    }
    expect((await ask(TOKENS, wrong('f'))).status).toBe(429)
    expect((await ask(DEVICES, WRONG_TOKEN)).status).toBe(429)
    expect((await ask(TOKENS, basic())).status).toBe(429)
    expect((await ask(TOKENS, basic(), '203.0.113.2')).status).toBe(200)
  })

  test('of IPv6 is the network of 64 bits that one host has', async () => {
    for (const [index, clientId] of ['a', 'b', 'c', 'd', 'e'].entries()) {
      await ask(TOKENS, wrong(clientId), `2001:db8::${index + 1}`)
    }
    expect((await ask(TOKENS, wrong('f'), '2001:db8::ffff')).status).toBe(429)
    expect((await ask(TOKENS, wrong('f'), '2001:db8:0:1::1')).status).toBe(401)
  })

  test('that sends no authentication, or none that can be read, has guessed nothing', async () => {
    expect(await statuses(8, TOKENS, 'Basic !!!')).toEqual(Array(8).fill(401))
    expect((await ask(TOKENS, basic())).status).toBe(200)
  })
})

describe('a token', () => {
  test('that is wrong: 403, then 429', async () => {
    expect(await statuses(4, DEVICES, WRONG_TOKEN)).toEqual([403, 403, 403, 429])
  })

  test('that is good is none the worse for those that are not', async () => {
    const token = await app.newToken()
    expect((await ask(DEVICES, `Bearer ${token}`)).status).toBe(200)
    expect(await statuses(4, DEVICES, WRONG_TOKEN)).toEqual([403, 403, 403, 429])
    for (const letter of 'BCD') await ask(DEVICES, `Bearer mt_${letter.repeat(43)}`)
    expect((await ask(DEVICES, `Bearer ${token}`)).status).toBe(200)
  })

  test('that was good and is deleted is counted like any other', async () => {
    const token = await app.newToken()
    expect((await ask(DEVICES, `Bearer ${token}`)).status).toBe(200)
    const { body } = await app.call('GET', TOKENS, { auth: basic() })
    const [{ id }] = body.list as [{ id: number }]
    await app.call('DELETE', `${TOKENS}/${id}`, { auth: basic() })
    expect(await statuses(4, DEVICES, `Bearer ${token}`)).toEqual([403, 403, 403, 429])
  })
})

test('the log names address and credential once, and no secret', async () => {
  await statuses(6, TOKENS, wrong('somebody', 'a-secret-guess'))
  const told = log
    .text()
    .split('\n')
    .filter(line => line.includes('too many failed authentications'))
  expect(told).toHaveLength(1)
  expect(JSON.parse(told[0] ?? '')).toMatchObject({ address: '203.0.113.1', credential: 'somebody' })
  expect(log.text()).not.toContain('a-secret-guess')
})

test('who is no proxy that we trust cannot pretend to be many', async () => {
  await stop()
  app.destroy()
  app = await testHttp({ authFailures: LIMITS })
  const server = app.http.listen()
  url = server.url
  stop = () => server.stop(0)
  const found: number[] = []
  for (let host = 1; host <= 4; host += 1) {
    found.push((await ask(TOKENS, wrong(ADMIN.clientId), `203.0.113.${host}`)).status)
  }
  expect(found).toEqual([401, 401, 401, 429])
})
