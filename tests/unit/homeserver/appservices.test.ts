/** The server pushes events to appservices in order and once, whatever happens. */
import { afterEach, describe, expect, test } from 'bun:test'
import { bodies, dig, FakeAppservice, serverWith, TestServer, until, userId } from './harness.ts'

let open: TestServer[] = []
afterEach(async () => {
  await Promise.all(open.map(server => server.close()))
  open = []
})

async function setUp(): Promise<{
  server: TestServer
  gw: FakeAppservice
  wa: FakeAppservice
  roomId: string
}> {
  const server = new TestServer()
  open.push(server)
  const gw = new FakeAppservice()
  const wa = new FakeAppservice()
  await register(server, gw, wa)
  server.hs.start()
  await server.users(['gw_alice'])
  await server.users(['wa_1'], 'as_wa')
  const roomId = await server.room('gw_alice', [], { name: 'Chat', invite: [userId('wa_1')] })
  await server.join(roomId, 'wa_1', 'as_wa')
  return { server, gw, wa, roomId }
}

async function register(server: TestServer, gw: FakeAppservice, wa: FakeAppservice): Promise<void> {
  await server.appservice('gw', { deliver: gw.deliver, receiveEphemeral: true })
  await server.appservice('wa', { deliver: wa.deliver })
}

const messagesOf = (appservice: FakeAppservice) => bodies(appservice.events)

describe('puppets', () => {
  const puppets = [{ regex: userId('gw_.*'), exclusive: false }]
  const namespaces = { users: [{ regex: userId('wa_.*'), exclusive: true }], puppets }

  test('are spoken for by an appservice that is not told of their other rooms', async () => {
    const { server, gw, wa, roomId } = await setUp()
    await server.appservice('wa', { deliver: wa.deliver, namespaces })
    const asPuppet = { as: 'gw_alice', token: 'as_wa' }
    expect(await server.call('GET', '/account/whoami', undefined, asPuppet)).toMatchObject({
      body: { user_id: userId('gw_alice') },
    })
    const said = { msgtype: 'm.text', body: 'from the phone' }
    await server.call('PUT', `/rooms/${roomId}/send/m.room.message/1`, said, asPuppet)
    await server.send(await server.room('gw_alice'), 'gw_alice', 'private')
    await until(() => messagesOf(gw).includes('private'), 'gw has both')
    expect(gw.events.find(event => dig(event, 'content', 'body') === said.body)?.sender).toBe(
      userId('gw_alice'),
    )
    await server.send(roomId, 'gw_alice', 'the end')
    await until(() => messagesOf(wa).includes('the end'), 'wa has its own room')
    expect(messagesOf(wa)).toEqual([said.body, 'the end'])
  })

  test('are nobody else’s: other users stay out of reach, and their names are not claimed', async () => {
    const { server, wa } = await setUp()
    await server.appservice('wa', { deliver: wa.deliver, namespaces })
    await server.users(['gw_bob'])
    const stranger = { as: 'gwbot', token: 'as_wa' }
    expect((await server.call('GET', '/account/whoami', undefined, stranger)).status).toBe(403)
  })
})

