/** A worker's rhythm: after its time, at once while there is more, and early at a nudge. */
import { expect, test } from 'bun:test'
import { every, Nudge } from '../../../src/runtime/worker.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

test('ticks at once while there is more, then after its time or at a nudge, until it is stopped', async () => {
  const clock = new ManualClock()
  const nudge = new Nudge()
  const stop = new AbortController()
  const more = [true, true]
  let ticks = 0
  const tick = async () => {
    ticks++
    return more.pop() ?? false
  }
  const worker = every('counting', 1_000, tick, { clock, nudge })
  expect(worker.name).toBe('counting')
  const running = worker.run(stop.signal)
  await settled()
  expect(ticks).toBe(3)
  await clock.advance(999)
  await settled()
  expect(ticks).toBe(3)
  await clock.advance(1)
  await settled()
  expect(ticks).toBe(4)
  nudge.nudge()
  await settled()
  expect(ticks).toBe(5)
  stop.abort()
  await running
  expect(ticks).toBe(5)
})

test('a tick may ask for another wait, and the end is done once, after the last tick', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const done: string[] = []
  const tick = async () => done.push('tick') * 10
  const end = async () => done.push('end')
  const running = every('waiting', 1_000, tick, { clock, end }).run(stop.signal)
  await settled()
  await clock.advance(9)
  await settled()
  expect(done).toEqual(['tick'])
  await clock.advance(1)
  await settled()
  expect(done).toEqual(['tick', 'tick'])
  stop.abort()
  await running
  expect(done).toEqual(['tick', 'tick', 'end'])
})

test('a tick that fails ends the worker', async () => {
  const worker = every('failing', 1_000, () => Promise.reject<void>(new Error('broken')), {
    clock: new ManualClock(),
  })
  expect(worker.run(new AbortController().signal)).rejects.toThrow('broken')
})

test.each([
  ['seconds end with a whole one, so that workers wake together', 5_000, 4_700],
  ['less than a second are as long as they say', 300, 300],
])('waits of %s', async (_, ms, expected) => {
  const clock = new ManualClock()
  await clock.advance(300)
  const stop = new AbortController()
  const running = every('waiting', ms, async () => {}, { clock }).run(stop.signal)
  await settled()
  expect(clock.nextWakeInMs).toBe(expected)
  stop.abort()
  await running
})
