/** Phones with a past: old messages are deleted, and long lists block nobody. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { expectShortTurns } from '../../support/longest-turn.ts'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness } from './harness.ts'

const ME = '237123456789'
const THEM = '1234567890'

let harness: Harness
let room: string
beforeAll(async () => {
  harness = await createHarness()
  await harness.link()
  await harness.api('POST', 'api/phones', { phone: THEM, echo: false })
  room = await harness.room(THEM)
})
afterAll(() => harness.close())

/** Deletes step by step, as a step may end early. */
async function forgetAll(before: number): Promise<number> {
  let removed = 0
  for (let next: number | null = 0; next !== null; ) {
    const step: { next: number | null; removed: number } = await harness.sandbox.forget(next, before)
    removed += step.removed
    next = step.next
  }
  return removed
}

const textsOn = async (phone: string) => (await harness.messages(phone)).map(message => message.text)

test('what is old goes from every phone, what is young stays, and messages go on both ways', async () => {
  for (const body of ['one', 'two'])
    await harness.status(await harness.send(room, { msgtype: 'm.text', body }))
  expect(await textsOn(THEM)).toEqual(['one', 'two'])
  expect(await harness.sandbox.forget(0, Date.now() - 3_600_000)).toEqual({
    next: null,
    removed: 0,
    again: null,
  })
  expect(await forgetAll(Date.now() + 3_600_000)).toBe(2)
  expect([await textsOn(THEM), await textsOn(ME)]).toEqual([[], []])
  await harness.status(await harness.send(room, { msgtype: 'm.text', body: 'three' }))
  await harness.api('POST', `api/phones/${THEM}/messages`, { to: ME, text: 'four' })
  await waitFor(async () => (await textsOn(ME)).length === 2, { what: 'both messages' })
  expect(await textsOn(ME)).toEqual(['three', 'four'])
})

test('old files go with their rows, but for those that a young message has', async () => {
  const count = () =>
    harness.database.query<{ n: number }, []>('SELECT count(*) AS n FROM sandbox_media').get()?.n
  const [old, used] = [
    await harness.upload(Buffer.from('a'), 'text/plain', 'a'),
    await harness.upload(Buffer.from('b'), 'text/plain', 'b'),
  ]
  const say = async (url: string) =>
    harness.status(await harness.send(room, { msgtype: 'm.file', body: 'a', filename: 'a', url }))
  await say(old)
  await say(used)
  harness.database.run('UPDATE sandbox_media SET created_at = 1')
  harness.database.run('UPDATE sandbox_message SET sent_at = 1')
  await say(used)
  const { signal } = new AbortController()
  const before = Date.now() - 60_000
  expect([await harness.sandbox.forgetFiles(before, signal), count()]).toEqual([1, 1])
  expect(await harness.sandbox.forgetFiles(before, signal)).toBe(0)
  // A deleted file is stored anew when it is sent again.
  await say(old)
  expect(count()).toBe(2)
  const files = (await harness.messages(THEM)).map(message => message.file)
  const urls = files.flatMap(file => (file ? [file.url.replace('/sandbox/', '')] : []))
  expect(await Promise.all(urls.map(async url => (await harness.api('GET', url)).status))).toEqual([
    200, 200, 200,
  ])
})

test('the picture of a group stays, however old it is', async () => {
  const { json: group } = await harness.api('POST', 'api/groups', { name: 'Pictured', members: [THEM] })
  const form = new FormData()
  form.append('file', new File([Buffer.from('GIF89a')], 'a.gif', { type: 'image/gif' }))
  const { json } = await harness.api('PATCH', `api/groups/${group.id}`, form)
  harness.database.run('UPDATE sandbox_media SET created_at = 1')
  await forgetAll(Date.now() + 3_600_000)
  const { signal } = new AbortController()
  await harness.sandbox.forgetFiles(Date.now(), signal)
  expect((await harness.api('GET', json.avatar_url.replace('/sandbox/', ''))).status).toBe(200)
  await harness.api('PATCH', `api/groups/${group.id}`, { avatar: null })
  expect(await harness.sandbox.forgetFiles(Date.now(), signal)).toBe(1)
})

