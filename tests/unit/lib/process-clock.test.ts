/** A process's clock ignores changes of the machine's clock until it adopts them. */
import { expect, test } from 'bun:test'
import { createProcessClock } from '../../../src/lib/process-clock.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const HOUR = 3_600_000

test('goes on by itself when the machine’s clock is set, and tells by how much that is off', async () => {
  const machine = new ManualClock()
  const start = machine.now()
  const clock = createProcessClock(machine)
  expect([clock.now(), clock.stepMs()]).toEqual([start, 0])
  await machine.advance(1_000)
  machine.set(-5 * HOUR)
  expect([clock.now(), clock.stepMs()]).toEqual([start + 1_000, -5 * HOUR])
  clock.adopt(clock.stepMs())
  expect([clock.now(), clock.stepMs()]).toEqual([start + 1_000 - 5 * HOUR, 0])
  expect(clock.steady()).toBe(machine.steady())
})
