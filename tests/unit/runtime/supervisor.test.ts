/** The supervisor: a worker that fails comes back by itself, and none takes the others down. */
import { expect, test } from 'bun:test'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Supervisor } from '../../../src/runtime/supervisor.ts'
import type { Worker } from '../../../src/runtime/worker.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

/** Works until it is stopped. */
const steady = (name: string): Worker => ({
  name,
  run: signal =>
    new Promise(resolve => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve())
    }),
})

function setUp() {
  const clock = new ManualClock()
  return { clock, supervisor: new Supervisor(clock, silentLogger) }
}

test('a worker that fails is started again, each time later, and told in its health', async () => {
  const { clock, supervisor } = setUp()
  const startedAt: number[] = []
  supervisor.start({
    name: 'fragile',
    run: async () => {
      startedAt.push(clock.now())
      throw new Error(`failure ${startedAt.length}`)
    },
  })
  supervisor.start(steady('steady'))
  await settled()
  expect(startedAt).toHaveLength(1)
  expect(supervisor.health()).toEqual([
    { name: 'fragile', state: 'restarting', lastError: 'failure 1' },
    { name: 'steady', state: 'running', lastError: null },
  ])
  await clock.advance(60_000)
  const waits = startedAt.slice(1).map((at, index) => at - (startedAt[index] ?? 0))
  expect(waits.length).toBeGreaterThan(6)
  expect(waits[0]).toBeLessThanOrEqual(250)
  for (const [index, wait] of waits.entries()) {
    // 200 ms doubled each time, a quarter up or down, at most 5 s.
    const expected = Math.min(5_000, 200 * 2 ** index)
    expect(wait).toBeGreaterThanOrEqual(expected * 0.75)
    expect(wait).toBeLessThanOrEqual(expected * 1.25)
  }
  await supervisor.stop(1_000)
})

test('a worker that recovers is running again, and after a long good run its next failure counts as the first', async () => {
  const { clock, supervisor } = setUp()
  const failing: (() => void)[] = []
  supervisor.start({
    name: 'fragile',
    run: () => new Promise((_, reject) => failing.push(() => reject(new Error('broken')))),
  })
  for (let round = 0; round < 4; round += 1) {
    failing.at(-1)?.()
    await clock.advance(40_000)
    expect(failing).toHaveLength(round + 2)
    expect(supervisor.health()[0]).toMatchObject({ state: 'running', lastError: 'broken' })
  }
  failing.at(-1)?.()
  await settled()
  expect(clock.nextWakeInMs).toBeLessThanOrEqual(250)
})

test('a worker that throws before its first await does no harm either', async () => {
  const { supervisor } = setUp()
  const worker: Worker = {
    name: 'careless',
    run() {
      throw new Error('at once')
    },
  }
  supervisor.start(worker)
  supervisor.start(steady('steady'))
  await settled()
  expect(supervisor.health().map(health => health.state)).toEqual(['restarting', 'running'])
  await supervisor.stop(1_000)
})

test('stop ends every worker, also one that waits to be started again', async () => {
  const { supervisor } = setUp()
  supervisor.start(steady('one'))
  supervisor.start({ name: 'two', run: () => Promise.reject(new Error('broken')) })
  await settled()
  expect(await supervisor.stop(1_000)).toBe(true)
  expect(supervisor.health().map(health => health.state)).toEqual(['stopped', 'stopped'])
})

test('stop waits no longer than it was told to', async () => {
  const { clock, supervisor } = setUp()
  supervisor.start({ name: 'deaf', run: () => new Promise(() => undefined) })
  const stopping = supervisor.stop(1_000)
  await clock.advance(999)
  expect(clock.sleeping).toBe(1)
  await clock.advance(1)
  expect(await stopping).toBe(false)
})
