/** Who may see metrics and the reasons behind /ready. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createAuthAttempts } from '../../src/http/auth-attempts.ts'
import { createOperatorAccess } from '../../src/http/operator-access.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { expectError } from '../support/expect-error.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { testHttp } from '../support/test-http.ts'

const TOKEN = 'the token of the scraper'.replaceAll(' ', '-')
const request = (headers: Record<string, string> = {}) => new Request('http://localhost/metrics', { headers })
const access = (token: string | undefined, isProduction: boolean, address: string | undefined) =>
  createOperatorAccess({
    token,
    isProduction,
    addressOf: () => address,
    attempts: createAuthAttempts({
      limits: { perCredential: 10, perAddress: 10, windowMs: 1_000 },
      addressOf: () => address,
      clock: new ManualClock(),
      logger: silentLogger,
    }),
  })

describe('without a token', () => {
  test.each(['127.0.0.1', '127.8.0.1', '::1'])('in development %s may look', address => {
    expect(access(undefined, false, address).mayLook(request())).toBe(true)
  })

  test.each(['192.0.2.1', '10.0.0.7', '2001:db8::1'])('in development %s may not', address => {
    expect(access(undefined, false, address).mayLook(request())).toBe(false)
  })

  test.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])(
    'nobody behind a proxy that sends %s',
    header => {
      expect(access(undefined, false, '127.0.0.1').mayLook(request({ [header]: '192.0.2.1' }))).toBe(false)
    },
  )

  test('in production nobody may, since everybody may come by way of a proxy on this machine', () => {
    const production = access(undefined, true, '127.0.0.1')
    expect(production.mayLook(request())).toBe(false)
    expect(() => production.admit(request())).toThrow('METRICS_TOKEN')
  })
})

test.each([
  [`Bearer ${TOKEN}`, true],
  [`bearer  ${TOKEN} `, true],
  [`Bearer ${TOKEN}x`, false],
  [`Basic ${TOKEN}`, false],
  ['Bearer', false],
])('with a token, from wherever it comes: %s', (authorization, mayLook) => {
  for (const isProduction of [true, false])
    expect(access(TOKEN, isProduction, '192.0.2.1').mayLook(request({ authorization }))).toBe(mayLook)
  expect(access(TOKEN, false, '127.0.0.1').mayLook(request())).toBe(false)
})

describe('over HTTP', () => {
  let app: Awaited<ReturnType<typeof testHttp>>
  beforeAll(async () => {
    app = await testHttp({
      metricsToken: TOKEN,
      metrics: async () => 'meshgate_build_info 1\n',
      readiness: () => ({ ready: true, checks: { database: 'ok', 'bridge-wa': 'http://10.0.0.7 is down' } }),
    })
  })
  afterAll(() => app.destroy())

  test('metrics', async () => {
    expectError(await app.call('GET', '/metrics'), 401, 'unauthorized')
    const answer = await app.call('GET', '/metrics', { auth: `Bearer ${TOKEN}` })
    expect([answer.status, answer.text]).toEqual([200, 'meshgate_build_info 1\n'])
  })

  test('the reasons behind /ready; everybody else sees which part fails', async () => {
    const told = (await app.call('GET', '/ready', { auth: `Bearer ${TOKEN}` })).body
    expect(told.checks).toEqual({ database: 'ok', 'bridge-wa': 'http://10.0.0.7 is down' })
    const shown = (await app.call('GET', '/ready')).body
    expect(shown).toEqual({
      status: 'ready',
      checks: { database: 'ok', 'bridge-wa': 'failing' },
      degraded: ['bridge-wa'],
    })
  })
})

test('a gateway that stops tells everybody so', async () => {
  const app = await testHttp({
    metricsToken: TOKEN,
    readiness: () => ({ ready: false, stopping: true, checks: { shutdown: 'the gateway is stopping' } }),
  })
  const { status, body } = await app.call('GET', '/ready')
  expect([status, body]).toEqual([
    503,
    { status: 'stopping', checks: { shutdown: 'failing' }, degraded: ['shutdown'] },
  ])
  await app.destroy()
})
