/** A time limit shared by many. */
import { expect, test } from 'bun:test'
import { createTimeLimit } from '../../../src/lib/time-limit.ts'
import { waitFor } from '../../support/wait-for.ts'

test('each that has not ended is told once, in the order of their beginnings, and not before its time', async () => {
  const limit = createTimeLimit(40)
  const startedAt = performance.now()
  const told: [string, number][] = []
  const start = (name: string) => limit.start(() => told.push([name, performance.now() - startedAt]))
  start('first')
  const end = start('ends in time')
  await waitFor(() => performance.now() - startedAt > 15)
  start('later')
  end()
  await waitFor(() => told.length === 2)
  expect(told.map(([name]) => name)).toEqual(['first', 'later'])
  expect(told[0]?.[1]).toBeGreaterThanOrEqual(40)
  expect(told[1]?.[1]).toBeGreaterThanOrEqual(55)
  // The timer has run out, and starts again.
  start('another')
  await waitFor(() => told.length === 3)
})