describe('transactions', () => {
  test('carry every event of interest, in order, with the homeserver token', async () => {
    const { server, gw, wa, roomId } = await setUp()
    await Promise.all(Array.from({ length: 500 }, (_, index) => server.send(roomId, 'gw_alice', `m${index}`)))
    const expected = Array.from({ length: 500 }, (_, index) => `m${index}`)
    await until(() => messagesOf(wa).length === 500 && messagesOf(gw).length === 500, 'both have all')
    expect(messagesOf(wa)).toEqual(expected)
    expect(messagesOf(gw)).toEqual(expected)
    expect(new Set(wa.received.map(({ txnId }) => txnId)).size).toBe(wa.received.length)
    expect(wa.received[0]?.authorization).toBe('Bearer hs_wa')
    const invite = wa.events.find(event => dig(event, 'content', 'membership') === 'invite')
    const preview = dig(invite, 'unsigned', 'invite_room_state') as { type: string; content: unknown }[]
    expect(preview.find(event => event.type === 'm.room.name')?.content).toEqual({ name: 'Chat' })
    expect(wa.events.some(event => event.type === 'm.room.create')).toBe(false)
    expect(gw.events[0]?.type).toBe('m.room.create')
  })

  test('leave out rooms that are none of the appservice', async () => {
    const { server, gw, wa } = await setUp()
    const other = await server.room('gw_alice')
    await server.send(other, 'gw_alice', 'private')
    await until(() => messagesOf(gw).includes('private'), 'gw has it')
    expect(messagesOf(wa)).toEqual([])
  })

  test('are repeated unchanged until they are acknowledged, without delaying others', async () => {
    const { server, gw, wa, roomId } = await setUp()
    await until(() => wa.events.length >= 2 && gw.events.length >= 8, 'settled')
    const before = wa.received.length
    wa.answers = [500, 502]
    await server.send(roomId, 'gw_alice', 'one')
    await until(() => wa.received.length > before, 'first attempt')
    await server.send(roomId, 'gw_alice', 'two')
    await until(() => messagesOf(gw).includes('two'), 'gw is not delayed')
    await until(() => messagesOf(wa).includes('two'), 'wa got over it')
    const attempts = wa.received.slice(before)
    expect(attempts.slice(0, 3).map(({ txnId }) => txnId)).toEqual(
      Array<string>(3).fill(attempts[0]?.txnId ?? ''),
    )
    expect(attempts[1]?.body).toEqual(attempts[0]?.body ?? {})
    expect(attempts.slice(0, 4).map(({ body }) => bodies(body.events as [])[0])).toEqual([
      'one',
      'one',
      'one',
      'two',
    ])
  })

  test.each([413, 400])('of which one event is refused for good (%i) hold up no other', async status => {
    const { server, wa, roomId } = await setUp()
    const stalled: PromiseWithResolvers<void> = Promise.withResolvers()
    const refusing = async (request: Request) => {
      await stalled.promise
      const isPoisoned = (await request.clone().text()).includes('poison')
      return isPoisoned ? Response.json({}, { status }) : wa.deliver(request)
    }
    await server.appservice('wa', { deliver: refusing })
    for (const text of ['one', 'two', 'poison', 'three']) await server.send(roomId, 'gw_alice', text)
    stalled.resolve()
    await until(() => messagesOf(wa).includes('three'), 'wa has what can be taken')
    await server.send(roomId, 'gw_alice', 'four')
    await until(() => messagesOf(wa).includes('four'), 'wa goes on')
    expect(messagesOf(wa)).toEqual(['one', 'two', 'three', 'four'])
    expect(new Set(wa.received.map(({ txnId }) => txnId)).size).toBe(wa.received.length)
  })

  test('that are refused twice, and then taken, are given up by nobody', async () => {
    const { server, gw, wa, roomId } = await setUp()
    await until(() => wa.events.length >= 2 && gw.events.length >= 8, 'settled')
    const before = wa.received.length
    wa.answers = [400, 413]
    await server.send(roomId, 'gw_alice', 'one')
    await server.send(roomId, 'gw_alice', 'two')
    await until(() => messagesOf(wa).includes('two'), 'wa got over it')
    const attempts = wa.received.slice(before)
    expect(attempts.map(({ body }) => bodies(body.events as [])[0])).toEqual(['one', 'one', 'one', 'two'])
  })

  test('hold a megabyte at most', async () => {
    const { server, wa, roomId } = await setUp()
    const stalled: PromiseWithResolvers<void> = Promise.withResolvers()
    const deliver = (request: Request) => stalled.promise.then(() => wa.deliver(request))
    await server.appservice('wa', { deliver })
    const texts = Array.from({ length: 40 }, (_, at) => `${at} ${'x'.repeat(60_000)}`)
    for (const text of texts) await server.send(roomId, 'gw_alice', text)
    stalled.resolve()
    await until(() => messagesOf(wa).length === texts.length, 'wa has all')
    expect(messagesOf(wa)).toEqual(texts)
    for (const { body } of wa.received) expect(JSON.stringify(body).length).toBeLessThan(1.2 * 1024 * 1024)
  })

  test('wait until their application service may be sent any', async () => {
    const { server, wa, roomId } = await setUp()
    const ready: PromiseWithResolvers<void> = Promise.withResolvers()
    let isReady = false
    const early: boolean[] = []
    const deliver = (request: Request) => {
      early.push(!isReady)
      return wa.deliver(request)
    }
    await server.appservice('wa', { deliver, untilReady: () => ready.promise })
    await server.send(roomId, 'gw_alice', 'one')
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    isReady = true
    ready.resolve()
    await until(() => messagesOf(wa).includes('one'), 'wa is ready')
    expect(early).not.toContain(true)
  })

  test('that are refused as by a stranger wait', async () => {
    const { server, gw, wa, roomId } = await setUp()
    wa.answers = [401, 403, 404, 401, 403]
    for (const text of ['one', 'two']) await server.send(roomId, 'gw_alice', text)
    await until(() => messagesOf(gw).includes('two') && wa.answers.length === 0, 'wa knows us again')
    await until(() => messagesOf(wa).includes('two'), 'wa has both')
    expect(new Set(messagesOf(wa))).toEqual(new Set(['one', 'two']))
  })

  test('continue after a crash with the same id and events, and without what was acknowledged', async () => {
    const { server, gw, wa, roomId } = await setUp()
    await server.send(roomId, 'gw_alice', 'done')
    await until(() => messagesOf(wa).includes('done') && messagesOf(gw).includes('done'), 'delivered')
    wa.answers = Array(100).fill(500)
    await server.send(roomId, 'gw_alice', 'stuck')
    await until(() => messagesOf(wa).includes('stuck'), 'an attempt')
    const stuck = wa.received.at(-1)
    await server.send(roomId, 'gw_alice', 'behind')
    const old = server.hs
    await server.restart({ graceful: false })
    await old.stop()
    const gwAfter = new FakeAppservice()
    const waAfter = new FakeAppservice()
    await register(server, gwAfter, waAfter)
    server.hs.start()
    await until(() => messagesOf(waAfter).includes('behind'), 'the rest')
    expect(messagesOf(waAfter)).toEqual(['stuck', 'behind'])
    expect(waAfter.received[0]?.txnId).toBe(stuck?.txnId ?? '')
    const ids = (received: typeof stuck) =>
      ((received?.body.events ?? []) as { event_id: string }[]).map(event => event.event_id)
    expect(ids(waAfter.received[0])).toEqual(ids(stuck))
    expect(messagesOf(gwAfter)).not.toContain('done')
  })

  test('wait for an appservice that is not there, and go on when it is registered again', async () => {
    const { server, gw, wa, roomId } = await setUp()
    await until(() => gw.events.length >= 8 && wa.events.length >= 2, 'settled')
    await server.restart()
    const gwAfter = new FakeAppservice()
    await server.appservice('gw', { deliver: gwAfter.deliver })
    server.hs.start()
    await server.send(roomId, 'gw_alice', 'meanwhile')
    await until(() => messagesOf(gwAfter).includes('meanwhile'), 'gw has it')
    const waAfter = new FakeAppservice()
    await server.appservice('wa', { deliver: waAfter.deliver })
    await until(() => messagesOf(waAfter).includes('meanwhile'), 'wa has it')
    expect(messagesOf(waAfter)).toEqual(['meanwhile'])
  })

  test('end with the registration; a new one starts at the end of the stream', async () => {
    const { server, gw, roomId } = await setUp()
    await server.hs.removeAppservice('wa')
    await server.send(roomId, 'gw_alice', 'nobody')
    await until(() => messagesOf(gw).includes('nobody'), 'gw has it')
    const again = new FakeAppservice()
    await server.appservice('wa', { deliver: again.deliver })
    await server.send(roomId, 'gw_alice', 'somebody')
    await until(() => again.events.length > 0, 'wa has it')
    expect(messagesOf(again)).toEqual(['somebody'])
  })
})

