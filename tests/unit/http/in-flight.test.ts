/** Memory of requests under way: one that doesn’t fit is refused until others are answered. */
import { expect, test } from 'bun:test'
import { budgetOf, createInFlight, type MemoryBudget } from '../../../src/http/in-flight.ts'
import { notesOf } from '../../../src/http/request-notes.ts'
import { expectError } from '../../support/expect-error.ts'
import { basic, testHttp } from '../../support/test-http.ts'

const KIB = 1024
const newRequest = (headers: Record<string, string> = {}) =>
  new Request('http://localhost/', { method: 'POST', headers })

/** @returns how many requests fit at a time, if each does that when it is let in */
function fitting(maxBytes: number, use: (budget: MemoryBudget, index: number) => void, headers = {}): number {
  const inFlight = createInFlight({ maxBytes })
  let fit = 0
  for (let index = 0; index < 100; index++) {
    const request = newRequest(headers)
    inFlight
      .within(request, async () => {
        use(budgetOf(request), index)
        fit++
        return new Promise<Response>(() => undefined)
      })
      .catch(() => undefined)
  }
  return fit
}

test.each<[string, (budget: MemoryBudget, index: number) => void, number]>([
  ['nothing of their bodies', () => undefined, 100],
  ['24 KiB each', budget => budget.hold(24 * KIB), 25],
  ['24 KiB each, bit by bit', budget => [8, 16, 24].forEach(kib => void budget.hold(kib * KIB)), 25],
  ['nothing, of one holder', budget => budget.chargeTo('one'), 12],
  ['nothing, of ten holders', (budget, index) => budget.chargeTo(`holder ${index % 10}`), 100],
])('800 KiB are enough for requests that hold %s', (_what, use, times) => {
  expect(fitting(800 * KIB, use)).toBe(times)
})

test('what is announced takes no memory', () => {
  expect(fitting(800 * KIB, () => undefined, { 'content-length': String(1024 * KIB) })).toBe(100)
})

test('what was refused for is noted: the memory of all, or the share of one', async () => {
  const inFlight = createInFlight({ maxBytes: 80 * KIB })
  const reason = async (use: (budget: MemoryBudget) => void) => {
    const request = newRequest()
    await inFlight
      .within(request, async () => {
        use(budgetOf(request))
        return new Response()
      })
      .catch(() => undefined)
    return notesOf(request).refusal
  }
  expect(await reason(budget => budget.hold(100 * KIB))).toBe('memory')
  expect(
    await reason(budget => {
      budget.chargeTo('one')
      budget.hold(40 * KIB)
    }),
  ).toBe('share_of_memory')
  expect(await reason(() => undefined)).toBeUndefined()
})

test('there is memory again when one was answered, whether well or not', async () => {
  const inFlight = createInFlight({ maxBytes: 80 * KIB })
  for (const answer of [() => new Response('well'), () => Promise.reject(new Error('not well'))]) {
    for (let times = 0; times < 20; times++) {
      const request = newRequest()
      const answered = inFlight.within(request, () => {
        budgetOf(request).chargeTo('one')
        expect(() => budgetOf(request).hold(8 * KIB)).toThrow(
          'This token or credential has too many requests',
        )
        return answer()
      })
      await answered.catch(error => expect(error.message).toBe('not well'))
      expect(() => budgetOf(request).hold(8 * KIB)).toThrow('the request was answered')
    }
  }
})

test('a request that does not fit is a 429 like any other, and calls that carry no body go on', async () => {
  const app = await testHttp({ maxBytesInFlight: 0 })
  const refused = await app.call('POST', '/api/v1/tokens', { auth: basic(), json: {} })
  expectError(refused, 429, 'too_many_requests', 'Too many requests are under way')
  expect([refused.headers.get('retry-after'), refused.headers.get('x-content-type-options')]).toEqual([
    '1',
    'nosniff',
  ])
  expect((await app.call('GET', '/api/v1/tokens', { auth: basic() })).status).toBe(200)
  await app.destroy()
})
