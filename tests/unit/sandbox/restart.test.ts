/** After a crash at any point, nothing is lost and nothing happens twice. */
import { afterEach, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type HarnessOptions, type Json, USER } from './harness.ts'

const ME = '237123456789'
const THEM = '1234567890'

let harness: Harness
afterEach(async () => {
  await harness.close({ keepFiles: true })
  rmSync(harness.folder, { recursive: true, force: true })
})

async function restart(options: HarnessOptions = {}): Promise<void> {
  await harness.close({ keepFiles: true })
  harness = await createHarness({ ...options, folder: harness.folder })
}

function unreachable(request: Request): Promise<Response> | null {
  return request.url.includes('/send/') ? Promise.resolve(Response.json({}, { status: 502 })) : null
}

/** @returns how often the homeserver has a text in a room */
async function timesInRoom(room: string, text: string): Promise<number> {
  const { chunk } = await harness.matrix('GET', `rooms/${room}/messages?dir=b&limit=100`, undefined, USER)
  return (chunk as { content: Json }[]).filter(event => event.content.body === text).length
}

/** The homeserver repeats a transaction that a crash left unacknowledged. */
function pushAgain(room: string, eventId: string, body: string): Promise<Response> {
  const { registration } = harness.bridge('wa')
  const content = { msgtype: 'm.text', body }
  const event = { event_id: eventId, room_id: room, sender: USER, type: 'm.room.message', content }
  return registration.deliver(
    new Request('http://bridge/_matrix/app/v1/transactions/again', {
      method: 'PUT',
      headers: { authorization: `Bearer ${registration.hsToken}` },
      body: JSON.stringify({ events: [event] }),
    }),
  )
}

test('phones, chats, messages and logins are still there', async () => {
  harness = await createHarness()
  await harness.link()
  const room = await harness.room(THEM)
  await harness.status(await harness.send(room, { msgtype: 'm.text', body: 'remember' }))
  // The contact echoes; only when the echo is delivered, the messages no longer change.
  await harness.event(event => event.content.body === 'echo: remember')
  const before = await waitFor(async () => {
    const messages = await harness.messages(THEM)
    return messages.every(({ status }) => status === 'delivered') && messages
  })
  await restart()
  expect(await harness.messages(THEM)).toEqual(before)
  expect((await harness.provision('GET', 'whoami')).body.logins).toMatchObject([{ id: ME }])
  expect((await harness.provision('POST', `create_dm/${THEM}`)).body.dm_room_mxid).toBe(room)
  const { json } = await harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text: 'still there?' })
  await harness.event(event => event.content.body === 'still there?')
  expect((await harness.messages(THEM)).filter(message => message.id === json.id)).toHaveLength(1)
})

test('a message that did not reach its room before the end does after it', async () => {
  harness = await createHarness()
  await harness.link()
  const room = await harness.room(THEM)
  harness.hooks.intercept = unreachable
  const { status } = await harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text: 'keep me' })
  expect(status).toBe(201)
  await restart()
  await harness.event(event => event.content.body === 'keep me')
  expect(await timesInRoom(room, 'keep me')).toBe(1)
})

test('a message whose event the homeserver has, unknown to the sandbox, is not sent twice', async () => {
  harness = await createHarness()
  await harness.link()
  const room = await harness.room(THEM)
  const answers: (() => void)[] = []
  // The homeserver takes the event, but its answer gets lost.
  harness.hooks.intercept = request => {
    if (!request.url.includes('/send/m.room.message/')) return null
    return harness.homeserver.fetch(request).then(() => {
      for (const answer of answers) answer()
      return Response.json({}, { status: 502 })
    })
  }
  const taken = new Promise<void>(resolve => answers.push(resolve))
  await harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text: 'only once' })
  await taken
  await restart()
  const count = harness.database.query<{ n: number }, []>('SELECT count(*) AS n FROM sandbox_delivery')
  await waitFor(() => count.get()?.n === 0)
  expect(await timesInRoom(room, 'only once')).toBe(1)
})

test('a pushed transaction that comes again changes nothing and tells the same', async () => {
  harness = await createHarness()
  await harness.link()
  const room = await harness.room(THEM)
  const eventId = await harness.send(room, { msgtype: 'm.text', body: 'pushed twice' })
  const first = await harness.status(eventId)
  await harness.event(event => event.content.body === 'echo: pushed twice')
  await restart()
  const response = await pushAgain(room, eventId, 'pushed twice')
  expect(response.status).toBe(200)
  expect((await harness.messages(THEM)).map(message => message.text)).toEqual([
    'pushed twice',
    'echo: pushed twice',
  ])
  const { chunk } = await harness.matrix('GET', `rooms/${room}/messages?dir=b&limit=50`, undefined, USER)
  const statuses = (chunk as { type: string; content: Json }[]).filter(
    one => one.type === 'com.beeper.message_send_status',
  )
  expect(statuses.map(status => status.content)).toEqual([first])
})