describe('ephemeral events', () => {
  test('name any event, also one called like what every object has', async () => {
    const { server, gw, roomId } = await setUp()
    const options = { as: 'wa_1', token: 'as_wa' }
    await server.call('POST', `/rooms/${roomId}/receipt/m.read/__proto__`, {}, options)
    await until(() => gw.ephemeral.some(event => event.type === 'm.receipt'), 'a receipt')
    expect('m.read' in {}).toBe(false)
  })

  test('reach those that want them', async () => {
    const { server, gw, wa, roomId } = await setUp()
    const eventId = (await server.send(roomId, 'gw_alice', 'hi')).text('event_id')
    const options = { as: 'wa_1', token: 'as_wa' }
    await server.call('POST', `/rooms/${roomId}/receipt/m.read/${eventId}`, {}, options)
    await server.call('POST', `/rooms/${roomId}/receipt/m.read.private/${eventId}`, {}, options)
    await server.call('PUT', `/rooms/${roomId}/typing/${userId('wa_1')}`, { typing: true }, options)
    await until(() => gw.ephemeral.some(event => event.type === 'm.typing'), 'typing')
    const receipt = gw.ephemeral.find(event => event.type === 'm.receipt')
    expect(receipt?.room_id).toBe(roomId)
    expect(dig(receipt, 'content', eventId, 'm.read', userId('wa_1'), 'ts')).toBeNumber()
    expect(JSON.stringify(gw.ephemeral)).not.toContain('m.read.private')
    expect(gw.ephemeral).toContainEqual({
      type: 'm.typing',
      room_id: roomId,
      content: { user_ids: [userId('wa_1')] },
    })
    expect(wa.ephemeral).toEqual([])
    expect(gw.received.at(-1)?.body).toHaveProperty(['de.sorunome.msc2409.ephemeral'])
  })
})

