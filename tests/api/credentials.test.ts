/** /api/v1/credentials as the usage guide has it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { expectError } from '../support/expect-error.ts'
import { ADMIN, basic, testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
beforeAll(async () => {
  app = await testHttp()
})
afterAll(() => app.destroy())

const CREDENTIALS = '/api/v1/credentials'
const auth = basic()

async function create(clientId: string): Promise<string> {
  const { body } = await app.call('POST', CREDENTIALS, { auth, json: { client_id: clientId } })
  return String(body.client_secret)
}

describe('POST', () => {
  test('as in the guide', async () => {
    const answer = await app.call('POST', CREDENTIALS, {
      auth,
      json: { client_id: 'my-app', description: 'Production API client' },
    })
    expect(answer.status).toBe(201)
    expect(answer.body).toEqual({
      message: 'Credential created successfully',
      credential: {
        client_id: 'my-app',
        role: 'user',
        scopes: [],
        description: 'Production API client',
        active: true,
        created_at: '2026-04-27T10:00:00Z',
        updated_at: '2026-04-27T10:00:00Z',
      },
      client_secret: expect.stringMatching(/^\S{32,}$/),
    })
  })

  test.each([
    [{}, 'Missing required field: client_id'],
    [{ client_id: null }, 'Missing required field: client_id'],
    [{ client_id: 5 }, 'client_id: expected text'],
    [{ client_id: 'a b' }, 'client_id: expected 1 to 64 letters'],
    [{ client_id: 'a', role: 'boss' }, 'role: expected one of super_admin, user'],
    [{ client_id: 'a', scopes: 'x' }, 'scopes: expected a list'],
    [{ client_id: 'a', scopes: [5] }, 'scopes.0: expected text'],
    [{ client_id: 'a', scopes: ['NO'] }, 'scopes: "NO" is not a scope'],
  ])('refuses %j', async (json, says) => {
    expectError(await app.call('POST', CREDENTIALS, { auth, json }), 400, 'bad_request', says)
  })

  test('an id that is taken: 409', async () => {
    await create('taken')
    const answer = await app.call('POST', CREDENTIALS, { auth, json: { client_id: 'taken' } })
    expectError(answer, 409, 'conflict', 'client_id')
  })
})

describe('GET', () => {
  test('lists them, without a secret', async () => {
    const secret = await create('listed')
    const { status, text, body } = await app.call('GET', CREDENTIALS, { auth })
    expect(status).toBe(200)
    expect((body.list as { client_id: string }[])[0]?.client_id).toBe(ADMIN.clientId)
    expect(text).not.toContain(secret)
    expect(text).not.toContain('argon2')
  })
})

describe('PUT', () => {
  test('changes what is given and keeps the rest', async () => {
    await create('changed')
    const path = `${CREDENTIALS}/changed`
    const json = { description: 'Updated description', active: true, scopes: ['tokens:read:*'] }
    const answer = await app.call('PUT', path, { auth, json })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({
      message: 'Credential updated successfully',
      credential: expect.objectContaining({ client_id: 'changed', role: 'user', ...json }),
    })
    const second = await app.call('PUT', path, { auth, json: { active: false, description: null } })
    expect(second.body.credential).toMatchObject({ ...json, active: false })
  })

  test('regenerate_secret gives a new one, and the old one is over', async () => {
    const old = await create('renewed')
    const answer = await app.call('PUT', `${CREDENTIALS}/renewed`, {
      auth,
      json: { regenerate_secret: true },
    })
    const renewed = String(answer.body.client_secret)
    expectError(await app.call('GET', '/api/v1/tokens', { auth: basic('renewed', old) }), 401, 'unauthorized')
    expect((await app.call('GET', '/api/v1/tokens', { auth: basic('renewed', renewed) })).status).toBe(200)
  })

  test('an inactive credential is refused: 403', async () => {
    const secret = await create('inactive')
    await app.call('PUT', `${CREDENTIALS}/inactive`, { auth, json: { active: false } })
    expectError(
      await app.call('GET', '/api/v1/tokens', { auth: basic('inactive', secret) }),
      403,
      'forbidden',
    )
  })

  test('unknown: 404, wrong: 400', async () => {
    expectError(await app.call('PUT', `${CREDENTIALS}/nobody`, { auth, json: {} }), 404, 'not_found')
    await create('wrong')
    const answer = await app.call('PUT', `${CREDENTIALS}/wrong`, { auth, json: { active: 'yes' } })
    expectError(answer, 400, 'bad_request', 'active: expected true or false')
  })
})

describe('DELETE', () => {
  test('takes its tokens with it', async () => {
    const secret = await create('gone')
    const { body } = await app.call('POST', '/api/v1/tokens', { auth: basic('gone', secret), json: {} })
    const bearer = `Bearer ${body.token}`
    expect((await app.call('GET', '/api/v1/devices', { auth: bearer })).status).toBe(200)
    const answer = await app.call('DELETE', `${CREDENTIALS}/gone`, { auth })
    expect([answer.status, answer.body]).toEqual([200, { message: 'Credential deleted successfully' }])
    expectError(await app.call('GET', '/api/v1/devices', { auth: bearer }), 403, 'forbidden')
    expectError(await app.call('GET', '/api/v1/tokens', { auth: basic('gone', secret) }), 401, 'unauthorized')
    expectError(await app.call('DELETE', `${CREDENTIALS}/gone`, { auth }), 404, 'not_found')
  })

  test('of a super admin: 403', async () => {
    const answer = await app.call('DELETE', `${CREDENTIALS}/${ADMIN.clientId}`, { auth })
    expectError(answer, 403, 'forbidden', 'Cannot delete super admin credentials')
  })
})

test.each([
  ['GET', CREDENTIALS],
  ['POST', CREDENTIALS],
  ['PUT', `${CREDENTIALS}/my-app`],
  ['DELETE', `${CREDENTIALS}/my-app`],
])('%s without super_admin: 403', async (method, path) => {
  const clientId = `user-${method}`
  const user = basic(clientId, await create(clientId))
  const json = method === 'POST' ? { client_id: 'x' } : undefined
  expectError(await app.call(method, path, { auth: user, json }), 403, 'forbidden')
})
