/** A phone that was used before it is linked has history, in batches as real bridges bring it. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type SeenEvent, USER } from './harness.ts'

const ME = '237111222333'
const FRIEND = '237444555666'

let harness: Harness
beforeEach(async () => {
  harness = await createHarness()
  for (const phone of [ME, FRIEND]) await harness.api('POST', 'api/phones', { phone, echo: false })
})
afterEach(() => harness.close())

const say = async (from: string, body: object) =>
  (await harness.api('POST', `api/phones/${from}/messages`, body)).json as { id: string }
const isPast = ({ unsigned }: SeenEvent) => unsigned?.['org.matrix.msc2716.historical'] === true
const told = () =>
  harness.seen.filter(({ type, state_key }) => state_key === undefined && type !== 'm.bridge')
const said = () => told().flatMap(({ content }) => (typeof content.body === 'string' ? [content.body] : []))
/** Texts in a room, oldest first. */
async function inRoom(room: string): Promise<unknown[]> {
  const path = `rooms/${encodeURIComponent(room)}/messages?dir=b&limit=200`
  const { chunk } = (await harness.matrix('GET', path, undefined, USER)) as { chunk: SeenEvent[] }
  return chunk.reverse().flatMap(({ content }) => content.body ?? [])
}
const edited = (message: string, text: string) => ({ to: ME, edit: { message }, text })
/** Makes all messages older than what a quiet batch still takes for news. */
const anHourAgo = () => harness.database.run('UPDATE sandbox_message SET sent_at = sent_at - 3600000')

test('the end of a chat is told at the link, marked, in its order and as it is now', async () => {
  const first = await say(FRIEND, { to: ME, text: 'wrong' })
  await say(ME, { to: FRIEND, text: 'mine', reply_to: first.id })
  await say(FRIEND, { to: ME, edit: { message: first.id }, text: 'right' })
  const gone = await say(FRIEND, { to: ME, text: 'gone' })
  await say(FRIEND, { to: ME, delete: { message: gone.id } })
  await say(ME, { to: FRIEND, reaction: { message: first.id, emoji: '🎉' } })
  anHourAgo()
  await harness.link(ME)
  await waitFor(() => told().some(({ type }) => type === 'm.reaction'))
  expect(said()).toEqual(['right', 'mine'])
  expect(told().every(isPast)).toBe(true)
  const [right, mine, reaction] = told()
  expect(mine?.content['m.relates_to']).toEqual({ 'm.in_reply_to': { event_id: right?.event_id } })
  expect(reaction?.content['m.relates_to']).toMatchObject({ event_id: right?.event_id, key: '🎉' })
  expect(mine?.sender).not.toBe(right?.sender)
  // Whatever is said from now on is news, also about the past.
  await say(FRIEND, { to: ME, text: 'now', reply_to: first.id })
  const now = await harness.event(({ content }) => content.body === 'now')
  expect(isPast(now)).toBe(false)
  expect(now.content['m.relates_to']).toEqual({ 'm.in_reply_to': { event_id: right?.event_id } })
})

test('older messages come when they are asked for, before the others, and once', async () => {
  for (let n = 0; n < 120; n++) {
    const { id } = await say(FRIEND, { to: ME, text: `old ${n}` })
    // Edits are no part of history, and are passed over.
    if (n === 10) for (let times = 0; times < 100; times++) await say(FRIEND, edited(id, `old ${n}`))
  }
  anHourAgo()
  const login = await harness.link(ME)
  const { room_id: room } = await harness.event(({ content }) => content.body === 'old 119')
  const all = Array.from({ length: 120 }, (_, n) => `old ${n}`)
  await waitFor(() => harness.database.query('SELECT 1 FROM sandbox_delivery').get() === null)
  expect(said()).toEqual(all.slice(70))
  const older = async (query = '') =>
    (await harness.provision('POST', `backfill/${encodeURIComponent(room)}${query}`)).status
  expect(await older()).toBe(200)
  expect(await inRoom(room)).toEqual(all.slice(20))
  expect(await older()).toBe(200)
  expect(await inRoom(room)).toEqual(all.slice(11))
  expect(await older()).toBe(200)
  expect(await inRoom(room)).toEqual(all)
  expect(await older()).toBe(204)
  await waitFor(() => said().length === all.length)
  expect(told().every(isPast)).toBe(true)
  expect(await older(`?login_id=${login}x`)).toBe(404)
})

test('at a homeserver that takes no batches each message comes by itself', async () => {
  harness.hooks.intercept = request =>
    new URL(request.url).pathname === '/_matrix/client/versions'
      ? Promise.resolve(Response.json({ versions: ['v1.4'] }))
      : null
  await say(FRIEND, { to: ME, text: 'one' })
  await say(FRIEND, { to: ME, text: 'two' })
  await harness.link(ME)
  const { room_id: room } = await harness.event(({ content }) => content.body === 'two')
  expect(said()).toEqual(['one', 'two'])
  expect(told().some(isPast)).toBe(false)
  const { status, body } = await harness.provision('POST', `backfill/${encodeURIComponent(room)}`)
  expect([status, body.errcode]).toEqual([404, 'M_UNRECOGNIZED'])
})