test('more receipts than one transaction takes come in several', async () => {
  const { server, gw, wa, roomId } = await setUp()
  const sent = (await server.send(roomId, 'gw_alice', 'read by many')).text('event_id')
  await until(() => messagesOf(gw).length === 1, 'settled')
  await server.restart()
  server.db.run(
    `INSERT INTO hs_receipts (room, user_id, receipt_type, thread_id, event_id, ts, stream_id)
     SELECT e.room, '@gw_' || n.value || ':hs.test', 'm.read', '', e.event_id, 1, e.stream_id + 1 + n.value
     FROM hs_events e, json_each(?) n WHERE e.event_id = ?`,
    [JSON.stringify(Array.from({ length: 1_500 }, (_, at) => at)), sent],
  )
  await server.restart()
  await register(server, gw, wa)
  server.hs.start()
  const readers = () =>
    gw.ephemeral.flatMap(event => Object.keys(dig(event, 'content', sent, 'm.read') as object))
  await until(() => readers().length >= 1_500, 'all receipts')
  expect(new Set(readers()).size).toBe(1_500)
})

describe('over HTTP', () => {
  test('a refused connection is tried again, and a ping resumes at once', async () => {
    const server = await serverWith('gw_alice')
    open.push(server)
    const remote = new FakeAppservice()
    let http = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: remote.deliver })
    const { port } = http
    await http.stop(true)
    const url = `http://127.0.0.1:${port}`
    await server.appservice('wa', { url })
    server.hs.start()
    await server.users(['wa_1'], 'as_wa')
    const roomId = await server.room('gw_alice', [], { invite: [userId('wa_1')] })
    const ping = (token = 'as_wa', body: object = { transaction_id: 'p1' }) =>
      server.call('POST', '/_matrix/client/v1/appservice/wa/ping', body, { token })
    const refused = await ping()
    expect([refused.status, refused.get('errcode')]).toEqual([502, 'M_CONNECTION_FAILED'])
    http = Bun.serve({ port: port ?? 0, hostname: '127.0.0.1', fetch: remote.deliver })
    remote.pingAnswers = [500]
    const bad = await ping()
    expect([bad.status, bad.get('errcode'), bad.get('status')]).toEqual([502, 'M_BAD_STATUS', 500])
    // The answer breaks off.
    const broken = new ReadableStream({ pull: stream => stream.error(new Error('reset')) })
    await server.appservice('wa', { deliver: async () => new Response(broken) })
    expect((await ping()).get('errcode')).toBe('M_CONNECTION_FAILED')
    await server.appservice('wa', { url })
    const good = await ping()
    expect(good.get('duration_ms')).toBeNumber()
    await until(() => remote.events.length > 0, 'the invite')
    expect(remote.events[0]).toMatchObject({ type: 'm.room.member', room_id: roomId })
    expect((await ping('as_gw')).get('errcode')).toBe('M_FORBIDDEN')
    await server.appservice('wa', { url: null })
    expect((await ping()).get('errcode')).toBe('M_URL_NOT_SET')
    await http.stop(true)
  })
})

describe('unknown users and rooms', () => {
  test('are asked of the appservice whose they would be', async () => {
    const { server, wa } = await setUp()
    wa.onQuery = async path => {
      if (path === `/_matrix/app/v1/users/${userId('wa_new')}`) await server.users(['wa_new'], 'as_wa')
      return path.endsWith('unknown') ? 404 : 200
    }
    const roomId = await server.room('gw_alice', [], { invite: [userId('wa_new'), userId('wa_unknown')] })
    expect(wa.queries).toContain(`/_matrix/app/v1/users/${userId('wa_new')}`)
    expect((await server.join(roomId, 'wa_new', 'as_wa')).status).toBe(200)
    expect((await server.join(roomId, 'wa_unknown', 'as_wa')).get('errcode')).toBe('M_FORBIDDEN')
  })
})

test('the cursor of an appservice that nothing interests moves on all the same', async () => {
  const server = await serverWith('gw_alice')
  const idle = new FakeAppservice()
  await server.appservice('idle', { deliver: idle.deliver })
  server.hs.start()
  const room = await server.room('gw_alice')
  const cursor = () =>
    server.db.query<{ position: number }, []>("SELECT position FROM hs_appservices WHERE id = 'idle'").get()
      ?.position ?? 0
  for (let sent = 0; sent < 3_500; sent += 500)
    await Promise.all(Array.from({ length: 500 }, (_, at) => server.send(room, 'gw_alice', `${sent + at}`)))
  await until(() => cursor() > 1_000, 'the cursor')
  expect(idle.received).toEqual([])
  await server.close()
})
