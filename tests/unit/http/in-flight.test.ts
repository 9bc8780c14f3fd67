/** Memory of requests under way: whoever doesn't fit is refused, and there is room again once others are answered. */
import { expect, test } from 'bun:test'
import { createInFlight } from '../../../src/http/in-flight.ts'
import { expectError } from '../../support/expect-error.ts'
import { basic, testHttp } from '../../support/test-http.ts'

const KIB = 1024
const post = (headers: Record<string, string>) =>
  new Request('http://localhost/', { method: 'POST', headers })

/** @returns how many of these requests fit at a time */
function fitting(maxBytes: number, headers: Record<string, string>): number {
  const inFlight = createInFlight(maxBytes)
  let fit = 0
  for (let count = 0; count < 100; count++) {
    inFlight
      .within(post(headers), () => {
        fit++
        return new Promise(() => undefined)
      })
      .catch(() => undefined)
  }
  return fit
}

test.each([
  [{ 'content-length': '200' }, 12],
  [{ 'content-length': String(92 * KIB) }, 1],
  [{ 'content-length': String(30 * 1024 * KIB), 'content-type': 'multipart/form-data; boundary=x' }, 0],
  // A chunked body doesn't say how long it is.
  [{}, 0],
  [{ 'content-length': '0' }, 12],
])('100 KiB are room for %j %d times', (headers, times) => {
  expect(fitting(100 * KIB, headers)).toBe(times)
})

test('there is room again when one was answered, whether well or not', async () => {
  const inFlight = createInFlight(10 * KIB)
  const small = post({ 'content-length': '10' })
  const answer = async () => new Response('well')
  expect(await (await inFlight.within(small, answer)).text()).toBe('well')
  await inFlight.within(small, () => Promise.reject(new Error('not well'))).catch(() => undefined)
  expect(await (await inFlight.within(small, answer)).text()).toBe('well')
})

test('a request without room is a 429 like any other, and calls that carry no body go on', async () => {
  const app = await testHttp({ maxBytesInFlight: 0 })
  const refused = await app.call('POST', '/api/v1/tokens', { auth: basic(), json: {} })
  expectError(refused, 429, 'too_many_requests', 'Too many requests are under way')
  expect([refused.headers.get('retry-after'), refused.headers.get('x-content-type-options')]).toEqual([
    '1',
    'nosniff',
  ])
  expect((await app.call('GET', '/api/v1/tokens', { auth: basic() })).status).toBe(200)
  app.destroy()
})
