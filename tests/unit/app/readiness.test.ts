/**
 * Readiness: every part has its word, none can hang the question, and nobody makes it dear by
 * asking often.
 */
import { expect, test } from 'bun:test'
import { createReadiness, type ReadinessOptions } from '../../../src/app/readiness.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

function readiness(change: Partial<ReadinessOptions> = {}) {
  const clock = new ManualClock()
  return {
    clock,
    ...createReadiness({
      db: { committer: { trouble: () => null } as ReadinessOptions['db']['committer'] },
      tryWrite: async () => undefined,
      supervisor: { health: () => [{ name: 'outbox', state: 'running', lastError: null }] },
      homeserver: () => ({ isReady: true, detail: 'ok' }),
      askHomeserver: async () => 'ok',
      processes: { states: () => new Map() },
      bridges: () => new Map([['wa', null]]),
      failedUpdates: () => new Map(),
      clock,
      ...change,
    }),
  }
}

test('with every part well', async () => {
  expect(await readiness().check()).toEqual({
    ready: true,
    checks: { database: 'ok', homeserver: 'ok', outbox: 'ok', 'bridge-wa': 'ok' },
  })
})

test('an update of a bridge that failed, which keeps nothing from working', async () => {
  const failed = readiness({ failedUpdates: () => new Map([['wa', 'v2 did not become ready']]) })
  expect(await failed.check()).toMatchObject({
    ready: true,
    checks: { 'bridge-wa': 'ok', 'bridge-wa-update': 'v2 did not become ready' },
  })
})

test('a database that can not be written', async () => {
  const full = readiness({ tryWrite: () => Promise.reject(new Error('the disk is full')) })
  expect(await full.check()).toMatchObject({ ready: false, checks: { database: 'the disk is full' } })
})

test('a database that hangs is told of in time, and a write is tried once in a while however many ask', async () => {
  let tries = 0
  const stuck = readiness({
    tryWrite: () => {
      tries++
      return new Promise(() => undefined)
    },
  })
  const answers = [stuck.check(), stuck.check(), stuck.check()]
  await settled()
  await stuck.clock.advance(2_000)
  for (const answer of answers)
    expect(await answer).toMatchObject({ ready: false, checks: { database: 'no answer within 2000 ms' } })
  expect(tries).toBe(1)
  await stuck.clock.advance(5_000)
  void stuck.check()
  expect(tries).toBe(2)
})

test('a worker that fails', async () => {
  const failing = readiness({
    supervisor: { health: () => [{ name: 'outbox', state: 'restarting', lastError: 'broken' }] },
  })
  expect(await failing.check()).toMatchObject({ ready: false, checks: { outbox: 'restarting: broken' } })
})

test('a bridge that is away leaves the gateway ready for all others', async () => {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('ok') })
  const url = `http://127.0.0.1:${server.port}`
  const there = await readiness({ bridges: () => new Map([['wa', url]]) }).check()
  expect(there.checks['bridge-wa']).toBe('ok')
  await server.stop(true)
  const away = await readiness({ bridges: () => new Map([['wa', url]]) }).check()
  expect(away.ready).toBe(true)
  expect(away.checks['bridge-wa']).not.toBe('ok')
})

test('a stop that was asked for', async () => {
  const stopping = readiness()
  stopping.drain()
  expect(await stopping.check()).toMatchObject({
    ready: false,
    stopping: true,
    checks: { shutdown: 'the gateway is stopping', database: 'ok' },
  })
})

test('a homeserver of which nothing tells by itself is asked', async () => {
  const alone = readiness({ homeserver: () => null })
  expect(await alone.check()).toMatchObject({ ready: true, checks: { homeserver: 'ok' } })
  const away = readiness({ homeserver: () => null, askHomeserver: async () => "it can't be reached" })
  expect(await away.check()).toMatchObject({ ready: false, checks: { homeserver: "it can't be reached" } })
})
