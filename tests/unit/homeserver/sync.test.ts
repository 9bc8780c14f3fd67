/** The semantics of /sync. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Answer, bodies, dig, serverWith, type TestServer, userId } from './harness.ts'

let server: TestServer
const tokens: Record<string, string> = {}
beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob', 'gw_carol')
  for (const user of ['gw_alice', 'gw_bob', 'gw_carol']) tokens[user] = (await server.logIn(user)).token
})
afterAll(() => server.close())

function sync(user: string, query: Record<string, string> = {}, signal?: AbortSignal): Promise<Answer> {
  return server.call('GET', '/sync', undefined, {
    token: tokens[user] ?? '',
    query,
    ...(signal ? { signal } : {}),
  })
}

const next = async (user: string) => (await sync(user)).text('next_batch')
const types = (answer: Answer, ...path: string[]) => answer.list(...path).map(event => event.type)

describe('an initial sync', () => {
  test('has each room with its state before the timeline', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'], { name: 'Room' })
    for (let index = 0; index < 12; index++) await server.send(roomId, 'gw_bob', `m${index}`)
    const answer = await sync('gw_alice')
    const path = ['rooms', 'join', roomId]
    expect(bodies(answer.list(...path, 'timeline', 'events'))).toEqual(
      Array.from({ length: 10 }, (_, index) => `m${index + 2}`),
    )
    expect(answer.get(...path, 'timeline', 'limited')).toBe(true)
    expect(types(answer, ...path, 'state', 'events')).toContain('m.room.create')
    expect(types(answer, ...path, 'state', 'events').filter(type => type === 'm.room.member')).toHaveLength(2)
    expect(answer.get(...path, 'summary')).toEqual({
      'm.heroes': [userId('gw_bob')],
      'm.joined_member_count': 2,
      'm.invited_member_count': 0,
    })
    expect(types(answer, 'account_data', 'events')).toContain('m.push_rules')
    const back = await server.call('GET', `/rooms/${roomId}/messages`, undefined, {
      as: 'gw_alice',
      query: { dir: 'b', from: answer.text(...path, 'timeline', 'prev_batch'), limit: '2' },
    })
    expect(bodies(back.list('chunk'))).toEqual(['m1', 'm0'])
  })

  test('obeys its filter', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob', 'gw_carol'])
    await server.send(roomId, 'gw_bob', 'hello')
    const filter = {
      room: { timeline: { limit: 1, types: ['m.room.message'] }, state: { lazy_load_members: true } },
    }
    const stored = await server.call('POST', `/user/${userId('gw_alice')}/filter`, filter, { as: 'gw_alice' })
    const read = await server.call(
      'GET',
      `/user/${userId('gw_alice')}/filter/${stored.text('filter_id')}`,
      undefined,
      { as: 'gw_alice' },
    )
    expect(read.body).toEqual(filter)
    for (const text of [JSON.stringify(filter), stored.text('filter_id')]) {
      const answer = await sync('gw_alice', { filter: text })
      expect(bodies(answer.list('rooms', 'join', roomId, 'timeline', 'events'))).toEqual(['hello'])
      const members = answer
        .list('rooms', 'join', roomId, 'state', 'events')
        .filter(event => event.type === 'm.room.member')
        .map(event => event.state_key)
      expect(members).toEqual(['gw_alice', 'gw_bob'].map(userId))
    }
    const only = await sync('gw_alice', { filter: JSON.stringify({ room: { rooms: [roomId] } }) })
    expect(Object.keys(only.get('rooms', 'join') as object)).toEqual([roomId])
    expect((await sync('gw_alice', { filter: '999999' })).status).toBe(400)
    expect((await sync('gw_alice', { filter: '{"room": 1}' })).get('errcode')).toBe('M_BAD_JSON')
  })
})

describe('an incremental sync', () => {
  test('has only what is new, and the state of a gap', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const since = await next('gw_alice')
    expect((await sync('gw_alice', { since })).get('rooms')).toBeUndefined()
    await server.send(roomId, 'gw_bob', 'one')
    const one = await sync('gw_alice', { since })
    const path = ['rooms', 'join', roomId]
    expect(bodies(one.list(...path, 'timeline', 'events'))).toEqual(['one'])
    expect(one.get(...path, 'timeline', 'limited')).toBe(false)
    expect(one.list(...path, 'state', 'events')).toEqual([])
    await server.call('PUT', `/rooms/${roomId}/state/m.room.name`, { name: 'New' }, { as: 'gw_alice' })
    for (let index = 0; index < 15; index++) await server.send(roomId, 'gw_bob', `g${index}`)
    const gap = await sync('gw_alice', { since: one.text('next_batch') })
    expect(gap.get(...path, 'timeline', 'limited')).toBe(true)
    expect(bodies(gap.list(...path, 'timeline', 'events'))[0]).toBe('g5')
    expect(gap.list(...path, 'state', 'events').map(event => event.content)).toEqual([{ name: 'New' }])
    const full = await sync('gw_alice', { since: gap.text('next_batch'), full_state: 'true' })
    expect(types(full, ...path, 'state', 'events')).toContain('m.room.create')
  })

  test('shows an invite, the room once joined, and its end', async () => {
    const roomId = await server.room('gw_alice', [], { name: 'Invited' })
    await server.send(roomId, 'gw_alice', 'early')
    const start = await next('gw_carol')
    await server.call('POST', `/rooms/${roomId}/invite`, { user_id: userId('gw_carol') }, { as: 'gw_alice' })
    const invited = await sync('gw_carol', { since: start })
    const preview = invited.list('rooms', 'invite', roomId, 'invite_state', 'events')
    expect(preview.find(event => event.type === 'm.room.name')?.content).toEqual({ name: 'Invited' })
    expect(preview.find(event => event.state_key === userId('gw_carol'))?.sender).toBe(userId('gw_alice'))
    await server.join(roomId, 'gw_carol')
    const joined = await sync('gw_carol', { since: invited.text('next_batch') })
    expect(bodies(joined.list('rooms', 'join', roomId, 'timeline', 'events'))).toEqual(['early'])
    await server.send(roomId, 'gw_alice', 'last')
    await server.call('POST', `/rooms/${roomId}/kick`, { user_id: userId('gw_carol') }, { as: 'gw_alice' })
    await server.send(roomId, 'gw_alice', 'unseen')
    const left = await sync('gw_carol', { since: joined.text('next_batch') })
    expect(left.get('rooms', 'join')).toBeUndefined()
    const events = left.list('rooms', 'leave', roomId, 'timeline', 'events')
    expect(bodies(events)).toEqual(['last'])
    expect(dig(events.at(-1), 'content', 'membership')).toBe('leave')
    expect((await sync('gw_carol', { since: left.text('next_batch') })).get('rooms')).toBeUndefined()
    expect((await sync('gw_carol')).get('rooms', 'leave', roomId)).toBeUndefined()
  })

  test('has receipts, typing, account data and tags', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const eventId = (await server.send(roomId, 'gw_alice', 'read me')).text('event_id')
    const since = await next('gw_alice')
    const as = 'gw_bob'
    await server.call('POST', `/rooms/${roomId}/receipt/m.read/${eventId}`, {}, { as })
    await server.call('POST', `/rooms/${roomId}/receipt/m.read.private/${eventId}`, {}, { as })
    await server.call(
      'PUT',
      `/rooms/${roomId}/typing/${userId(as)}`,
      { typing: true, timeout: 30_000 },
      { as },
    )
    const seen = await sync('gw_alice', { since })
    const ephemeral = seen.list('rooms', 'join', roomId, 'ephemeral', 'events')
    expect(dig(ephemeral[0], 'content', eventId, 'm.read', userId(as), 'ts')).toBeNumber()
    expect(dig(ephemeral[0], 'content', eventId, 'm.read.private')).toBeUndefined()
    expect(ephemeral[1]).toEqual({ type: 'm.typing', content: { user_ids: [userId(as)] } })
    await server.call('PUT', `/rooms/${roomId}/typing/${userId(as)}`, { typing: false }, { as })
    const stopped = await sync('gw_alice', { since: seen.text('next_batch') })
    expect(stopped.list('rooms', 'join', roomId, 'ephemeral', 'events')).toEqual([
      { type: 'm.typing', content: { user_ids: [] } },
    ])
    const mine = await next('gw_alice')
    const own = `/user/${userId('gw_alice')}`
    const alice = { as: 'gw_alice' }
    await server.call('PUT', `${own}/account_data/com.example`, { a: 1 }, alice)
    await server.call('PUT', `${own}/rooms/${roomId}/account_data/com.room`, { b: 2 }, alice)
    await server.call('PUT', `${own}/rooms/${roomId}/tags/m.favourite`, { order: 0.5 }, alice)
    await server.call(
      'POST',
      `/rooms/${roomId}/read_markers`,
      { 'm.fully_read': eventId, 'm.read': eventId },
      alice,
    )
    const data = await sync('gw_alice', { since: mine })
    expect(data.list('account_data', 'events')).toEqual([{ type: 'com.example', content: { a: 1 } }])
    expect(data.list('rooms', 'join', roomId, 'account_data', 'events')).toEqual([
      { type: 'com.room', content: { b: 2 } },
      { type: 'm.tag', content: { tags: { 'm.favourite': { order: 0.5 } } } },
      { type: 'm.fully_read', content: { event_id: eventId } },
    ])
    expect((await server.call('GET', `${own}/account_data/com.example`, undefined, alice)).body).toEqual({
      a: 1,
    })
    expect((await server.call('GET', `${own}/account_data/com.no`, undefined, alice)).status).toBe(404)
    expect((await server.call('GET', `${own}/account_data/com.example`, undefined, { as })).status).toBe(403)
    await server.call('DELETE', `${own}/rooms/${roomId}/tags/m.favourite`, undefined, alice)
    expect((await server.call('GET', `${own}/rooms/${roomId}/tags`, undefined, alice)).body).toEqual({
      tags: {},
    })
  })
})

describe('a long poll', () => {
  test('wakes for an event, an invite and a receipt', async () => {
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const since = await next('gw_alice')
    const waiting = sync('gw_alice', { since, timeout: '30000' })
    const eventId = (await server.send(roomId, 'gw_bob', 'wake up')).text('event_id')
    const woken = await waiting
    expect(bodies(woken.list('rooms', 'join', roomId, 'timeline', 'events'))).toEqual(['wake up'])
    const receipt = sync('gw_alice', { since: woken.text('next_batch'), timeout: '30000' })
    await server.call('POST', `/rooms/${roomId}/receipt/m.read/${eventId}`, {}, { as: 'gw_bob' })
    expect(types(await receipt, 'rooms', 'join', roomId, 'ephemeral', 'events')).toEqual(['m.receipt'])
    const invite = sync('gw_carol', { since: await next('gw_carol'), timeout: '30000' })
    const other = await server.room('gw_alice', [], { invite: [userId('gw_carol')] })
    expect((await invite).get('rooms', 'invite', other)).toBeDefined()
  })

  test('ends empty after its time, with the request, and when the server stops', async () => {
    const own = await serverWith('gw_dora')
    const { token } = await own.logIn('gw_dora')
    const poll = (timeout: string, signal?: AbortSignal) =>
      own.call('GET', '/sync', undefined, { token, query: { since, timeout }, ...(signal ? { signal } : {}) })
    const since = (await own.call('GET', '/sync', undefined, { token })).text('next_batch')
    expect((await poll('20')).get('rooms')).toBeUndefined()
    const controller = new AbortController()
    const aborted = poll('30000', controller.signal)
    await new Promise(resolve => setImmediate(resolve))
    controller.abort()
    expect((await aborted).status).toBe(200)
    const stopped = poll('30000')
    await new Promise(resolve => setImmediate(resolve))
    await own.close()
    expect((await stopped).text('next_batch')).toBe(since)
  })

  test('a token survives a restart', async () => {
    const own = await serverWith('gw_dora', 'gw_emil')
    const { token } = await own.logIn('gw_dora')
    const roomId = await own.room('gw_emil', ['gw_dora'])
    const since = (await own.call('GET', '/sync', undefined, { token })).text('next_batch')
    await own.send(roomId, 'gw_emil', 'before')
    await own.restart({ graceful: false })
    await own.appservice('gw')
    await own.send(roomId, 'gw_emil', 'after')
    const answer = await own.call('GET', '/sync', undefined, { token, query: { since } })
    expect(bodies(answer.list('rooms', 'join', roomId, 'timeline', 'events'))).toEqual(['before', 'after'])
    await own.close()
  })
})

describe('encryption', () => {
  test('keys are published, found and claimed once; messages reach the device', async () => {
    const bob = await server.logIn('gw_bob')
    const alice = await server.logIn('gw_alice')
    const roomId = await server.room('gw_alice', ['gw_bob'])
    const at = { token: bob.token }
    const start = (await server.call('GET', '/sync', undefined, { token: alice.token })).text('next_batch')
    const device_keys = {
      user_id: userId('gw_bob'),
      device_id: bob.deviceId,
      algorithms: [],
      keys: {},
      signatures: {},
    }
    const upload = {
      device_keys,
      one_time_keys: { 'signed_curve25519:A': { key: 'a' } },
      fallback_keys: { 'signed_curve25519:F': { key: 'f', fallback: true } },
    }
    expect((await server.call('POST', '/keys/upload', upload, at)).get('one_time_key_counts')).toEqual({
      signed_curve25519: 1,
    })
    const changed = await server.call('GET', '/sync', undefined, {
      token: alice.token,
      query: { since: start },
    })
    expect(changed.get('device_lists', 'changed')).toEqual([userId('gw_bob')])
    const found = await server.call(
      'POST',
      '/keys/query',
      { device_keys: { [userId('gw_bob')]: [] } },
      { token: alice.token },
    )
    expect(found.get('device_keys', userId('gw_bob'), bob.deviceId)).toMatchObject(device_keys)
    const claim = async () => {
      const body = { one_time_keys: { [userId('gw_bob')]: { [bob.deviceId]: 'signed_curve25519' } } }
      const answer = await server.call('POST', '/keys/claim', body, { token: alice.token })
      return answer.get('one_time_keys', userId('gw_bob'), bob.deviceId)
    }
    expect(await claim()).toEqual({ 'signed_curve25519:A': { key: 'a' } })
    expect(await claim()).toEqual({ 'signed_curve25519:F': { key: 'f', fallback: true } })
    const since = (await server.call('GET', '/sync', undefined, at)).text('next_batch')
    const messages = { [userId('gw_bob')]: { '*': { secret: 1 } } }
    for (let attempt = 0; attempt < 2; attempt++)
      await server.call('PUT', '/sendToDevice/m.room.encrypted/x1', { messages }, { token: alice.token })
    const got = await server.call('GET', '/sync', undefined, { ...at, query: { since } })
    expect(got.get('to_device', 'events')).toEqual([
      { sender: userId('gw_alice'), type: 'm.room.encrypted', content: { secret: 1 } },
    ])
    const after = await server.call('GET', '/sync', undefined, {
      ...at,
      query: { since: got.text('next_batch') },
    })
    expect(after.get('to_device')).toBeUndefined()
    expect(after.get('device_unused_fallback_key_types')).toEqual([])
    expect(roomId).toBeString()
  })

  test('of many messages to a device none is lost, and a sync ends where its messages do', async () => {
    const { token, deviceId } = await server.logIn('gw_carol')
    const get = (since: string) => server.call('GET', '/sync', undefined, { token, query: { since } })
    const roomId = await server.room('gw_alice', ['gw_carol'])
    const start = (await server.call('GET', '/sync', undefined, { token })).text('next_batch')
    for (let at = 0; at < 150; at++) {
      const messages = { [userId('gw_carol')]: { [deviceId]: { at } } }
      await server.call('PUT', `/sendToDevice/m.test/many${at}`, { messages }, { as: 'gw_alice' })
    }
    await server.call('POST', `/rooms/${roomId}/leave`, {}, { as: 'gw_carol' })
    const first = await get(start)
    const second = await get(first.text('next_batch'))
    const got = [first, second].map(answer => answer.list('to_device', 'events'))
    expect(got.flat().map(({ content }) => dig(content, 'at'))).toEqual(
      Array.from({ length: 150 }, (_, at) => at),
    )
    expect(first.get('rooms', 'leave', roomId)).toBeUndefined()
    expect(second.get('rooms', 'leave', roomId)).toBeDefined()
  })

  test('keys of strangers are nobody’s business', async () => {
    const { token } = await server.logIn('gw_alice')
    await server.users(['gw_stranger'])
    const stranger = await server.logIn('gw_stranger')
    const since = (await server.call('GET', '/sync', undefined, { token })).text('next_batch')
    const device_keys = { user_id: userId('gw_stranger'), device_id: stranger.deviceId }
    await server.call('POST', '/keys/upload', { device_keys }, { token: stranger.token })
    const answer = await server.call('GET', '/sync', undefined, { token, query: { since } })
    expect(answer.get('device_lists')).toBeUndefined()
  })

  test('cross-signing keys and signatures are kept', async () => {
    const { token } = await server.logIn('gw_alice')
    const user_id = userId('gw_alice')
    const master_key = { user_id, usage: ['master'], keys: { 'ed25519:M': 'M' } }
    expect((await server.call('POST', '/keys/device_signing/upload', { master_key }, { token })).status).toBe(
      200,
    )
    const signed = { ...master_key, signatures: { [user_id]: { 'ed25519:DEV': 'sig' } } }
    await server.call('POST', '/keys/signatures/upload', { [user_id]: { M: signed } }, { token })
    const found = await server.call('POST', '/keys/query', { device_keys: { [user_id]: [] } }, { token })
    expect(found.get('master_keys', user_id)).toEqual(signed)
  })
})