test('what waits for its room stays with its file, and what is gone leaves nothing behind', async () => {
  const rows = (table: string) => harness.database.query(`SELECT * FROM ${table}`).all().length
  const form = new FormData()
  form.append('to', ME)
  form.append('file', new File(['bytes'], 'waiting.pdf'))
  harness.hooks.intercept = request =>
    request.url.includes('/upload') ? Promise.resolve(Response.json({}, { status: 502 })) : null
  const { json } = await harness.api('POST', `api/phones/${THEM}/messages`, form)
  const future = Date.now() + 3_600_000
  await forgetAll(future)
  await harness.sandbox.forgetFiles(future, new AbortController().signal)
  expect((await harness.messages(ME)).map(({ id }) => id)).toEqual([json.id])
  expect(rows('sandbox_media')).toBe(1)
  harness.hooks.intercept = null
  await harness.event(event => event.content.filename === 'waiting.pdf')
  await waitFor(() => rows('sandbox_delivery') === 0)
  await forgetAll(future)
  expect(['message', 'inbox', 'event'].map(name => rows(`sandbox_${name}`))).toEqual([0, 0, 0])
  await harness.status(await harness.send(room, { msgtype: 'm.text', body: 'young' }))
})

test('a phone with twenty thousand messages answers with all of them, and nobody waits for it', async () => {
  const { seq = 0 } =
    harness.database.query<{ seq: number }, []>('SELECT max(seq) AS seq FROM sandbox_message').get() ?? {}
  harness.database.transaction(() => {
    for (let at = 1; at <= 20_000; at++) {
      harness.database.run(
        `INSERT INTO sandbox_message (seq, id, chat, sender, type, text, sent_at)
         SELECT ?, 'many' || ?, chat, sender, type, ?, sent_at FROM sandbox_message WHERE seq = ?`,
        [seq + at, at, `${at}`, seq],
      )
      harness.database.run('INSERT INTO sandbox_inbox (phone, seq) VALUES (?, ?)', [THEM, seq + at])
    }
  })()
  const request = () =>
    harness.sandbox.fetch(new Request(`http://localhost/sandbox/api/phones/${THEM}/messages`))
  await expectShortTurns(async () => (await request()).arrayBuffer(), { rounds: 1 })
  const all = await textsOn(THEM)
  expect(all.slice(-20_000)).toEqual(Array.from({ length: 20_000 }, (_, at) => `${at + 1}`))
  const texts = async (query: string) => (await harness.messages(THEM, query)).map(message => message.text)
  const last = all.slice(-120)
  expect(await texts('?limit=120')).toEqual(last)
  expect(await texts(`?limit=120&chat=${ME}`)).toEqual(last)
  expect(await texts('?after=many19880&limit=70')).toEqual(last.slice(0, 70))
  expect(await texts(`?after=many19880&chat=${ME}`)).toEqual(last)
})

test('large texts that are asked for many times at once hold nobody up', async () => {
  const { seq = 0 } =
    harness.database.query<{ seq: number }, []>('SELECT max(seq) AS seq FROM sandbox_message').get() ?? {}
  const text = 'ü'.repeat(25_000)
  harness.database.transaction(() => {
    for (let at = 1; at <= 50; at++) {
      harness.database.run(
        `INSERT INTO sandbox_message (seq, id, chat, sender, type, text, sent_at)
         SELECT ?, 'large' || ?, chat, sender, type, ?, sent_at FROM sandbox_message WHERE seq = ?`,
        [seq + at, at, text, seq],
      )
      harness.database.run('INSERT INTO sandbox_inbox (phone, seq) VALUES (?, ?)', [THEM, seq + at])
    }
  })()
  const url = `http://localhost/sandbox/api/phones/${THEM}/messages?limit=50`
  const ask = async () => {
    const reader = (await harness.sandbox.fetch(new Request(url))).body?.getReader()
    await reader?.read()
    await reader?.cancel()
  }
  await expectShortTurns(() => Promise.all(Array.from({ length: 31 }, ask)))
  expect((await harness.messages(THEM, '?limit=50')).map(message => message.text)).toEqual(
    Array.from({ length: 50 }, () => text),
  )
})