test('a message that was refused stays refused when its transaction comes again', async () => {
  harness = await createHarness()
  await harness.link()
  const room = await harness.room(THEM)
  await harness.api('POST', 'api/faults', { fail_next: 1, retriable: true })
  const eventId = await harness.send(room, { msgtype: 'm.text', body: 'refused' })
  expect((await harness.status(eventId)).status).toBe('FAIL_RETRIABLE')
  await restart()
  expect((await pushAgain(room, eventId, 'refused')).status).toBe(200)
  expect(await harness.messages(THEM)).toEqual([])
})

test('a room whose making was cut short is found again', async () => {
  harness = await createHarness()
  await harness.link()
  harness.hooks.intercept = request => {
    if (!request.url.includes('/createRoom')) return null
    return harness.homeserver.fetch(request).then(() => Response.json({}, { status: 502 }))
  }
  expect((await harness.provision('POST', `create_dm/${THEM}`)).status).toBe(500)
  await restart()
  const made = await harness.provision('POST', `create_dm/${THEM}`)
  const rooms = harness.database.query<{ n: number }, []>(
    "SELECT count(*) AS n FROM hs_events WHERE type = 'm.bridge'",
  )
  expect(rooms.get()?.n).toBe(1)
  const eventId = await harness.matrix('POST', `rooms/${made.body.dm_room_mxid}/join`, {}, USER)
  expect(eventId.room_id).toBe(made.body.dm_room_mxid)
})

test('a room learns what the network takes now', async () => {
  harness = await createHarness()
  await harness.link()
  const room = await harness.room(THEM)
  const features = 'com.beeper.room_features'
  harness.database.run(`UPDATE hs_events SET content = '{"id":"old"}' WHERE type = ?`, [features])
  await restart()
  await harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text: 'news' })
  await harness.event(event => event.content.body === 'news')
  const told = await harness.matrix('GET', `rooms/${room}/state/${features}/whatsapp`, undefined, USER)
  expect(told.id).toBe('sandbox.wa.3+dm')
})

test('a user who has left is asked back', async () => {
  harness = await createHarness()
  await harness.link()
  const room = await harness.room(THEM)
  await harness.matrix('POST', `rooms/${room}/leave`, {}, USER)
  // The bridge gets events in order: once it has the marker, it knows of the leave.
  const other = await harness.room('5550100')
  await harness.status(await harness.send(other, { msgtype: 'm.text', body: 'marker' }))
  await harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text: 'come back' })
  await waitFor(async () => (await timesInRoom(room, 'come back').catch(() => 0)) === 1)
})

test('what changed in a group and was read while the homeserver was away is told after a restart', async () => {
  harness = await createHarness()
  await harness.link()
  await harness.api('POST', 'api/phones', { phone: THEM, echo: false })
  const members = [THEM, ME]
  const { json: group } = await harness.api('POST', 'api/groups', { name: 'Before', members })
  await harness.api('POST', `api/phones/${THEM}/messages`, { group: group.id, text: 'hello' })
  const { room_id: room } = await harness.event(event => event.content.body === 'hello')
  await harness.joined(room)
  const eventId = await harness.send(room, { msgtype: 'm.text', body: 'read me' })
  await harness.status(eventId)
  harness.hooks.intercept = () => Promise.resolve(Response.json({}, { status: 502 }))
  await harness.api('PATCH', `api/groups/${group.id}`, { name: 'After', add: ['4477009001'] })
  await harness.api('PATCH', `api/phones/${THEM}/chats/${group.id}`, { read: true })
  await restart()
  const named = await harness.event(({ type, content }) => type === 'm.room.name' && content.name === 'After')
  expect(named.room_id).toBe(room)
  await harness.event(({ state_key }) => state_key === '@whatsapp_4477009001:test.example')
  await waitFor(() => harness.ephemeral.some(one => JSON.stringify(one).includes(eventId)))
  const { json } = await harness.api('GET', `api/phones/${THEM}/chats/${group.id}`)
  expect(json).toMatchObject({ name: 'After', unread: 0, members: [THEM, ME, '4477009001'] })
})
