/** The link to an external homeserver finds out and says if we are its application service. */
import { describe, expect, test } from 'bun:test'
import { createLogger } from '../../../src/lib/logger.ts'
import { Signals } from '../../../src/lib/signals.ts'
import { createAppserviceAccess } from '../../../src/matrix/account-access.ts'
import { createAppserviceLink } from '../../../src/matrix/appservice-link.ts'
import { createHomeserverProbe } from '../../../src/matrix/homeserver-probe.ts'
import { homeserverStub, matrixError } from '../../support/homeserver-stub.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

const PING = '/_matrix/client/v1/appservice/meshgate/ping'
const WHOAMI = '/_matrix/client/v3/account/whoami'

function link(serverName = 's') {
  const lines: string[] = []
  const logger = createLogger('info', {
    format: 'json',
    destination: { write: line => void lines.push(line) },
  })
  const clock = new ManualClock()
  const answers: Record<string, () => Response | object> = {
    [WHOAMI]: () => ({ user_id: '@meshgate:s' }),
    [PING]: () => ({ duration_ms: 1 }),
  }
  const { address, requests } = homeserverStub(
    ({ path }) => answers[path]?.() ?? matrixError(404, 'M_UNRECOGNIZED'),
  )
  const answer = address.fetch ?? fetch
  const access = createAppserviceAccess({ asToken: 'as_secret', logger, signals: new Signals() })
  const reached: number[] = []
  const made = createAppserviceLink({
    probe: createHomeserverProbe(address.baseUrl, (url, init) => answer(new Request(url, init))),
    asToken: 'as_secret',
    appserviceId: 'meshgate',
    serverName,
    access,
    lookBack: { reached: () => void reached.push(clock.now()) },
    clock,
    logger,
  })
  return { ...made, reached, access, answers, requests, clock, log: () => lines.join('') }
}

test('a homeserver that knows us is asked to reach us', async () => {
  const { check, failure, requests, log } = link()
  expect(await check()).toBe(true)
  expect(failure()).toBeNull()
  expect(requests.map(({ method, path, token }) => [method, path, token])).toEqual([
    ['POST', PING, 'as_secret'],
    ['GET', WHOAMI, 'as_secret'],
  ])
  expect(log()).toContain('the homeserver knows us and reaches us')
})

describe('what is wrong is told in a line', () => {
  test.each([
    ['the as_token', PING, matrixError(401, 'M_UNKNOWN_TOKEN'), "doesn't accept MATRIX_AS_TOKEN"],
    [
      'the as_token, without pings',
      WHOAMI,
      matrixError(401, 'M_UNKNOWN_TOKEN'),
      "doesn't accept MATRIX_AS_TOKEN",
    ],
    ['a proxy without a homeserver', PING, new Response('', { status: 502 }), 'HTTP 502'],
    [
      'no url',
      PING,
      matrixError(400, 'M_URL_NOT_SET'),
      'the url of our registration at the homeserver is null',
    ],
    [
      'a wrong url',
      PING,
      matrixError(502, 'M_CONNECTION_FAILED'),
      "can't reach us at the url of our registration",
    ],
    ['no answer there', PING, matrixError(504, 'M_CONNECTION_TIMEOUT'), "can't reach us"],
    [
      'the hs_token',
      PING,
      matrixError(502, 'M_BAD_STATUS', { status: 403 }),
      'is MATRIX_HS_TOKEN the hs_token',
    ],
    [
      'another program',
      PING,
      matrixError(502, 'M_BAD_STATUS', { status: 501 }),
      "isn't this gateway (HTTP 501",
    ],
    [
      'another server',
      PING,
      matrixError(502, 'M_BAD_STATUS', { status: 404 }),
      "isn't this gateway (HTTP 404",
    ],
    ['another id', PING, matrixError(403, 'M_FORBIDDEN'), 'the as_token of another registration'],
  ])('%s', async (_, path, answer, expected) => {
    const { check, failure, answers, log } = link()
    answers[path] = () => answer
    expect(await check()).toBe(false)
    expect(failure()).toContain(expected)
    expect(log()).toContain(expected)
    expect(log()).not.toContain('as_secret')
  })

  test('a homeserver of another name', async () => {
    const { check, failure } = link('example.com')
    expect(await check()).toBe(false)
    expect(failure()).toBe('MATRIX_SERVER_NAME is "example.com", and the homeserver\'s name is "s"')
  })
})

test('a homeserver from before there were pings is as good', async () => {
  const { check, answers } = link()
  answers[PING] = () => matrixError(404, 'M_UNRECOGNIZED')
  expect(await check()).toBe(true)
})

test('the worker asks again until it is well, and goes on asking; each trouble is told once', async () => {
  const { worker, requests, answers, clock, log, access, failure, reached } = link()
  answers[PING] = () => matrixError(401, 'M_UNKNOWN_TOKEN')
  const controller = new AbortController()
  const running = worker.run(controller.signal)
  await settled()
  await clock.advance(10_000)
  expect(requests.length).toBeGreaterThan(2)
  expect(access.trouble('@anyone:s')).toBe(failure())
  expect(
    log()
      .split('\n')
      .filter(line => line.includes('"level":"error"')),
  ).toHaveLength(1)
  answers[PING] = () => ({ duration_ms: 1 })
  await clock.advance(20_000)
  await settled()
  expect(failure()).toBeNull()
  expect(access.trouble('@anyone:s')).toBeNull()
  const asked = requests.length
  await clock.advance(20_000)
  expect(requests.length).toBeGreaterThan(asked)
  expect(reached).toHaveLength(1)
  controller.abort()
  await running
})
