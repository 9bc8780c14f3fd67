/** Credentials: who may authenticate; nobody gains rights through a credential they created. */
import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import { createHmacHasher } from '../../../src/lib/sealing.ts'
import type { Credentials, Principal } from '../../../src/modules/tenants/credentials.ts'
import { createCredentials } from '../../../src/modules/tenants/credentials.ts'
import { UNMATCHABLE_HASH } from '../../../src/modules/tenants/secret-hashing.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const ROOT: Principal = { clientId: 'root', role: 'super_admin', scopes: [] }
const hasher = createHmacHasher(Buffer.from('credentials test'))

let db: TempDb
let clock: ManualClock
let credentials: Credentials
let changes: number

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  changes = 0
  db.signals.on('credential-changed', () => changes++)
  credentials = createCredentials({ db, hasher, clock })
})
afterEach(() => db.destroy())

/** @returns code and message of the rejection */
async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    if (error instanceof GatewayError) return `${error.code}: ${error.message}`
    throw error
  }
  return 'none'
}

const storedHash = (clientId: string) =>
  db.connection
    .query<{ secret_hash: string }, [string]>('SELECT secret_hash FROM credentials WHERE client_id = ?')
    .get(clientId)?.secret_hash

describe('create', () => {
  test('shows the secret once and stores argon2id of it alone', async () => {
    const { credential, clientSecret } = await credentials.create(ROOT, {
      clientId: 'my-app',
      description: 'Production API client',
    })
    expect(credential).toEqual({
      client_id: 'my-app',
      role: 'user',
      scopes: [],
      description: 'Production API client',
      active: true,
      created_at: '2026-04-27T10:00:00Z',
      updated_at: '2026-04-27T10:00:00Z',
    })
    expect(clientSecret).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(storedHash('my-app')).toStartWith('$argon2id$')
    expect(JSON.stringify(await credentials.list())).not.toContain(clientSecret)
    expect(await credentials.authenticate('my-app', clientSecret)).toMatchObject({ clientId: 'my-app' })
  })

  test.each([
    '',
    '.',
    '..',
    'with space',
    'a:b',
    'ünïcode',
    'x'.repeat(65),
    'a/b',
    "'; DROP TABLE credentials",
  ])('refuses the id %p', async clientId => {
    expect(await failure(credentials.create(ROOT, { clientId }))).toStartWith('bad_request: client_id')
    expect(await credentials.list()).toEqual([])
  })

  test.each(['...', '.a', 'a.', 'a..b', '-'])('takes the id %p', async clientId => {
    expect((await credentials.create(ROOT, { clientId })).credential.client_id).toBe(clientId)
  })

  test.each(['*', 'tokens:*', 'tokens:read:*', 'credentials:write:*'])('takes the scope %p', async scope => {
    const { credential } = await credentials.create(ROOT, { clientId: 'a', scopes: [scope] })
    expect(credential.scopes).toEqual([scope])
  })

  test.each([
    ...['', 'Tokens', 'tokens:', ':read', 'to*', 'tokens:*:create', 'a b'],
    // Well formed, but unknown.
    ...['tokens', 'tokens:wirte:create', 'tokens:write', 'tokens:read:own', 'messages:*'],
  ])('refuses the scope %p', async scope => {
    expect(await failure(credentials.create(ROOT, { clientId: 'a', scopes: [scope] }))).toStartWith(
      'bad_request: scopes',
    )
  })

  test('refuses an id that is taken, also when both come at once', async () => {
    const results = await Promise.all([
      failure(credentials.create(ROOT, { clientId: 'a' })),
      failure(credentials.create(ROOT, { clientId: 'a' })),
    ])
    expect(results.sort()).toEqual(['conflict: client_id: a is taken', 'none'])
  })
})

