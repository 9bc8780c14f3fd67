/** The system's clock, and the form of timestamps. */
import { describe, expect, test } from 'bun:test'
import { after, rfc3339, systemClock, within } from '../../../src/lib/clock.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

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

test('after calls when the time is over, unless that was prevented before', async () => {
  const clock = new ManualClock()
  const called: string[] = []
  after(clock, 10, () => called.push('one'))
  const prevent = after(clock, 10, () => called.push('other'))
  await clock.advance(9)
  expect(called).toEqual([])
  prevent()
  await clock.advance(1)
  await settled()
  expect(called).toEqual(['one'])
})

describe('within', () => {
  test('gives what the work resolves to, and ends the wait with it', async () => {
    let waits: AbortSignal | undefined
    const sleep = (_ms: number, signal?: AbortSignal) => {
      waits = signal
      return new Promise<void>(() => {})
    }
    expect(await within({ sleep }, 1, Promise.resolve('done'))).toBe('done')
    expect(waits?.aborted).toBe(true)
    await expect(within({ sleep }, 1, Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(waits?.aborted).toBe(true)
  })

  test('gives undefined when the time is over first; what fails later harms nobody', async () => {
    const work = Promise.withResolvers<string>()
    expect(await within({ sleep: async () => {} }, 1, work.promise)).toBeUndefined()
    work.reject(new Error('too late'))
    await Bun.sleep(0)
  })
})

test.each([
  [0, '1970-01-01T00:00:00Z'],
  [Date.UTC(2026, 3, 27, 10, 0, 0), '2026-04-27T10:00:00Z'],
  [Date.UTC(2026, 3, 27, 10, 0, 0, 7), '2026-04-27T10:00:00.007Z'],
])('%i is %s', (epochMs, text) => {
  expect(rfc3339(epochMs)).toBe(text)
})
