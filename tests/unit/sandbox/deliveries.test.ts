/** Messages to a homeserver that is away, refuses, or gets many at once. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, manualClock, type SeenEvent } from './harness.ts'

const ME = '237123456789'
const THEM = '1234567890'
const SECOND_USER = '@mg_bob:test.example'
const SECOND_PHONE = '447700900123'

let clock: ReturnType<typeof manualClock>
let harness: Harness
let room: string
beforeEach(async () => {
  clock = manualClock()
  harness = await createHarness({ clock })
  await harness.link()
  await harness.api('POST', 'api/phones', { phone: THEM, echo: false })
  room = await harness.room(THEM)
})
afterEach(() => harness.close())

/** Answers the next messages with these statuses. */
function answerSends(statuses: number[]): void {
  harness.hooks.intercept = request => {
    const status = request.url.includes('/send/m.room.message/') ? statuses.shift() : undefined
    return status === undefined ? null : Promise.resolve(Response.json({}, { status }))
  }
}

const say = (text: string) => harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text })

/** Moves the clock through the retries. @returns the message's event */
const arrival = (text: string): Promise<SeenEvent> =>
  waitFor(async () => {
    await clock.advance(30_000)
    return harness.seen.find(({ content }) => String(content.body).includes(text))
  })

test('a refusal after a long outage is one refusal: the message gets to its room', async () => {
  answerSends([...Array.from({ length: 12 }, () => 502), 403])
  await say('patience')
  expect(await arrival('patience')).toMatchObject({ room_id: room, content: { msgtype: 'm.text' } })
})

test('a room that goes on refusing is replaced', async () => {
  harness.hooks.intercept = request =>
    decodeURIComponent(request.url).includes(`${room}/send/`)
      ? Promise.resolve(Response.json({}, { status: 403 }))
      : null
  await say('elsewhere')
  const { room_id, content } = await arrival('elsewhere')
  expect([room_id === room, content.msgtype]).toEqual([false, 'm.text'])
})

test('a message that new rooms refuse as well is given up, and holds up none behind it', async () => {
  let refused = 0
  harness.hooks.intercept = request => {
    if (!request.url.includes('/send/') || refused === 10) return null
    refused++
    return Promise.resolve(Response.json({}, { status: 403 }))
  }
  await say('hopeless')
  await say('the next one')
  expect((await arrival('the next one')).content.msgtype).toBe('m.text')
  expect(harness.seen.some(({ content }) => content.body === 'hopeless')).toBe(false)
})

test('a deletion of what the homeserver no longer has changes nothing, and the room stays', async () => {
  const { json } = await say('long ago')
  await arrival('long ago')
  harness.hooks.intercept = request =>
    request.url.includes('/redact/')
      ? Promise.resolve(Response.json({ errcode: 'M_NOT_FOUND' }, { status: 404 }))
      : null
  await harness.api('POST', `api/phones/${THEM}/messages`, { delete: json.id })
  await say('today')
  expect((await arrival('today')).room_id).toBe(room)
})

test('a disk that takes no change of a room ends nothing', async () => {
  harness.database.run(
    "CREATE TRIGGER full BEFORE DELETE ON sandbox_portal BEGIN SELECT raise(ABORT, 'no space'); END",
  )
  answerSends([403, 403, 403, 403, 403])
  await say('in the end')
  expect((await arrival('in the end')).room_id).toBe(room)
})

test('a device that is linked later learns that an old file is gone', async () => {
  const form = new FormData()
  form.append('to', ME)
  form.append('file', new File(['bytes'], 'letter.pdf'))
  await harness.api('POST', `api/phones/${THEM}/messages`, form)
  await waitFor(() => harness.seen.some(({ content }) => content.msgtype === 'm.file'))
  await waitFor(() => harness.database.query('SELECT 1 FROM sandbox_delivery').get() === null)
  const future = clock.now() + 1
  expect(await harness.sandbox.forgetFiles(future, new AbortController().signal)).toBe(1)
  await harness.registerUser(SECOND_USER)
  await harness.link(ME, 'wa', SECOND_USER)
  const { content } = await harness.event(event => event.room_id !== room && event.type === 'm.room.message')
  expect(content).toMatchObject({ msgtype: 'm.notice', body: expect.stringContaining('its file is gone') })
})

describe('a file that no message has is gone from the disk', () => {
  const stored = () => readdirSync(join(harness.folder, 'sandbox-media')).length
  const form = (fields: Record<string, string>) => {
    const body = new FormData()
    for (const [name, value] of Object.entries(fields)) body.append(name, value)
    body.append('file', new File(['bytes'], 'letter.pdf'))
    return harness.api('POST', `api/phones/${THEM}/messages`, body)
  }

  test.each([
    [{ to: '9991234567' }, 404],
    [{ to: ME, duration_ms: 'long' }, 400],
    [{ to: ME, reply_to: 'nothing' }, 404],
  ])('sent with %o', async (fields, status) => {
    expect((await form(fields)).status).toBe(status)
    expect(stored()).toBe(0)
    await form({ to: ME })
    expect(stored()).toBe(1)
  })

  test('fetched for a message that the disk did not take at first', async () => {
    harness.database.run(
      "CREATE TRIGGER full BEFORE INSERT ON sandbox_message BEGIN SELECT raise(ABORT, 'no space'); END",
    )
    let downloads = 0
    harness.hooks.intercept = request => {
      if (request.url.includes('/download/') && ++downloads === 3) harness.database.run('DROP TRIGGER full')
      return null
    }
    const url = await harness.upload(Buffer.from('bytes'), 'application/pdf', 'letter.pdf')
    const content = { msgtype: 'm.file', body: 'letter.pdf', url }
    expect((await harness.status(await harness.send(room, content))).status).toBe('SUCCESS')
    expect([downloads, stored()]).toEqual([3, 1])
  })
})

test('a file that goes to several rooms is uploaded once', async () => {
  await harness.registerUser(SECOND_USER)
  await harness.link(SECOND_PHONE, 'wa', SECOND_USER)
  const { json: group } = await harness.api('POST', 'api/groups', {
    name: 'Both',
    platform: 'wa',
    members: [ME, SECOND_PHONE, THEM],
  })
  const inBothRooms = (msgtype: string) =>
    waitFor(() => {
      const events = harness.seen.filter(({ content }) => content.msgtype === msgtype)
      return new Set(events.map(event => event.room_id)).size === 2
    })
  // Once both rooms exist, the file goes to both at the same time.
  const first = { group: group.invite_link, type: 'notice', text: 'first' }
  await harness.api('POST', `api/phones/${THEM}/messages`, first)
  await inBothRooms('m.notice')
  let uploads = 0
  harness.hooks.intercept = request => {
    if (request.url.includes('/upload')) uploads++
    return null
  }
  const form = new FormData()
  form.append('group', group.invite_link)
  form.append('file', new File(['bytes'], 'letter.pdf'))
  await harness.api('POST', `api/phones/${THEM}/messages`, form)
  await inBothRooms('m.file')
  expect(uploads).toBe(1)
})