describe('authenticate', () => {
  test('refuses a wrong secret and an unknown id alike', async () => {
    await credentials.create(ROOT, { clientId: 'a' })
    const wrong = await failure(credentials.authenticate('a', 'wrong'))
    expect(wrong).toStartWith('unauthorized')
    expect(await failure(credentials.authenticate('nobody', 'wrong'))).toBe(wrong)
  })

  test('spends the same work on an unknown id: its hash has the same cost', async () => {
    const { clientSecret } = await credentials.create(ROOT, { clientId: 'a' })
    const costOf = (hash: string) => hash.split('$').slice(1, 4)
    expect(costOf(UNMATCHABLE_HASH)).toEqual(costOf(storedHash('a') ?? ''))
    expect(await Bun.password.verify(clientSecret, UNMATCHABLE_HASH)).toBeFalse()
  })

  test('refuses an inactive credential, at once', async () => {
    const { clientSecret } = await credentials.create(ROOT, { clientId: 'a' })
    await credentials.authenticate('a', clientSecret)
    await credentials.update(ROOT, 'a', { active: false })
    expect(await failure(credentials.authenticate('a', clientSecret))).toStartWith('forbidden')
    expect(await failure(credentials.authenticate('a', 'wrong'))).toStartWith('unauthorized')
  })

  test('remembers a right secret, never beyond a change of it', async () => {
    const { clientSecret } = await credentials.create(ROOT, { clientId: 'a' })
    await credentials.authenticate('a', clientSecret)
    {
      using verify = spyOn(Bun.password, 'verify')
      for (let n = 0; n < 200; n += 1) await credentials.authenticate('a', clientSecret)
      expect(verify).not.toHaveBeenCalled()
    }
    const { clientSecret: renewed } = await credentials.update(ROOT, 'a', { regenerateSecret: true })
    expect(await failure(credentials.authenticate('a', clientSecret))).toStartWith('unauthorized')
    expect(await failure(credentials.authenticate('a', renewed ?? ''))).toBe('none')
  })

  test('sees new scopes at once', async () => {
    const { clientSecret } = await credentials.create(ROOT, { clientId: 'a' })
    await credentials.authenticate('a', clientSecret)
    await credentials.update(ROOT, 'a', { scopes: ['tokens:read:*'] })
    expect((await credentials.authenticate('a', clientSecret)).scopes).toEqual(['tokens:read:*'])
  })

  test('refuses when too many checks wait already', async () => {
    const attempts = await Promise.all(
      Array.from({ length: 80 }, () => failure(credentials.authenticate('nobody', 'x'))),
    )
    expect(attempts.filter(result => result.startsWith('too_many_requests')).length).toBe(80 - 66)
    expect(await failure(credentials.authenticate('nobody', 'x'))).toStartWith('unauthorized')
  }, 30_000)
})

describe('update', () => {
  test('keeps what is left out', async () => {
    await credentials.create(ROOT, { clientId: 'a', description: 'd', scopes: ['tokens:read:*'] })
    await clock.advance(1_500)
    const { credential, clientSecret } = await credentials.update(ROOT, 'a', { active: false })
    expect(credential).toMatchObject({ description: 'd', scopes: ['tokens:read:*'], active: false })
    expect(credential.updated_at).toBe('2026-04-27T10:00:01.500Z')
    expect(clientSecret).toBeUndefined()
    expect(changes).toBe(1)
  })

  test('refuses to take the last active super admin away', async () => {
    await credentials.ensureSuperAdmin('root', 'root-secret')
    for (const change of [{ active: false }, { role: 'user' as const }]) {
      expect(await failure(credentials.update(ROOT, 'root', change))).toStartWith('forbidden')
    }
    await credentials.create(ROOT, { clientId: 'second', role: 'super_admin' })
    expect(await failure(credentials.update(ROOT, 'root', { active: false }))).toBe('none')
  })

  test('not_found', async () => {
    expect(await failure(credentials.update(ROOT, 'nobody', {}))).toBe(
      'not_found: There is no credential nobody',
    )
  })
})

