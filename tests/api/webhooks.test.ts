/** /api/v1/webhooks as the usage guide has it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { MESSAGE_EVENT_NAMES } from '../../src/domain/states.ts'
import { expectError } from '../support/expect-error.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp()
  auth = `Bearer ${await app.newToken()}`
})
afterAll(() => app.destroy())

const WEBHOOKS = '/api/v1/webhooks'
const VIEW = { url: 'https://your-server.com/webhook', active: true }

test('add, list, update, delete', async () => {
  const added = await app.call('POST', WEBHOOKS, { auth, json: { url: VIEW.url } })
  expect(added.status).toBe(201)
  expect(added.body).toMatchObject({ id: 1, ...VIEW, created_at: '2026-04-27T10:00:00Z' })
  expect((await app.call('GET', WEBHOOKS, { auth })).body.list).toEqual([expect.objectContaining(VIEW)])

  const change = { url: 'https://new-url.com/webhook', active: false }
  const changed = await app.call('PUT', `${WEBHOOKS}/1`, { auth, json: change })
  expect([changed.status, changed.body]).toEqual([200, expect.objectContaining({ id: 1, ...change })])
  const partly = await app.call('PUT', `${WEBHOOKS}/1`, { auth, json: { active: true, url: null } })
  expect(partly.body).toMatchObject({ ...change, active: true })

  const deleted = await app.call('DELETE', `${WEBHOOKS}/1`, { auth })
  expect([deleted.status, deleted.body]).toEqual([200, { message: 'Webhook deleted successfully' }])
  expectError(await app.call('DELETE', `${WEBHOOKS}/1`, { auth }), 404, 'not_found')
  expectError(await app.call('PUT', `${WEBHOOKS}/1`, { auth, json: {} }), 404, 'not_found')
})

test('with the events it asks for; null in a change is the default again', async () => {
  const json = { url: 'https://events.example', events: ['message.status', 'device.logged_out'] }
  const added = await app.call('POST', WEBHOOKS, { auth, json })
  expect(added.body).toMatchObject(json)
  const path = `${WEBHOOKS}/${added.body.id}`
  expect((await app.call('PUT', path, { auth, json: { events: '*' } })).body.events).toEqual(['*'])
  expect((await app.call('PUT', path, { auth, json: { active: true } })).body.events).toEqual(['*'])
  const again = await app.call('PUT', path, { auth, json: { events: null, url: null } })
  expect(again.body).toMatchObject({ url: json.url, events: [...MESSAGE_EVENT_NAMES] })
  await app.call('DELETE', path, { auth })
})

test('with filters, and files by their addresses; null in a change removes the filters', async () => {
  const json = {
    url: 'https://filters.example',
    filters: { devices: ['237'], chat_kinds: ['dm', 'group'], message_kinds: ['image'] },
    media: 'url',
  }
  const added = await app.call('POST', WEBHOOKS, { auth, json })
  expect([added.status, added.body]).toEqual([201, expect.objectContaining(json)])
  const path = `${WEBHOOKS}/${added.body.id}`
  expect((await app.call('PUT', path, { auth, json: { active: false } })).body).toMatchObject(json)
  const changed = await app.call('PUT', path, { auth, json: { filters: { devices: ['49'] }, media: 'none' } })
  expect(changed.body).toMatchObject({ filters: { devices: ['49'] }, media: 'none' })
  const removed = await app.call('PUT', path, { auth, json: { filters: null, media: null } })
  expect([removed.status, removed.body.filters, removed.body.media]).toEqual([200, {}, 'none'])
  await app.call('DELETE', path, { auth })
  const plain = await app.call('POST', WEBHOOKS, { auth, json: { url: json.url, filters: {} } })
  expect(plain.body).toMatchObject({ filters: {}, media: 'inline' })
  await app.call('DELETE', `${WEBHOOKS}/${plain.body.id}`, { auth })
})

test('added switched off', async () => {
  const json = { url: 'https://off.example', active: false }
  const added = await app.call('POST', WEBHOOKS, { auth, json })
  expect([added.status, added.body]).toEqual([201, expect.objectContaining(json)])
  expect((await app.call('GET', `${WEBHOOKS}/${added.body.id}`, { auth })).body).toMatchObject(json)
})

test('a duplicate: 409', async () => {
  await app.call('POST', WEBHOOKS, { auth, json: { url: 'https://twice.example' } })
  const again = await app.call('POST', WEBHOOKS, { auth, json: { url: 'https://twice.example' } })
  expectError(again, 409, 'conflict')
})

describe('400', () => {
  test.each([
    [{}, 'Missing required field: url'],
    [{ url: '' }, 'url: expected text of 1 to 2048 characters'],
    [{ url: 'no address' }, 'url: expected'],
    [{ url: 'https://example.com/\r\nX: y' }, 'url: expected no blanks and control characters'],
    [{ url: 'https://example.com/a b' }, 'url: expected no blanks and control characters'],
    [{ url: 'https://exam\tple.com/' }, 'url: expected no blanks and control characters'],
    [{ url: 'https://example.com/\u0000' }, 'url: expected no blanks and control characters'],
    [{ url: 'https://example.com/\u0085x' }, 'url: expected no blanks and control characters'],
    [{ url: ['x'] }, 'url: expected text'],
    [{ url: 'https://x.example', active: 'no' }, 'active: expected true or false'],
    [{ url: 'https://x.example', events: 7 }, 'events: expected a list of at most 64 or text'],
    [{ url: 'https://x.example', events: [7] }, 'events: expected a list of at most 64 or text'],
    [{ url: 'https://x.example', filters: 'wa' }, 'filters: expected an object'],
    [{ url: 'https://x.example', filters: ['wa'] }, 'filters: expected an object'],
    [{ url: 'https://x.example', filters: { devices: '237' } }, 'filters.devices: expected a list'],
    [{ url: 'https://x.example', filters: { devices: [237] } }, 'filters.devices.0: expected text'],
    [{ url: 'https://x.example', filters: { devices: [] } }, 'filters.devices: expected at least one value'],
    [{ url: 'https://x.example', filters: { platforms: ['icq'] } }, 'filters.platforms: expected some of'],
    [{ url: 'https://x.example', filters: { chats: ['chat_1'] } }, 'filters.chats: expected ids of chats'],
    [
      { url: 'https://x.example', filters: { chat_kinds: ['x'] } },
      'filters.chat_kinds.0: expected one of dm',
    ],
    [
      { url: 'https://x.example', filters: { message_kinds: ['x'] } },
      'filters.message_kinds.0: expected one of text',
    ],
    [
      { url: 'https://x.example', filters: { device: ['237'] } },
      /^filters\.device: there is no such field; did you mean devices\?/,
    ],
    [
      { url: 'https://x.example', filters: { senders: [] } },
      /^filters\.senders: there is no such field: expected/,
    ],
    [{ url: 'https://x.example', media: 'base64' }, 'media: expected one of inline, url, none'],
  ])('adding %j', async (json, says) => {
    expectError(await app.call('POST', WEBHOOKS, { auth, json }), 400, 'bad_request', says)
  })

  test('changing a URL to one with a line break', async () => {
    const answer = await app.call('PUT', `${WEBHOOKS}/1`, {
      auth,
      json: { url: 'https://example.com/\nX: y' },
    })
    expectError(answer, 400, 'bad_request', 'url: expected no blanks and control characters')
  })

  test('changing active to text', async () => {
    const answer = await app.call('PUT', `${WEBHOOKS}/1`, { auth, json: { active: 'no' } })
    expectError(answer, 400, 'bad_request', 'active: expected true or false')
  })

  test.each(['x', '0', '1.0', '18446744073709551616'])('the id %p', async id => {
    for (const [method, json] of [
      ['PUT', {}],
      ['DELETE', undefined],
    ] as const) {
      expectError(
        await app.call(method, `${WEBHOOKS}/${id}`, { auth, json }),
        400,
        'bad_request',
        /^id: expected/,
      )
    }
  })
})
