/** Direct chats that the network moves between a number and the hidden id of the same person. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { yieldToEventLoop } from '../../../src/lib/turn-budget.ts'
import { createHarness, type Harness, type Json, USER } from './harness.ts'

const ME = '237123456789'
const THEM = '1234567893'
const BY_NUMBER = `@whatsapp_${THEM}:test.example`

let harness: Harness

beforeEach(async () => {
  harness = await createHarness()
  await harness.link()
  await move({ to: 'number' })
})
afterEach(async () => {
  await harness.close({ keepFiles: true })
  rmSync(harness.folder, { recursive: true, force: true })
})

async function move(body: Json, phone = THEM): Promise<void> {
  expect((await harness.api('POST', `api/phones/${phone}/move`, body)).status).toBe(202)
}

/** They write. @returns the message's event */
async function said(text: string) {
  await harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text })
  return harness.event(({ content }) => content.body === text)
}

async function members(room: string): Promise<string[]> {
  const { joined } = await harness.matrix('GET', `rooms/${room}/joined_members`, undefined, USER)
  return Object.keys(joined as Json).sort()
}

const channelOf = async (room: string) =>
  (await harness.matrix('GET', `rooms/${room}/state/m.bridge/whatsapp`, undefined, USER)).channel as Json

test('in the same room the other ghost takes the place, and the room’s state says so', async () => {
  const before = await said('by number')
  expect(before.sender).toBe(BY_NUMBER)
  expect(await channelOf(before.room_id)).toMatchObject({ id: `${THEM}@s.whatsapp.net` })
  await move({})
  const after = await said('by hidden id')
  expect(after.room_id).toBe(before.room_id)
  expect(after.sender).toMatch(/^@whatsapp_lid-\d+:test\.example$/)
  expect(await members(before.room_id)).toContain(after.sender)
  expect(await members(before.room_id)).not.toContain(BY_NUMBER)
  const [digits] = /\d+/.exec(after.sender) ?? []
  expect(await channelOf(before.room_id)).toMatchObject({ id: `${digits}@lid` })
  const { body } = await harness.provision('GET', `resolve_identifier/${THEM}`)
  expect(body).toMatchObject({ id: `lid-${digits}`, mxid: after.sender, dm_room_mxid: before.room_id })

  await move({ to: 'number' })
  expect(await said('by number again')).toMatchObject({ room_id: before.room_id, sender: BY_NUMBER })
})

test('in favour of a new room the one before is closed, and all but the user leave it', async () => {
  const before = await said('by number')
  await move({ room: 'new' })
  const closed = await harness.event(({ type }) => type === 'm.room.tombstone')
  const replacement = String(closed.content.replacement_room)
  expect(closed).toMatchObject({ room_id: before.room_id, sender: '@whatsappbot:test.example' })
  await harness.joined(replacement)
  expect(await said('in the new room')).toMatchObject({ room_id: replacement })
  expect(await members(before.room_id)).toEqual([USER])
  // Nobody is left to take it or to report it.
  await harness.send(before.room_id, { msgtype: 'm.text', body: 'into the void' })
  await harness.status(await harness.send(replacement, { msgtype: 'm.text', body: 'to be read' }))
  expect((await harness.messages(THEM)).map(({ text }) => text)).not.toContain('into the void')
})

test('only once a message that was taken in the old room has been reported there', async () => {
  const before = await said('by number')
  const order: string[] = []
  const moved = Promise.withResolvers<void>()
  harness.hooks.intercept = request => {
    const call = /createRoom|com\.beeper\.message_send_status/.exec(request.url)?.[0]
    if (call === undefined) return null
    if (call === 'createRoom') {
      order.push(call)
      return null
    }
    // The chat moves while the report is on its way.
    return move({ room: 'new' }).then(async () => {
      moved.resolve()
      for (let turns = 0; turns < 100; turns++) await yieldToEventLoop()
      order.push(call)
      return harness.homeserver.fetch(request)
    })
  }
  const taken = await harness.send(before.room_id, { msgtype: 'm.text', body: 'just before' })
  await moved.promise
  await harness.event(({ type }) => type === 'm.room.tombstone')
  expect(order).toEqual(['com.beeper.message_send_status', 'createRoom'])
  expect(await harness.status(taken)).toMatchObject({ status: 'SUCCESS' })
  expect((await harness.messages(THEM)).map(({ text }) => text)).toContain('just before')
})

test('that a crash left in the old room is moved before its next message', async () => {
  const before = await said('by number')
  await harness.close({ keepFiles: true })
  harness = await createHarness({ folder: harness.folder })
  harness.database.run(`UPDATE sandbox_phone SET chats_by_number = 0 WHERE phone = '${THEM}'`)
  const after = await said('by hidden id')
  expect(after.room_id).toBe(before.room_id)
  expect(await members(before.room_id)).toContain(after.sender)
  expect(await members(before.room_id)).not.toContain(BY_NUMBER)
})

test.each([
  ['a phone without a hidden id', '1234567890', {}],
  ['another id', THEM, { to: 'email' }],
  ['another kind of room', THEM, { room: 'tombstone' }],
])('to %s is refused', async (_, phone, body) => {
  expect((await harness.api('POST', `api/phones/${phone}/move`, body)).status).toBe(400)
})
