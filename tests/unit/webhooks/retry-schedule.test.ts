/** When a failed delivery is tried again, and where: the rule alone. */
import { describe, expect, test } from 'bun:test'
import {
  askedWaitMs,
  isAskedForAgain,
  judge,
  probeWaitMs,
  TRIES_IN_PLACE,
  type TriedDelivery,
} from '../../../src/modules/webhooks/retry-schedule.ts'
import { OK, refused } from '../../support/test-webhooks.ts'

const AT = 1_000_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const tried = (change: Partial<TriedDelivery> = {}): TriedDelivery => ({
  triesBefore: 0,
  isAside: false,
  failsWithAllForMs: null,
  ...change,
})
const after = (change: Partial<TriedDelivery>, answer = refused(500)) => judge(answer, tried(change), AT)

/** Every wait varies by a fifth, so that not all come at once. */
function expectAbout(ms: number, expected: number): void {
  expect(ms).toBeGreaterThanOrEqual(0.8 * expected)
  expect(ms).toBeLessThanOrEqual(1.2 * expected)
}

test('what gets through is over', () => {
  const settlement = judge(OK, tried({ triesBefore: 3 }), AT)
  expect(settlement).toMatchObject({ outcome: 'succeeded', dueAt: AT, attempt: { at: AT, error: null } })
})

describe('a delivery that fails alone', () => {
  test.each([50, 300, 1_000, 5_000])('waits in place at first: try %# for %i ms', waitMs => {
    const triesBefore = [50, 300, 1_000, 5_000].indexOf(waitMs)
    const { outcome, dueAt } = after({ triesBefore })
    expect(outcome).toBe('retry')
    expectAbout(dueAt - AT, waitMs)
  })

  test('then leaves its chat, and is dead after three days', () => {
    const first = after({ triesBefore: TRIES_IN_PLACE - 1 })
    expect(first).toMatchObject({ outcome: 'set_aside', uncounted: 0 })
    const waits = [5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    expectAbout(first.dueAt - AT, waits[0] as number)
    for (const [index, waitMs] of waits.slice(1).entries()) {
      const { outcome, dueAt } = after({ triesBefore: TRIES_IN_PLACE + index, isAside: true })
      expect(outcome).toBe('set_aside')
      expectAbout(dueAt - AT, waitMs)
    }
    const last = after({ triesBefore: TRIES_IN_PLACE + waits.length - 1, isAside: true })
    expect(last).toMatchObject({ outcome: 'dead', dueAt: AT })
  })

  test('has its three days before it, whatever an outage took', () => {
    const { outcome, uncounted, dueAt } = after({ triesBefore: TRIES_IN_PLACE + 9 })
    expect([outcome, uncounted]).toEqual(['set_aside', 10])
    expectAbout(dueAt - AT, 5 * MINUTE)
  })
})

describe('while its endpoint takes nothing', () => {
  test('it stays in its place and probes, for as long as it would have days', () => {
    const inDoubt = { triesBefore: 40, failsWithAllForMs: HOUR }
    const { outcome, dueAt } = after(inDoubt)
    expect(outcome).toBe('retry')
    expectAbout(dueAt - AT, 10 * MINUTE)
    expect(after({ ...inDoubt, failsWithAllForMs: 3 * DAY }).outcome).toBe('retry')
    expect(after({ ...inDoubt, failsWithAllForMs: 4 * DAY }).outcome).toBe('dead')
  })

  test('and 410 sets nothing aside', () => {
    expect(after({ triesBefore: TRIES_IN_PLACE }, refused(410)).outcome).toBe('retry')
  })
})

test.each([
  [0, 300],
  [4_000, 1_000],
  [DAY, 600_000],
])('an outage of %i ms is probed after about %i ms', (failingForMs, expected) => {
  expectAbout(probeWaitMs(failingForMs), expected)
})

test('an endpoint that asks for time gets it, but not more than half a day', () => {
  const answer = (retryAfterS: number) => refused(503, retryAfterS)
  expect(askedWaitMs(OK)).toBe(0)
  expect(askedWaitMs(answer(90))).toBe(90_000)
  expect(askedWaitMs(answer(10 * 86_400))).toBe(12 * HOUR)
  expect(after({}, answer(90)).dueAt).toBe(AT + 90_000)
})

test.each([
  [{ attempts: 3, uncountedAttempts: 0 }, false],
  [{ attempts: 9, uncountedAttempts: 9 }, true],
  [{ attempts: 9 + TRIES_IN_PLACE, uncountedAttempts: 9 }, false],
])('asked for again: %j', (delivery, expected) => {
  expect(isAskedForAgain(delivery)).toBe(expected)
})
