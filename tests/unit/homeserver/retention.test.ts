/** Old events are deleted, and everything else goes on. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { ForgottenRows } from '../../../src/lib/aged-rows.ts'
import { HomeserverRows } from '../../support/homeserver-rows.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'
import { bodies, FakeAppservice, serverWith, type TestServer, until } from './harness.ts'

let server: TestServer
let roomId: string
beforeEach(async () => {
  server = await serverWith('gw_alice', 'gw_bob')
  roomId = await server.room('gw_alice', ['gw_bob'], { name: 'Chat' })
})
afterEach(() => server.close())

const FUTURE = Date.now() + 3_600_000
const ALICE = { as: 'gw_alice' }

/** Deletes step by step, as a step may end early. */
async function walk(after: number, before: number): Promise<Omit<ForgottenRows, 'next'>> {
  const whole: Omit<ForgottenRows, 'next'> = { removed: 0, again: null }
  for (let next: number | null = after; next !== null; ) {
    const step: ForgottenRows = await server.hs.forget(next, before)
    whole.removed += step.removed
    whole.again ??= step.again
    next = step.next
  }
  return whole
}

const forgetAll = async (before = FUTURE) => (await walk(0, before)).removed

const messages = async () =>
  bodies(
    (
      await server.call('GET', `/rooms/${roomId}/messages`, undefined, { ...ALICE, query: { dir: 'b' } })
    ).list('chunk'),
  )

function acknowledge(): void {
  server.db.run('UPDATE hs_appservices SET position = (SELECT max(stream_id) FROM hs_events)')
}

test('messages go, state stays, and the room goes on', async () => {
  const sent = (await server.send(roomId, 'gw_alice', 'one')).text('event_id')
  await server.call('PUT', `/rooms/${roomId}/state/m.room.name`, { name: 'Renamed' }, ALICE)
  await server.call('POST', `/rooms/${roomId}/receipt/m.read/${sent}`, {}, { as: 'gw_bob' })
  const token = (await server.call('GET', '/sync', undefined, ALICE)).text('next_batch')
  acknowledge()
  expect(await forgetAll()).toBe(1)
  expect(await messages()).toEqual([])
  const state = await server.call('GET', `/rooms/${roomId}/state`, undefined, ALICE)
  const renamed = state.list().find(event => event.type === 'm.room.name')
  expect(renamed).toMatchObject({
    content: { name: 'Renamed' },
    unsigned: { prev_content: { name: 'Chat' } },
  })
  expect((await server.call('GET', `/rooms/${roomId}/event/${sent}`, undefined, ALICE)).status).toBe(404)
  // Receipts move on from a deleted event, and relations to one are accepted.
  const next = (await server.send(roomId, 'gw_alice', 'two')).text('event_id')
  expect(
    (await server.call('POST', `/rooms/${roomId}/receipt/m.read/${next}`, {}, { as: 'gw_bob' })).status,
  ).toBe(200)
  const reaction = { 'm.relates_to': { event_id: sent, rel_type: 'm.annotation', key: '👍' } }
  expect((await server.call('PUT', `/rooms/${roomId}/send/m.reaction/r`, reaction, ALICE)).status).toBe(200)
  const sync = await server.call('GET', '/sync', undefined, { ...ALICE, query: { since: token } })
  expect(bodies(sync.list('rooms', 'join', roomId, 'timeline', 'events'))).toEqual(['two'])
})

test('a number of the stream never comes again, though the newest event is gone', async () => {
  await server.send(roomId, 'gw_alice', 'last')
  const newest = () =>
    server.db.query<{ at: number }, []>('SELECT max(stream_id) AS at FROM hs_events').get()?.at ?? 0
  const last = newest()
  acknowledge()
  await forgetAll()
  expect(newest()).toBeLessThan(last)
  await server.restart()
  await server.appservice('gw')
  await server.send(roomId, 'gw_alice', 'first')
  expect(newest()).toBeGreaterThan(last)
})

test('what an application service has not acknowledged stays, and so does what is young, whatever time it was given', async () => {
  await server.send(roomId, 'gw_alice', 'unheard')
  expect(await forgetAll()).toBe(0)
  acknowledge()
  await server.call(
    'PUT',
    `/rooms/${roomId}/send/m.room.message/old`,
    { msgtype: 'm.text', body: 'of long ago' },
    { ...ALICE, query: { ts: '1000' } },
  )
  acknowledge()
  expect(await forgetAll(Date.now() - 3_600_000)).toBe(0)
  expect(await messages()).toEqual(['of long ago', 'unheard'])
  const gw = new FakeAppservice()
  await server.appservice('gw', { deliver: gw.deliver })
  server.hs.start()
  await server.send(roomId, 'gw_alice', 'heard')
  await until(() => bodies(gw.events).includes('heard'), 'the push')
})

test('a later walk begins before what has not been acknowledged yet, or is not old yet', async () => {
  await server.send(roomId, 'gw_alice', 'unheard')
  const unheard = () =>
    server.db
      .query<{ at: number }, []>("SELECT min(stream_id) AS at FROM hs_events WHERE type = 'm.room.message'")
      .get()?.at ?? 0
  const { again } = await walk(0, FUTURE)
  expect(again).toBe(unheard() - 1)
  acknowledge()
  expect(await walk(again ?? 0, FUTURE)).toEqual({ removed: 1, again: null })
})

test('twenty thousand old events go in steps that nobody notices', async () => {
  const rows = new HomeserverRows(server.db, 'hs.test')
  rows.all(() => {
    const { room } = rows.newRoom(['gw_alice'])
    for (let at = 0; at < 20_000; at++) rows.message(room, 'gw_alice', `${at}`)
  })
  await server.restart()
  await server.appservice('gw')
  acknowledge()
  let removed = 0
  await expectShortTurns(async () => (removed = await forgetAll()), { rounds: 1 })
  expect(removed).toBe(20_000)
})
