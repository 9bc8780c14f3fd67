/** The system's clock, and the form of timestamps. */
import { describe, expect, test } from 'bun:test'
import { rfc3339, systemClock } from '../../../src/lib/clock.ts'

const AN_HOUR_MS = 3_600_000

describe('sleep', () => {
  test('lasts as long as it was asked to', async () => {
    const started = performance.now()
    await systemClock.sleep(20)
    // Timers count whole milliseconds, so 19 may pass for 20.
    expect(performance.now() - started).toBeGreaterThanOrEqual(19)
  })

  test('ends at once when its signal aborts', async () => {
    const controller = new AbortController()
    const sleeping = systemClock.sleep(AN_HOUR_MS, controller.signal)
    controller.abort()
    await sleeping
  })

  test('does not begin when its signal has aborted already', async () => {
    await systemClock.sleep(AN_HOUR_MS, AbortSignal.abort())
  })
})

test.each([
  [0, '1970-01-01T00:00:00Z'],
  [Date.UTC(2026, 3, 27, 10, 0, 0), '2026-04-27T10:00:00Z'],
  [Date.UTC(2026, 3, 27, 10, 0, 0, 7), '2026-04-27T10:00:00.007Z'],
])('%i is %s', (epochMs, text) => {
  expect(rfc3339(epochMs)).toBe(text)
})
