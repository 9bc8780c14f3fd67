/** Chats over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { identities } from '../../src/db/schema/index.ts'
import { expectError } from '../support/expect-error.ts'
import { insertChat } from '../support/rows.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp()
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