describe('an actor gives no more than it has', () => {
  const manager: Principal = { clientId: 'manager', role: 'user', scopes: ['credentials:*', 'tokens:*'] }
  const clerk: Principal = {
    clientId: 'clerk',
    role: 'user',
    scopes: ['credentials:write:*', 'tokens:read:*'],
  }

  test('creating', async () => {
    expect(await failure(credentials.create(manager, { clientId: 'a' }))).toBe('none')
    expect(await failure(credentials.create(manager, { clientId: 'b', role: 'super_admin' }))).toStartWith(
      'forbidden',
    )
    expect(await failure(credentials.create(manager, { clientId: 'c', scopes: ['*'] }))).toStartWith(
      'forbidden',
    )
    // An empty list means the user role's default scopes, which the clerk lacks.
    expect(await failure(credentials.create(clerk, { clientId: 'd' }))).toStartWith('forbidden')
    expect(await failure(credentials.create(clerk, { clientId: 'e', scopes: ['tokens:read:*'] }))).toBe(
      'none',
    )
  })

  test('changing and deleting', async () => {
    await credentials.ensureSuperAdmin('root', 'root-secret')
    await credentials.create(ROOT, { clientId: 'a' })
    expect(await failure(credentials.update(manager, 'root', { regenerateSecret: true }))).toStartWith(
      'forbidden',
    )
    expect(await failure(credentials.update(manager, 'a', { role: 'super_admin' }))).toStartWith('forbidden')
    expect(await failure(credentials.remove(clerk, 'a'))).toStartWith('forbidden')
    expect(await failure(credentials.remove(manager, 'a'))).toBe('none')
  })
})

test('remove refuses a super admin and an unknown id', async () => {
  await credentials.ensureSuperAdmin('root', 'root-secret')
  expect(await failure(credentials.remove(ROOT, 'root'))).toBe(
    'forbidden: Cannot delete super admin credentials',
  )
  expect(await failure(credentials.remove(ROOT, 'nobody'))).toStartWith('not_found')
})

describe('ensureSuperAdmin', () => {
  test('makes it, and then costs nothing as long as nothing changes', async () => {
    await credentials.ensureSuperAdmin('root', 'root-secret')
    const hash = storedHash('root')
    expect(await credentials.authenticate('root', 'root-secret')).toMatchObject({ role: 'super_admin' })
    const again = createCredentials({ db, hasher, clock })
    using hashing = spyOn(Bun.password, 'hash')
    using verify = spyOn(Bun.password, 'verify')
    await again.ensureSuperAdmin('root', 'root-secret')
    expect([hashing.mock.calls.length, verify.mock.calls.length]).toEqual([0, 0])
    expect(storedHash('root')).toBe(hash)
  })

  test('a new secret in the configuration replaces the old one', async () => {
    await credentials.ensureSuperAdmin('root', 'root-secret')
    await credentials.ensureSuperAdmin('root', 'another-secret')
    expect(await failure(credentials.authenticate('root', 'root-secret'))).toStartWith('unauthorized')
    expect(await failure(credentials.authenticate('root', 'another-secret'))).toBe('none')
  })

  test('mends what the API changed, and keeps other credentials', async () => {
    await credentials.ensureSuperAdmin('root', 'root-secret')
    await credentials.create(ROOT, { clientId: 'second', role: 'super_admin' })
    await credentials.update(ROOT, 'root', { active: false, role: 'user', regenerateSecret: true })
    await credentials.ensureSuperAdmin('root', 'root-secret')
    expect(await credentials.authenticate('root', 'root-secret')).toMatchObject({ role: 'super_admin' })
    expect((await credentials.list()).map(({ client_id }) => client_id).sort()).toEqual(['root', 'second'])
  })
})

test('resetSecret gives a new one', async () => {
  const { clientSecret } = await credentials.create(ROOT, { clientId: 'a' })
  const renewed = await credentials.resetSecret('a')
  expect(renewed).not.toBe(clientSecret)
  expect(await failure(credentials.authenticate('a', renewed))).toBe('none')
  expect(await failure(credentials.resetSecret('nobody'))).toStartWith('not_found')
})
