/** A room's past: pages, context, relations, and who may see which events. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { bodies, serverWith, type TestServer, userId } from './harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob', 'gw_carol')
})
afterAll(() => server.close())

const messages = (roomId: string, as: string, query: Record<string, string>) =>
  server.call('GET', `/rooms/${roomId}/messages`, undefined, { as, query })

describe('messages', () => {
  test('go page by page in both directions', async () => {
    const roomId = await server.room('gw_alice')
    for (let index = 0; index < 25; index++) await server.send(roomId, 'gw_alice', `m${index}`)
    const filter = JSON.stringify({ types: ['m.room.mess*'] })
    const seen: unknown[] = []
    let from: string | undefined
    for (;;) {
      const page = await messages(roomId, 'gw_alice', {
        dir: 'b',
        limit: '10',
        filter,
        ...(from ? { from } : {}),
      })
      seen.push(...bodies(page.list('chunk')))
      if (page.get('end') === undefined) break
      from = page.text('end')
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `m${24 - index}`))
    const forwards = await messages(roomId, 'gw_alice', { dir: 'f', limit: '20', filter })
    expect(bodies(forwards.list('chunk'))).toEqual(Array.from({ length: 20 }, (_, index) => `m${index}`))
    const rest = await messages(roomId, 'gw_alice', {
      dir: 'f',
      limit: '20',
      filter,
      from: forwards.text('end'),
    })
    expect(bodies(rest.list('chunk'))).toEqual(['m20', 'm21', 'm22', 'm23', 'm24'])
    expect((await messages(roomId, 'gw_alice', { dir: 'x' })).status).toBe(400)
    expect((await messages(roomId, 'gw_alice', { dir: 'b', from: 'nonsense' })).status).toBe(400)
    expect((await messages(roomId, 'gw_bob', { dir: 'b' })).get('errcode')).toBe('M_FORBIDDEN')
  })

  test.each([
    ['shared', ['before', 'invited', 'after']],
    ['invited', ['invited', 'after']],
    ['joined', ['after']],
  ])('with history visibility %s a new member sees %p', async (visibility, expected) => {
    const roomId = await server.room('gw_alice', [], {
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: visibility } }],
    })
    await server.send(roomId, 'gw_alice', 'before')
    await server.call('POST', `/rooms/${roomId}/invite`, { user_id: userId('gw_bob') }, { as: 'gw_alice' })
    await server.send(roomId, 'gw_alice', 'invited')
    await server.join(roomId, 'gw_bob')
    await server.send(roomId, 'gw_alice', 'after')
    await server.call('POST', `/rooms/${roomId}/leave`, {}, { as: 'gw_bob' })
    const gone = (await server.send(roomId, 'gw_alice', 'gone')).text('event_id')
    const page = await messages(roomId, 'gw_bob', { dir: 'f', limit: '50' })
    expect(bodies(page.list('chunk'))).toEqual(expected)
    const event = await server.call('GET', `/rooms/${roomId}/event/${gone}`, undefined, { as: 'gw_bob' })
    expect(event.get('errcode')).toBe('M_NOT_FOUND')
  })
})

test('context surrounds an event', async () => {
  const roomId = await server.room('gw_alice')
  const ids: string[] = []
  for (let index = 0; index < 7; index++)
    ids.push((await server.send(roomId, 'gw_alice', `c${index}`)).text('event_id'))
  const context = await server.call('GET', `/rooms/${roomId}/context/${ids[3]}`, undefined, {
    as: 'gw_alice',
    query: { limit: '4' },
  })
  expect(context.get('event', 'event_id')).toBe(ids[3])
  expect(bodies(context.list('events_before'))).toEqual(['c2', 'c1'])
  expect(bodies(context.list('events_after'))).toEqual(['c4', 'c5'])
  expect(context.list('state').length).toBeGreaterThan(4)
  const back = await messages(roomId, 'gw_alice', { dir: 'b', from: context.text('start'), limit: '1' })
  expect(bodies(back.list('chunk'))).toEqual(['c0'])
})

test('relations are found by kind and type', async () => {
  const roomId = await server.room('gw_alice', ['gw_bob'])
  const parent = (await server.send(roomId, 'gw_alice', 'hello')).text('event_id')
  const relate = (type: string, rel_type: string, txn: string) =>
    server.call(
      'PUT',
      `/rooms/${roomId}/send/${type}/${txn}`,
      { 'm.relates_to': { event_id: parent, rel_type, key: `👍 ${txn}` } },
      { as: 'gw_bob' },
    )
  await relate('m.reaction', 'm.annotation', 'a')
  await relate('m.room.message', 'm.replace', 'b')
  await relate('m.reaction', 'm.annotation', 'c')
  const find = (rest: string, query: Record<string, string> = {}) =>
    server.call('GET', `/_matrix/client/v1/rooms/${roomId}/relations/${parent}${rest}`, undefined, {
      as: 'gw_alice',
      query,
    })
  expect((await find('')).list('chunk')).toHaveLength(3)
  expect((await find('/m.annotation')).list('chunk')).toHaveLength(2)
  expect((await find('/m.replace/m.room.message')).list('chunk')).toHaveLength(1)
  expect((await find('/m.replace/m.reaction')).list('chunk')).toHaveLength(0)
  const first = await find('', { limit: '2' })
  const second = await find('', { limit: '2', from: first.text('next_batch') })
  expect([first.list('chunk').length, second.list('chunk').length]).toEqual([2, 1])
  const idsOf = (page: typeof first) => page.list('chunk').map(event => event.event_id)
  const oldest = await find('', { dir: 'f', limit: '2' })
  const newest = await find('', { dir: 'f', limit: '2', from: oldest.text('next_batch') })
  expect([...idsOf(oldest), ...idsOf(newest)]).toEqual([...idsOf(first), ...idsOf(second)].reverse())
})

test('the same reaction twice is M_DUPLICATE_ANNOTATION, until the first is taken back', async () => {
  const roomId = await server.room('gw_alice', ['gw_bob'])
  const parent = (await server.send(roomId, 'gw_alice', 'hello')).text('event_id')
  const react = (txn: string, as: string, key = '👍') => {
    const content = { 'm.relates_to': { event_id: parent, rel_type: 'm.annotation', key } }
    return server.call('PUT', `/rooms/${roomId}/send/m.reaction/${txn}`, content, { as })
  }
  const first = await react('r1', 'gw_bob')
  expect((await react('r1', 'gw_bob')).text('event_id')).toBe(first.text('event_id'))
  const again = await react('r2', 'gw_bob')
  expect([again.status, again.get('errcode')]).toEqual([400, 'M_DUPLICATE_ANNOTATION'])
  expect((await react('r3', 'gw_bob', '🎉')).status).toBe(200)
  expect((await react('r4', 'gw_alice')).status).toBe(200)
  await server.call('PUT', `/rooms/${roomId}/redact/${first.text('event_id')}/r5`, {}, { as: 'gw_bob' })
  expect((await react('r6', 'gw_bob')).status).toBe(200)
})

test('threads are told by their roots, the one that was answered last first', async () => {
  const roomId = await server.room('gw_alice', ['gw_bob'])
  const roots: string[] = []
  for (const body of ['a', 'b', 'c'])
    roots.push((await server.send(roomId, 'gw_alice', body)).text('event_id'))
  const reply = (root: number, as: string, txn: string) => {
    const content = { body: txn, 'm.relates_to': { event_id: roots[root], rel_type: 'm.thread' } }
    return server.call('PUT', `/rooms/${roomId}/send/m.room.message/${txn}`, content, { as })
  }
  await reply(1, 'gw_bob', 't1')
  await reply(0, 'gw_alice', 't2')
  await reply(1, 'gw_alice', 't3')
  const threads = (query: Record<string, string>) =>
    server.call('GET', `/_matrix/client/v1/rooms/${roomId}/threads`, undefined, { as: 'gw_bob', query })
  expect(bodies((await threads({})).list('chunk'))).toEqual(['b', 'a'])
  expect(bodies((await threads({ include: 'participated' })).list('chunk'))).toEqual(['b'])
  const page = await threads({ limit: '1' })
  expect(bodies(page.list('chunk'))).toEqual(['b'])
  const rest = await threads({ from: page.text('next_batch') })
  expect([bodies(rest.list('chunk')), rest.get('next_batch')]).toEqual([['a'], undefined])
})
