/** A changed profile reaches every room; an equal one changes nothing. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { HomeserverRows } from '../../support/homeserver-rows.ts'
import { TestServer, until, userId } from './harness.ts'

const ROOMS = 300
const server = new TestServer()

beforeAll(async () => {
  await server.appservice('gw')
  await server.users(['gw_alice'])
  const rows = new HomeserverRows(server.db, 'hs.test')
  rows.all(() => {
    for (let at = 0; at < ROOMS; at++) rows.newRoom(['gw_alice'])
  })
  await server.restart()
  await server.appservice('gw')
})
afterAll(() => server.close())

const set = (field: 'displayname' | 'avatar_url', value: string) =>
  server.call('PUT', `/profile/${userId('gw_alice')}/${field}`, { [field]: value }, { as: 'gw_alice' })

function count(sql: string, ...values: string[]): number {
  return server.db.query<{ count: number }, string[]>(sql).get(...values)?.count ?? -1
}

const roomsWith = (name: string) =>
  count(
    `SELECT count(*) AS count FROM hs_room_state s JOIN hs_events e ON e.stream_id = s.stream_id
     WHERE s.type = 'm.room.member' AND json_extract(e.content, '$.displayname') = ?`,
    name,
  )

test('a restart amid the change of a name leaves no room behind', async () => {
  expect((await set('displayname', 'Alice A.')).status).toBe(200)
  await server.restart()
  await server.appservice('gw')
  expect(roomsWith('Alice A.')).toBeLessThan(ROOMS)
  server.hs.start()
  await until(() => roomsWith('Alice A.') === ROOMS, 'the name in every room')
  await until(() => count('SELECT count(*) AS count FROM hs_profile_changes') === 0, 'the end of the change')
})

test('a name that follows at once overtakes the one before it', async () => {
  await Promise.all([set('displayname', 'Alice B.'), set('displayname', 'Alice C.')])
  await until(() => count('SELECT count(*) AS count FROM hs_profile_changes') === 0, 'the end of the change')
  expect(roomsWith('Alice C.')).toBe(ROOMS)
})

test('what is the same already writes nothing', async () => {
  await set('avatar_url', 'mxc://hs.test/a')
  await until(() => count('SELECT count(*) AS count FROM hs_profile_changes') === 0, 'the end of the change')
  const written = () => count('SELECT total_changes() AS count')
  const before = written()
  expect((await set('displayname', 'Alice C.')).status).toBe(200)
  expect((await set('avatar_url', 'mxc://hs.test/a')).status).toBe(200)
  expect(written()).toBe(before)
})
