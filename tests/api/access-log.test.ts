/** The log's lines of requests by nobody known: a stranger can't fill the disk with them. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import { collectedLog } from '../support/collected-log.ts'
import { basic, testHttp } from '../support/test-http.ts'

const log = collectedLog()
let app: Awaited<ReturnType<typeof testHttp>>
let before = 0
beforeAll(async () => {
  app = await testHttp({
    logger: log.logger,
    mounts: [
      { prefix: '/mount', fetch: () => new Response('', { status: 403 }) },
      {
        prefix: '/broken',
        fetch() {
          throw new Error('out of order')
        },
      },
    ],
    downloads: {
      async open(_id, _expires, signature) {
        if (signature === 'right')
          return { path: import.meta.path, fileName: 'a.txt', mimeType: 'text/plain' }
        throw new GatewayError('not_found', 'There is no such file')
      },
    },
  })
})
afterAll(() => app.destroy())

/** Lines since it was asked last. */
function newLines(): Record<string, unknown>[] {
  const lines = log.text().trim().split('\n').filter(Boolean)
  const added = lines.slice(before).map(line => JSON.parse(line) as Record<string, unknown>)
  before = lines.length
  return added
}

const ASKED: [string, string, string | undefined][] = [
  ['GET', '/api/v1/devices', undefined],
  ['GET', '/api/v1/devices', 'Bearer mt_wrong'],
  ['GET', '/nowhere', undefined],
  ['POST', '/mount/x', undefined],
  ['GET', '/docs/json', undefined],
]

test('of requests by nobody known few are logged in a minute, and the others counted', async () => {
  newLines()
  for (let round = 0; round < 40; round++) {
    for (const [method, path, auth] of ASKED) await app.call(method, path, auth === undefined ? {} : { auth })
  }
  const told = newLines().filter(({ msg }) => msg === 'request')
  expect(told).toHaveLength(20)
  expect(told[0]).toMatchObject({ level: 'info', path: '/api/v1/devices', status: 401 })
  await app.clock.advance(61_000)
  await app.call('GET', '/nowhere')
  expect(newLines()).toMatchObject([
    { level: 'info', requests: 180, msg: 'requests of unknown callers were not logged' },
    { msg: 'request', path: '/nowhere', status: 404 },
  ])
})

test('of our own failures each is, and of files by a right address, but no guess at one', async () => {
  newLines()
  const askedTimes = async (path: string) => {
    for (let time = 0; time < 30; time++) await app.call('GET', path)
    return newLines().filter(({ msg }) => msg === 'request').length
  }
  expect(await askedTimes('/broken/x')).toBe(30)
  expect(await askedTimes('/api/v1/media/x?expires=1&signature=right')).toBe(30)
  expect(await askedTimes('/api/v1/media/x?expires=1&signature=wrong')).toBeLessThan(20)
})

test('of requests with a credential or token each is', async () => {
  newLines()
  const auth = `Bearer ${await app.newToken()}`
  for (let time = 0; time < 30; time++) await app.call('GET', '/api/v1/devices', { auth })
  for (let time = 0; time < 30; time++) await app.call('GET', '/api/v1/tokens', { auth: basic() })
  expect(newLines().filter(({ msg }) => msg === 'request').length).toBeGreaterThanOrEqual(61)
})
