/** Rooms: creation, membership, power, state, sends and redactions. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { serverWith, type TestServer, userId } from './harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob', 'gw_carol', 'gw_dave')
})
afterAll(() => server.close())

const post = (roomId: string, action: string, body: unknown, as: string) =>
  server.call('POST', `/rooms/${roomId}/${action}`, body, { as })
const put = (roomId: string, type: string, content: unknown, as: string, key = '') =>
  server.call('PUT', `/rooms/${roomId}/state/${type}/${encodeURIComponent(key)}`, content, { as })
const read = (roomId: string, type: string, as: string, key = '') =>
  server.call('GET', `/rooms/${roomId}/state/${type}/${encodeURIComponent(key)}`, undefined, { as })

describe('createRoom', () => {
  test('invites nobody twice, and makes no room that its creator may not invite to', async () => {
    const invited = userId('gw_bob')
    const roomId = await server.room('gw_alice', [], {
      invite: [invited, invited],
      initial_state: [{ type: 'm.room.member', state_key: invited, content: { membership: 'invite' } }],
    })
    const events = (where: string, ...values: string[]) =>
      server.db.query(`SELECT 1 FROM hs_events NATURAL JOIN hs_rooms WHERE ${where}`).all(...values)
    expect(events('room_id = ? AND state_key = ?', roomId, invited)).toHaveLength(1)
    const wish = { invite: [invited], power_level_content_override: { invite: 101 }, name: 'Never made' }
    const refused = await server.call('POST', '/createRoom', wish, { as: 'gw_alice' })
    expect(refused.get('errcode')).toBe('M_FORBIDDEN')
    expect(events("content LIKE '%Never made%'")).toEqual([])
  })

  test('takes everything that a bridge gives', async () => {
    const roomId = await server.room('gw_alice', [], {
      name: 'Portal',
      topic: 'A chat',
      preset: 'private_chat',
      visibility: 'private',
      is_direct: true,
      invite: [userId('gw_bob'), '@unknown:elsewhere.test'],
      room_alias_name: 'portal',
      creation_content: { 'm.federate': false, type: 'm.space' },
      initial_state: [
        { type: 'm.bridge', state_key: 'wa://1', content: { bridgebot: 'x' } },
        { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
      ],
      power_level_content_override: { users: { [userId('gw_alice')]: 9001 }, events_default: 5 },
    })
    const state = await server.call('GET', `/rooms/${roomId}/state`, undefined, { as: 'gw_alice' })
    const of = (type: string, key = '') =>
      state.list().find(event => event.type === type && event.state_key === key)?.content
    expect(state.list()[0]?.type).toBe('m.room.create')
    expect(of('m.room.create')).toEqual({ 'm.federate': false, type: 'm.space', room_version: '11' })
    expect(of('m.room.name')).toEqual({ name: 'Portal' })
    expect(of('m.room.topic')).toEqual({ topic: 'A chat' })
    expect(of('m.bridge', 'wa://1')).toEqual({ bridgebot: 'x' })
    expect(of('m.room.history_visibility')).toEqual({ history_visibility: 'joined' })
    expect(of('m.room.join_rules')).toEqual({ join_rule: 'invite' })
    expect(of('m.room.canonical_alias')).toEqual({ alias: '#portal:hs.test' })
    expect(of('m.room.power_levels')).toMatchObject({
      users: { [userId('gw_alice')]: 9001 },
      events_default: 5,
    })
    expect(of('m.room.member', userId('gw_bob'))).toEqual({ membership: 'invite', is_direct: true })
    const found = await server.call('GET', '/directory/room/%23portal:hs.test')
    expect(found.body).toEqual({ room_id: roomId, servers: ['hs.test'] })
    const again = await server.call('POST', '/createRoom', { room_alias_name: 'portal' }, { as: 'gw_bob' })
    expect(again.get('errcode')).toBe('M_ROOM_IN_USE')
  })

  test('refuses versions it does not know, and writes nothing when a part is forbidden', async () => {
    const version = await server.call('POST', '/createRoom', { room_version: '99' }, { as: 'gw_alice' })
    expect(version.get('errcode')).toBe('M_UNSUPPORTED_ROOM_VERSION')
    const before = await server.call('GET', '/joined_rooms', undefined, { as: 'gw_dave' })
    const powerless = await server.call(
      'POST',
      '/createRoom',
      { name: 'x', power_level_content_override: { users: {}, users_default: 0 } },
      { as: 'gw_dave' },
    )
    expect(powerless.get('errcode')).toBe('M_FORBIDDEN')
    const after = await server.call('GET', '/joined_rooms', undefined, { as: 'gw_dave' })
    expect(after.body).toEqual(before.body)
  })
})

describe('membership', () => {
  test('needs an invitation in a private room', async () => {
    const roomId = await server.room('gw_alice')
    expect((await server.join(roomId, 'gw_bob')).get('errcode')).toBe('M_FORBIDDEN')
    expect((await post(roomId, 'invite', { user_id: userId('gw_bob') }, 'gw_carol')).status).toBe(403)
    expect((await post(roomId, 'invite', { user_id: userId('gw_bob') }, 'gw_alice')).status).toBe(200)
    expect((await server.join(roomId, 'gw_bob')).body).toEqual({ room_id: roomId })
    expect((await server.join(roomId, 'gw_bob')).status).toBe(200)
    expect((await post(roomId, 'invite', { user_id: userId('gw_bob') }, 'gw_alice')).status).toBe(403)
    const joined = await server.call('GET', '/joined_rooms', undefined, { as: 'gw_bob' })
    expect(joined.get('joined_rooms')).toContain(roomId)
  })

  test('a public room is joined by its alias', async () => {
    const roomId = await server.room('gw_alice', [], { preset: 'public_chat', room_alias_name: 'open' })
    const answer = await server.call(
      'POST',
      `/join/${encodeURIComponent('#open:hs.test')}`,
      {},
      { as: 'gw_carol' },
    )
    expect(answer.body).toEqual({ room_id: roomId })
    const unknown = await server.call(
      'POST',
      `/join/${encodeURIComponent('#no:hs.test')}`,
      {},
      { as: 'gw_carol' },
    )
    expect(unknown.get('errcode')).toBe('M_NOT_FOUND')
  })

  test('leave, forget, kick, ban and unban follow the power levels', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob', 'gw_carol'])
    const target = { user_id: userId('gw_carol'), reason: 'spam' }
    expect((await post(roomId, 'kick', target, 'gw_bob')).status).toBe(403)
    expect((await post(roomId, 'ban', target, 'gw_bob')).status).toBe(403)
    expect((await post(roomId, 'kick', target, 'gw_alice')).status).toBe(200)
    expect((await read(roomId, 'm.room.member', 'gw_alice', userId('gw_carol'))).body).toEqual({
      membership: 'leave',
      reason: 'spam',
    })
    expect((await server.send(roomId, 'gw_carol', 'hi')).status).toBe(403)
    expect((await post(roomId, 'ban', target, 'gw_alice')).status).toBe(200)
    expect((await server.join(roomId, 'gw_carol')).status).toBe(403)
    expect((await post(roomId, 'invite', target, 'gw_alice')).status).toBe(403)
    expect((await post(roomId, 'unban', target, 'gw_bob')).status).toBe(403)
    expect((await post(roomId, 'unban', target, 'gw_alice')).status).toBe(200)
    expect((await post(roomId, 'unban', target, 'gw_alice')).status).toBe(403)
    expect((await post(roomId, 'forget', {}, 'gw_bob')).status).toBe(400)
    expect((await post(roomId, 'leave', {}, 'gw_bob')).status).toBe(200)
    expect((await post(roomId, 'leave', {}, 'gw_bob')).status).toBe(200)
    expect(
      (
        await server.call('GET', `/rooms/${roomId}/messages`, undefined, {
          as: 'gw_bob',
          query: { dir: 'b' },
        })
      ).status,
    ).toBe(200)
    expect((await post(roomId, 'forget', {}, 'gw_bob')).status).toBe(200)
    expect((await server.call('GET', `/rooms/${roomId}/state`, undefined, { as: 'gw_bob' })).status).toBe(403)
  })

  test('an invitation can be declined, and taken back by who gave it', async () => {
    const roomId = await server.room('gw_alice', [], { invite: [userId('gw_bob'), userId('gw_carol')] })
    expect((await post(roomId, 'leave', {}, 'gw_bob')).status).toBe(200)
    expect((await post(roomId, 'kick', { user_id: userId('gw_carol') }, 'gw_alice')).status).toBe(200)
    expect((await server.join(roomId, 'gw_carol')).status).toBe(403)
  })

  test('a restricted room takes the members of another', async () => {
    const space = await server.room('gw_alice', ['gw_bob'])
    const roomId = await server.room('gw_alice', [], {
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
        },
      ],
    })
    expect((await server.join(roomId, 'gw_carol')).status).toBe(403)
    expect((await server.join(roomId, 'gw_bob')).status).toBe(200)
  })

  test('an unknown user can be invited all the same', async () => {
    const roomId = await server.room('gw_alice')
    expect((await post(roomId, 'invite', { user_id: '@x:elsewhere.test' }, 'gw_alice')).status).toBe(200)
    expect((await post(roomId, 'invite', { user_id: 'nonsense' }, 'gw_alice')).get('errcode')).toBe(
      'M_INVALID_PARAM',
    )
    expect((await post(roomId, 'invite', {}, 'gw_alice')).get('errcode')).toBe('M_MISSING_PARAM')
  })

  test('members are listed by membership', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'], {})
    await post(roomId, 'invite', { user_id: userId('gw_carol') }, 'gw_alice')
    const members = (query: Record<string, string>) =>
      server
        .call('GET', `/rooms/${roomId}/members`, undefined, { as: 'gw_alice', query })
        .then(answer => answer.list('chunk').map(event => event.state_key))
    expect(await members({})).toEqual(['gw_alice', 'gw_bob', 'gw_carol'].map(userId))
    expect(await members({ membership: 'invite' })).toEqual([userId('gw_carol')])
    expect(await members({ not_membership: 'invite' })).toEqual(['gw_alice', 'gw_bob'].map(userId))
    const outside = await server.call('GET', `/rooms/${roomId}/members`, undefined, { as: 'gw_dave' })
    expect(outside.get('errcode')).toBe('M_FORBIDDEN')
  })
})

describe('power levels', () => {
  test('decide who sends what', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'], {
      power_level_content_override: { events: { 'm.reaction': 30, 'm.room.topic': 0 }, events_default: 0 },
    })
    const reaction = await server.call('PUT', `/rooms/${roomId}/send/m.reaction/r1`, {}, { as: 'gw_bob' })
    expect(reaction.get('errcode')).toBe('M_FORBIDDEN')
    expect((await server.send(roomId, 'gw_bob', 'fine')).status).toBe(200)
    expect((await put(roomId, 'm.room.name', { name: 'x' }, 'gw_bob')).status).toBe(403)
    expect((await put(roomId, 'm.room.topic', { topic: 'x' }, 'gw_bob')).status).toBe(200)
    expect((await put(roomId, 'm.custom', {}, 'gw_alice', userId('gw_bob'))).status).toBe(403)
  })

  test('nobody raises themselves or touches their equals', async () => {
    const users = { [userId('gw_alice')]: 100, [userId('gw_bob')]: 60, [userId('gw_carol')]: 60 }
    const events = { 'm.room.power_levels': 50 }
    const roomId = await server.room('gw_alice', ['gw_bob', 'gw_carol'], {
      power_level_content_override: { users, events },
    })
    const current = (await read(roomId, 'm.room.power_levels', 'gw_bob')).body as object
    const set = (change: object, as = 'gw_bob') =>
      put(roomId, 'm.room.power_levels', { ...current, ...change }, as)
    expect((await set({ users: { ...users, [userId('gw_bob')]: 100 } })).status).toBe(403)
    expect((await set({ users: { ...users, [userId('gw_carol')]: 0 } })).status).toBe(403)
    expect((await set({ users: { ...users, [userId('gw_alice')]: 0 } })).status).toBe(403)
    expect((await set({ ban: 100 })).status).toBe(403)
    expect((await set({ ban: 'high' })).status).toBe(403)
    expect((await set({ users: { ...users, [userId('gw_dave')]: 60 } })).status).toBe(200)
    expect((await set({ users: { ...users, [userId('gw_carol')]: 0 } }, 'gw_alice')).status).toBe(200)
    expect((await put(roomId, 'm.room.name', { name: 'x' }, 'gw_carol')).status).toBe(403)
  })
})

describe('state', () => {
  test('is set, read, and kept when it does not change', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const first = await put(roomId, 'm.room.name', { name: 'One' }, 'gw_alice')
    const same = await put(roomId, 'm.room.name', { name: 'One' }, 'gw_alice')
    expect(same.body).toEqual(first.body)
    const second = await server.call(
      'PUT',
      `/rooms/${roomId}/state/m.room.name`,
      { name: 'Two' },
      { as: 'gw_alice' },
    )
    const event = await server.call('GET', `/rooms/${roomId}/event/${second.text('event_id')}`, undefined, {
      as: 'gw_bob',
    })
    expect(event.get('unsigned')).toMatchObject({
      prev_content: { name: 'One' },
      replaces_state: first.text('event_id'),
      membership: 'join',
    })
    expect(
      (await server.call('GET', `/rooms/${roomId}/state/m.room.name`, undefined, { as: 'gw_bob' })).body,
    ).toEqual({ name: 'Two' })
    expect((await read(roomId, 'm.room.avatar', 'gw_bob')).get('errcode')).toBe('M_NOT_FOUND')
    expect((await read(roomId, 'm.room.name', 'gw_dave')).get('errcode')).toBe('M_FORBIDDEN')
    expect((await read('!nowhere:hs.test', 'm.room.name', 'gw_dave')).get('errcode')).toBe('M_FORBIDDEN')
  })

  test('a room is created only once, and an alias must lead to it', async () => {
    const roomId = await server.room('gw_alice')
    expect((await put(roomId, 'm.room.create', {}, 'gw_alice')).status).toBe(403)
    const stray = await put(roomId, 'm.room.canonical_alias', { alias: '#no:hs.test' }, 'gw_alice')
    expect([stray.status, stray.get('errcode')]).toEqual([400, 'M_BAD_ALIAS'])
    const alias = encodeURIComponent('#mine:hs.test')
    expect(
      (await server.call('PUT', `/directory/room/${alias}`, { room_id: roomId }, { as: 'gw_alice' })).status,
    ).toBe(200)
    expect(
      (await server.call('PUT', `/directory/room/${alias}`, { room_id: roomId }, { as: 'gw_alice' })).status,
    ).toBe(409)
    expect((await put(roomId, 'm.room.canonical_alias', { alias: '#mine:hs.test' }, 'gw_alice')).status).toBe(
      200,
    )
    const aliases = await server.call('GET', `/rooms/${roomId}/aliases`, undefined, { as: 'gw_alice' })
    expect(aliases.get('aliases')).toEqual(['#mine:hs.test'])
    expect(
      (await server.call('DELETE', `/directory/room/${alias}`, undefined, { as: 'gw_alice' })).status,
    ).toBe(200)
    expect((await server.call('GET', `/directory/room/${alias}`)).status).toBe(404)
    expect((await server.call('GET', '/publicRooms')).get('chunk')).toEqual([])
  })
})

describe('sending', () => {
  const sendTogether = (roomId: string, as: string, events: { txn_id: string; content: object }[]) =>
    server.call(
      'POST',
      `/_matrix/client/unstable/org.meshgate/rooms/${roomId}/send/m.room.message`,
      { events },
      { as },
    )
  test('several events of a call are in its order, each once', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const events = ['1', '2', '3'].map(body => ({ txn_id: `together-${body}`, content: { body } }))
    const first = (await server.send(roomId, 'gw_alice', '1', 'together-1')).text('event_id')
    const answer = await sendTogether(roomId, 'gw_alice', events)
    expect(answer.get('event_ids', 0)).toBe(first)
    expect((await sendTogether(roomId, 'gw_alice', events)).body).toEqual(answer.body)
    const page = await server.call('GET', `/rooms/${roomId}/messages`, undefined, {
      as: 'gw_alice',
      query: { dir: 'b', limit: '3' },
    })
    expect(page.list('chunk').map(event => event.event_id)).toEqual(
      [0, 1, 2].map(index => answer.get('event_ids', 2 - index)),
    )
  })

  test('several events of a call end before the first one that is refused', async () => {
    const roomId = await server.room('gw_alice')
    const long = { txn_id: 'long', content: { body: 'x'.repeat(65_536) } }
    const short = (id: string) => ({ txn_id: id, content: { body: id } })
    const answer = await sendTogether(roomId, 'gw_alice', [short('before'), long, short('behind')])
    expect(answer.list('event_ids')).toHaveLength(1)
    const refused = await sendTogether(roomId, 'gw_alice', [long, short('behind')])
    expect([refused.status, refused.get('errcode')]).toEqual([413, 'M_TOO_LARGE'])
    const stranger = await sendTogether(roomId, 'gw_bob', [short('1'), short('2')])
    expect(stranger.status).toBe(403)
    const page = await server.call('GET', `/rooms/${roomId}/messages`, undefined, {
      as: 'gw_alice',
      query: { dir: 'b', limit: '1' },
    })
    expect(page.get('chunk', 0, 'content', 'body')).toBe('before')
  })

  test('the same transaction gives the same event, also together and after a restart', async () => {
    const own = await serverWith('gw_alice', 'gw_bob')
    const roomId = await own.room('gw_alice', ['gw_bob'])
    const together = await Promise.all(
      Array.from({ length: 10 }, () => own.send(roomId, 'gw_alice', 'once', 't1')),
    )
    const ids = new Set(together.map(answer => answer.text('event_id')))
    expect(ids.size).toBe(1)
    expect((await own.send(roomId, 'gw_bob', 'other user', 't1')).get('event_id')).not.toBe([...ids][0])
    const { token } = await own.logIn('gw_alice')
    const path = `/rooms/${roomId}/send/m.room.message/t1`
    const device = await own.call('PUT', path, { body: 'device' }, { token })
    expect(ids.has(device.text('event_id'))).toBe(false)
    const otherRoom = await own.room('gw_alice')
    expect(ids.has((await own.send(otherRoom, 'gw_alice', 'once', 't1')).text('event_id'))).toBe(false)
    await own.restart()
    await own.appservice('gw')
    expect(ids.has((await own.send(roomId, 'gw_alice', 'once', 't1')).text('event_id'))).toBe(true)
    expect((await own.call('PUT', path, { body: 'device' }, { token })).body).toEqual(device.body)
    const shown = (options: object) =>
      own.call('GET', `/rooms/${roomId}/event/${device.text('event_id')}`, undefined, options)
    expect((await shown({ token })).get('unsigned', 'transaction_id')).toBe('t1')
    expect((await shown({ as: 'gw_alice' })).get('unsigned', 'transaction_id')).toBeUndefined()
    await own.close()
  })

  test('an event’s id tells nothing of what goes on elsewhere', async () => {
    const room = await server.room('gw_alice')
    const firstBytes = async (text: string) => {
      const id = (await server.send(room, 'gw_alice', text)).text('event_id')
      return Buffer.from(id.slice(1), 'base64url').readUIntBE(0, 6)
    }
    const before = Date.now()
    const ids = [await firstBytes('one'), await firstBytes('two')]
    // The id shows the event's time, which its readers know, but not its global number.
    for (const found of ids) expect(found).toBeWithin(before, Date.now() + 1)
  })

  test('an event has a size limit, and only appservices choose its time', async () => {
    const roomId = await server.room('gw_alice')
    const large = await server.send(roomId, 'gw_alice', 'x'.repeat(65_536))
    expect([large.status, large.get('errcode')]).toEqual([413, 'M_TOO_LARGE'])
    const path = `/rooms/${roomId}/send/m.room.message/ts`
    const sent = await server.call('PUT', path, {}, { as: 'gw_alice', query: { ts: '1234' } })
    const event = await server.call('GET', `/rooms/${roomId}/event/${sent.text('event_id')}`, undefined, {
      as: 'gw_alice',
    })
    expect(event.get('origin_server_ts')).toBe(1234)
    const { token } = await server.logIn('gw_alice')
    const own = await server.call('PUT', `${path}2`, {}, { token, query: { ts: '1234' } })
    const now = await server.call('GET', `/rooms/${roomId}/event/${own.text('event_id')}`, undefined, {
      token,
    })
    expect(now.get('origin_server_ts')).toBeGreaterThan(1234)
  })

  test('a write that shares its commit with a kick comes too late', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const [kick, send] = await Promise.all([
      put(roomId, 'm.room.member', { membership: 'leave' }, 'gw_alice', userId('gw_bob')),
      server.send(roomId, 'gw_bob', 'too late'),
    ])
    expect([kick.status, send.status]).toEqual([200, 403])
    expect((await server.send(roomId, 'gw_bob', 'still')).status).toBe(403)
  })
})

describe('redaction', () => {
  const redact = (roomId: string, eventId: string, as: string, txnId: string) =>
    server.call('PUT', `/rooms/${roomId}/redact/${eventId}/${txnId}`, { reason: 'oops' }, { as })

  test('empties the event, once per transaction, for its sender and for moderators', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob', 'gw_carol'])
    const eventId = (await server.send(roomId, 'gw_bob', 'secret')).text('event_id')
    expect((await redact(roomId, eventId, 'gw_carol', 'x')).get('errcode')).toBe('M_FORBIDDEN')
    const first = await redact(roomId, eventId, 'gw_bob', 'x')
    expect((await redact(roomId, eventId, 'gw_bob', 'x')).body).toEqual(first.body)
    const event = await server.call('GET', `/rooms/${roomId}/event/${eventId}`, undefined, { as: 'gw_carol' })
    expect(event.get('content')).toEqual({})
    expect(event.get('unsigned', 'redacted_because')).toMatchObject({
      event_id: first.text('event_id'),
      redacts: eventId,
      content: { redacts: eventId, reason: 'oops' },
    })
    const other = (await server.send(roomId, 'gw_bob', 'more')).text('event_id')
    expect((await redact(roomId, other, 'gw_alice', 'y')).status).toBe(200)
    expect((await redact(roomId, '$nothing', 'gw_alice', 'z')).status).toBe(404)
  })

  test('keeps of state what the room needs', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const member = await server.call(
      'GET',
      `/rooms/${roomId}/state/m.room.member/${userId('gw_bob')}`,
      undefined,
      { as: 'gw_alice', query: { format: 'event' } },
    )
    expect((await redact(roomId, member.text('event_id'), 'gw_alice', 'm')).status).toBe(200)
    expect((await read(roomId, 'm.room.member', 'gw_alice', userId('gw_bob'))).body).toEqual({
      membership: 'join',
    })
    expect((await server.send(roomId, 'gw_bob', 'still here')).status).toBe(200)
  })
})

describe('changes of one room in one commit', () => {
  const levels = { users: { [userId('gw_alice')]: 100, [userId('gw_bob')]: 100 } }
  /** Only the first change allows the second. */
  const changes = (roomId: string) =>
    [
      put(roomId, 'm.room.power_levels', levels, 'gw_alice'),
      put(roomId, 'm.room.topic', { topic: 'by Bob' }, 'gw_bob'),
    ] as const

  test('see each other', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const answers = await Promise.all(changes(roomId))
    expect(answers.map(answer => answer.status)).toEqual([200, 200])
  })

  test('see nothing of what was undone with another write', async () => {
    const { committer } = server
    const write = committer.write.bind(committer)
    const failing = Promise.withResolvers<unknown>()
    let writes = 0
    committer.write = work => {
      const written = write(work)
      if (++writes === 3)
        write(() => {
          throw new Error('of somebody else')
        }).catch(failing.resolve)
      return written
    }
    try {
      const roomId = await server.room('gw_alice', ['gw_bob'])
      writes = 0
      const [raised, topic, left] = await Promise.all([
        ...changes(roomId),
        post(roomId, 'leave', {}, 'gw_alice'),
      ])
      expect([raised.status, topic.status, left.status]).toEqual([200, 200, 200])
      expect(String(await failing.promise)).toContain('of somebody else')
      expect((await server.send(roomId, 'gw_alice', 'gone')).status).toBe(403)
      expect((await put(roomId, 'm.room.topic', { topic: 'again' }, 'gw_bob')).status).toBe(200)
    } finally {
      committer.write = write
    }
  })

  test('a refused one leaves nothing in the room that others go on with', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const tooMuch = { ...levels, events: { 'm.room.topic': 101 } }
    const [refused, topic] = await Promise.all([
      put(roomId, 'm.room.power_levels', tooMuch, 'gw_bob'),
      put(roomId, 'm.room.topic', { topic: 'by Alice' }, 'gw_alice'),
    ])
    expect([refused.status, topic.status]).toEqual([403, 200])
  })
})
