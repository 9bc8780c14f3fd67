/** Chats over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { identities } from '../../src/db/schema/index.ts'
import { expectError } from '../support/expect-error.ts'
import { insertChat } from '../support/rows.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp({ maxBytes: 8 * 1024 * 1024 })
  auth = `Bearer ${await app.newToken()}`
  const identityId = app.db.orm.select().from(identities).get()?.id ?? ''
  for (let count = 1; count <= 3; count++)
    insertChat(app.db, { identityId, roomId: `!${count}`, activityAt: count, kind: 'group' })
})
afterAll(() => app.destroy())

const get = (path: string) => app.call('GET', `/api/v1/chats${path}`, { auth })

test('are listed a page at a time', async () => {
  const first = await get('?limit=2')
  expect(first.body).toMatchObject({ data: [{ room_id: '!3' }, { room_id: '!2' }] })
  const second = await get(`?limit=2&cursor=${first.body.next}`)
  expect(second.body).toMatchObject({ data: [{ room_id: '!1' }], next: null })
})

describe('what is wrong is named', () => {
  test.each([
    ['?limit=0', 'limit: expected a whole number from 1 to 1000'],
    ['?cursor=x', 'cursor: expected the next of an earlier answer of this list'],
    [`?cursor=${btoa('["1",2]')}`, 'cursor: expected the next of an earlier answer of this list'],
    [`?cursor=${btoa('[1]')}`, 'cursor: expected the next of an earlier answer of this list'],
  ])('%s', async (query, message) => {
    expectError(await get(query), 400, 'bad_request', message)
  })

  test('a kind that there isn’t, and a field', async () => {
    expect((await get('?kind=space')).text).toContain('kind')
    expect((await get('?kinds=dm')).status).toBe(400)
  })

  test('a chat or a device that there isn’t', async () => {
    expectError(await get('/chat_x'), 404, 'not_found', 'there is no chat chat_x')
    expect((await get('?device_id=1')).status).toBe(404)
  })
})

describe('a change', () => {
  const form = (entries: [string, string | File][]) => {
    const body = new FormData()
    for (const [name, value] of entries) body.append(name, value)
    return body
  }
  const change = (given: { json?: unknown; body?: FormData | string; headers?: Record<string, string> }) =>
    app.call('PATCH', '/api/v1/chats/chat_x', { auth, ...given })
  const text = new File(['no picture'], 'picture.png', { type: 'image/png' })
  const large = new File([new Uint8Array(5 * 1024 * 1024 + 1)], 'large.png')

  test.each([
    [{ avatar: 'data:image/png;base64,' }, 'avatar: expected null, which removes it; a form'],
    [{ muted: 'yes' }, 'muted: expected true or false'],
    [{ subject: 'Team' }, 'subject: there is no such field: expected name, topic'],
    [{}, 'expected at least one of name, topic, avatar, disappearing_s, muted, archived'],
    [[], 'The body must be a JSON object'],
  ])('%j', async (json, message) => {
    expectError(await change({ json }), 400, 'bad_request', message)
  })

  test.each<[[string, string | File][], string]>([
    [[['avatar', text]], 'avatar: expected a picture: JPEG, PNG, GIF or WebP'],
    [[['avatar', 'aGVsbG8=']], 'avatar: expected a file, not text'],
    [[['file', text]], 'file: expected the file in a field named "avatar"'],
    [[['file_base64', 'aGVsbG8=']], 'file_base64: there is no such field'],
    [[['muted', 'yes']], 'muted: expected true or false'],
    [[['disappearing_s', 'soon']], 'disappearing_s: expected a whole number'],
    [
      [
        ['name', 'One'],
        ['name', 'Two'],
      ],
      'name: expected once, not several times',
    ],
    [[['subject', 'Team']], 'subject: there is no such field: expected name, topic'],
    [[['constructor', 'x']], 'constructor: there is no such field'],
    [[], 'expected at least one of name'],
  ])('a form %#', async (entries, message) => {
    expectError(await change({ body: form(entries) }), 400, 'bad_request', message)
    expect(app.onDisk.size).toBe(0)
  })

  test('a form’s fields have the types of JSON', async () => {
    const fields: [string, string][] = [
      ['muted', 'true'],
      ['disappearing_s', '0'],
      ['topic', ''],
    ]
    expectError(await change({ body: form(fields) }), 404, 'not_found', 'there is no chat chat_x')
  })

  test('a picture that is too large', async () => {
    const answer = await change({ body: form([['avatar', large]]) })
    expectError(answer, 413, 'payload_too_large', 'avatar: expected at most 5242880 bytes')
    expect(app.onDisk.size).toBe(0)
  })

  test('a body of another type', async () => {
    const headers = { 'content-type': 'image/png' }
    const answer = await change({ body: 'x', headers })
    expectError(answer, 415, 'unsupported_media_type', 'expected application/json or multipart/form-data')
  })
})
