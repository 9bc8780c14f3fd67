/** Tokens: the first is the admin's, each opens one identity and ends by expiry or credential. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { TokenView } from '../../../src/domain/views/token.ts'
import { createHmacHasher, createSealer } from '../../../src/lib/sealing.ts'
import type { Credentials, Principal } from '../../../src/modules/tenants/credentials.ts'
import { createCredentials } from '../../../src/modules/tenants/credentials.ts'
import { createIdentities, type Identities } from '../../../src/modules/tenants/identities.ts'
import { accessTokenContext } from '../../../src/modules/tenants/matrix-access-tokens.ts'
import { createTokenRepository } from '../../../src/modules/tenants/token-repository.ts'
import type { Tokens } from '../../../src/modules/tenants/tokens.ts'
import { createTokens } from '../../../src/modules/tenants/tokens.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const ROOT: Principal = { clientId: 'root', role: 'super_admin', scopes: [] }
const APP: Principal = { clientId: 'app', role: 'user', scopes: [] }
const OTHER: Principal = { clientId: 'other', role: 'user', scopes: [] }
const sealer = createSealer('a secret key of the tests')

let db: TempDb
let clock: ManualClock
let tokens: Tokens
let identities: Identities
let credentials: Credentials
let homeserverFailure: GatewayError | undefined
let localparts: string[]

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  homeserverFailure = undefined
  localparts = []
  identities = createIdentities({
    db,
    provisioner: {
      createAccount: async localpart => {
        await settled()
        if (homeserverFailure) throw homeserverFailure
        localparts.push(localpart)
        return { userId: `@${localpart}:localhost`, deviceId: 'DEV', accessToken: `access-${localpart}` }
      },
    },
    sealer,
    clock,
  })
  const hasher = createHmacHasher(Buffer.from('tokens test'))
  let made = 0
  tokens = createTokens({ db, identities, hasher, randomId: () => ++made, clock })
  credentials = createCredentials({ db, hasher, clock })
  // Inserted directly: the tests need no secrets, and hashing one takes long.
  for (const { clientId, role } of [ROOT, APP, OTHER]) {
    db.connection.run("INSERT INTO credentials VALUES (?, 'no hash', ?, '[]', '', 1, 0, 0)", [clientId, role])
  }
})
afterEach(() => db.destroy())

/** All tokens in the list. */
async function listed(credential: Principal): Promise<TokenView[]> {
  return (await Array.fromAsync(tokens.list(credential))).flat()
}

async function newToken(input: Parameters<Tokens['create']>[0]): Promise<string> {
  return (await tokens.create(input)).token
}

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    if (error instanceof GatewayError) return `${error.code}: ${error.message}`
    throw error
  }
  return 'none'
}

describe('create', () => {
  test('the first token is admin and makes the host identity', async () => {
    const { id, token } = await tokens.create({ credential: ROOT })
    expect(token).toMatch(/^mt_[A-Za-z0-9_-]{43}$/)
    const holder = await tokens.authenticate(token)
    expect(holder).toMatchObject({
      tokenId: id,
      isAdmin: true,
      identity: { id: (await identities.host())?.id },
    })
  })

  test("a plain user's token is never the admin's, though it is the first of all", async () => {
    const users = await tokens.authenticate(await newToken({ credential: APP }))
    expect(users.isAdmin).toBeFalse()
    expect(await identities.host()).toBeNull()
    expect(await failure(newToken({ credential: ROOT, useHost: true }))).toStartWith(
      'bad_request: use_host: no super admin has a token yet',
    )
    const admin = await tokens.authenticate(await newToken({ credential: ROOT }))
    expect(admin.isAdmin).toBeTrue()
    const shared = await tokens.authenticate(await newToken({ credential: ROOT, useHost: true }))
    expect(shared.identity).toEqual(admin.identity)
    expect(shared.identity).not.toEqual(users.identity)
  })

  test.each(['before the next clean-up', 'after it'])(
    "a host identity that an earlier version made of a plain user's token gives way to a super admin's %s",
    async when => {
      const users = await tokens.authenticate(await newToken({ credential: APP }))
      db.connection.run('UPDATE identities SET is_host = 1')
      db.connection.run('UPDATE tokens SET is_admin = 1')
      expect(await failure(newToken({ credential: ROOT, useHost: true }))).toStartWith(
        'bad_request: use_host',
      )
      if (when === 'after it') {
        await tokens.cleanup.tick()
        expect(await identities.host()).toBeNull()
      }
      await newToken({ credential: APP })
      const admin = await tokens.authenticate(await newToken({ credential: ROOT }))
      const shared = await tokens.authenticate(await newToken({ credential: ROOT, useHost: true }))
      expect(shared.identity).toEqual(admin.identity)
      expect((await identities.list()).filter(({ isHost }) => isHost)).toHaveLength(1)
      expect(await identities.find(users.identity.id)).toMatchObject({ isHost: false })
      expect((await listed(APP)).map(token => token.is_admin)).toEqual([false, false])
    },
  )

  test('an identity has a Matrix user of random letters and digits, its access token sealed', async () => {
    await newToken({ credential: ROOT })
    expect(localparts[0]).toMatch(/^[a-z][a-z0-9]{11}$/)
    const [identity] = await identities.list()
    if (!identity) throw new Error('there is no identity')
    expect(identity.matrixUserId).toBe(`@${localparts[0]}:localhost`)
    expect(identity.accessTokenSealed).not.toContain('access-')
    expect(sealer.open(identity.accessTokenSealed ?? '', accessTokenContext(identity.id))).toBe(
      `access-${localparts[0]}`,
    )
  })

  test('of first tokens that come at once, one is admin, and each has its own identity', async () => {
    const made = await Promise.all([1, 2, 3].map(() => newToken({ credential: ROOT })))
    const holders = await Promise.all(made.map(token => tokens.authenticate(token)))
    expect(holders.filter(holder => holder.isAdmin)).toHaveLength(1)
    expect(new Set(holders.map(holder => holder.identity.id)).size).toBe(3)
    expect((await identities.list()).filter(identity => identity.isHost)).toHaveLength(1)
  })

  test('a later token has an identity of its own and is no admin', async () => {
    const first = await tokens.authenticate(await newToken({ credential: ROOT }))
    const second = await tokens.authenticate(await newToken({ credential: APP }))
    expect(second.isAdmin).toBeFalse()
    expect(second.identity.id).not.toBe(first.identity.id)
  })

  test('use_host shares the host identity', async () => {
    const first = await tokens.authenticate(await newToken({ credential: ROOT }))
    const shared = await tokens.authenticate(await newToken({ credential: ROOT, useHost: true }))
    expect(shared.identity).toEqual(first.identity)
    expect(shared.isAdmin).toBeFalse()
  })

  test('the admin stays host when its token is gone', async () => {
    await newToken({ credential: ROOT })
    await tokens.remove(ROOT, 1)
    const next = await tokens.authenticate(await newToken({ credential: ROOT }))
    expect(next.isAdmin).toBeFalse()
  })

  test('refuses use_host on the very first call and without super_admin', async () => {
    expect(await failure(newToken({ credential: ROOT, useHost: true }))).toStartWith('bad_request: use_host')
    await newToken({ credential: ROOT })
    expect(await failure(newToken({ credential: APP, useHost: true }))).toStartWith('forbidden: use_host')
  })

  test('leaves nothing behind when the homeserver fails', async () => {
    homeserverFailure = new GatewayError('homeserver_unavailable', 'down')
    expect(await failure(newToken({ credential: ROOT }))).toStartWith('homeserver_unavailable')
    expect(await identities.list()).toEqual([])
    homeserverFailure = undefined
    expect((await tokens.authenticate(await newToken({ credential: ROOT }))).isAdmin).toBeTrue()
  })

  test.each([
    ['', 'RFC 3339'],
    ['tomorrow', 'RFC 3339'],
    ['2026-12-31', 'RFC 3339'],
    ['2026-12-31T23:59:59', 'RFC 3339'],
    ['2026-13-01T00:00:00Z', 'RFC 3339'],
    ['2027-02-29T00:00:00Z', 'RFC 3339'],
    ['2026-12-31T24:00:00Z', 'RFC 3339'],
    ['2026-12-31 23:59:59Z', 'RFC 3339'],
    ['2026-12-31T23:59:59+0100', 'RFC 3339'],
    ['2026-04-27T10:00:00Z', 'future'],
    ['2026-04-27T11:59:59+02:00', 'future'],
    ['1999-01-01T00:00:00Z', 'future'],
  ])('refuses expires_at %p', async (expiresAt, says) => {
    const failed = await failure(newToken({ credential: ROOT, expiresAt }))
    expect(failed).toStartWith('bad_request: expires_at')
    expect(failed).toContain(says)
    expect(localparts).toEqual([])
  })

  test.each([
    ['2026-12-31T23:59:59Z', '2026-12-31T23:59:59Z'],
    ['2026-12-31t23:59:59.5z', '2026-12-31T23:59:59.500Z'],
    ['2026-12-31T23:59:59.123456+02:00', '2026-12-31T21:59:59.123Z'],
    ['2028-02-29T00:00:00-05:30', '2028-02-29T05:30:00Z'],
    ['2026-12-31T23:59:60Z', '2027-01-01T00:00:00Z'],
  ])('takes expires_at %p', async (expiresAt, stored) => {
    await newToken({ credential: ROOT, expiresAt })
    expect((await listed(ROOT))[0]?.expires_at).toBe(stored)
  })
})

describe('list', () => {
  test('shows a credential its own, and a super admin those of nobody too', async () => {
    await newToken({ credential: ROOT })
    await newToken({ credential: APP })
    await newToken({ credential: OTHER })
    db.connection.run("UPDATE tokens SET credential_id = NULL WHERE credential_id = 'other'")
    expect((await listed(ROOT)).map(token => token.id)).toEqual([1, 3])
    expect((await listed(APP)).map(token => token.id)).toEqual([2])
    expect(await listed(OTHER)).toEqual([])
  })

  test('is whole and in order, though it is read in parts and tokens were made at the same instant', async () => {
    insertMany(450)
    expect((await listed(APP)).map(({ id }) => id)).toEqual(Array.from({ length: 450 }, (_, at) => at + 1))
    expect(await listed(OTHER)).toEqual([])
  })

  test('comes in pages, newest first, each going on where the one before ended', async () => {
    insertMany(5)
    db.connection.run('UPDATE tokens SET credential_id = NULL WHERE id IN (2, 3)')
    const ids: number[][] = []
    let cursor: string | undefined
    do {
      const { data, next } = await tokens.page(ROOT, 1, cursor)
      ids.push(data.map(({ id }) => id))
      // The last item of a page may be deleted before the next page.
      db.connection.run('DELETE FROM tokens WHERE id = ?', [data[0]?.id ?? 0])
      cursor = next ?? undefined
    } while (cursor !== undefined)
    expect(ids).toEqual([[3], [2]])
    expect((await tokens.page(APP, 3, undefined)).data.map(({ id }) => id)).toEqual([5, 4, 1])
    expect((await tokens.page(APP, 3, undefined)).next).toBeNull()
    expect(await failure(tokens.page(APP, 3, 'nonsense'))).toStartWith('bad_request: cursor: expected')
    const cursorOf = (place: unknown[]) => Buffer.from(JSON.stringify(place)).toString('base64url')
    for (const place of [
      [1, 2, 3],
      ['1', 2],
      [1, '2'],
    ])
      expect(await failure(tokens.page(APP, 3, cursorOf(place)))).toStartWith('bad_request: cursor')
  })

  test("skips none of nobody's between a super admin's own", async () => {
    insertMany(5)
    db.connection.run("UPDATE tokens SET credential_id = iif(id % 2, NULL, 'root')")
    const ids: number[] = []
    let cursor: string | null | undefined
    while (cursor !== null) {
      const { data, next } = await tokens.page(ROOT, 1, cursor)
      ids.push(...data.map(({ id }) => id))
      cursor = next
    }
    expect(ids).toEqual([5, 4, 3, 2, 1])
  })

  test('shows neither token nor hash', async () => {
    const token = await newToken({ credential: ROOT })
    const [view] = await listed(ROOT)
    expect(view).toEqual({
      id: 1,
      matrix_username: `@${localparts[0]}:localhost`,
      matrix_device_id: 'DEV',
      is_admin: true,
      expires_at: null,
      last_used_at: null,
      created_at: '2026-04-27T10:00:00Z',
      updated_at: '2026-04-27T10:00:00Z',
    })
    const stored = JSON.stringify(db.connection.query('SELECT * FROM tokens').all())
    expect(stored).not.toContain(token)
    expect(stored).toMatch(/"token_hash":"[0-9a-f]{64}"/)
  })
})

describe('remove', () => {
  test("refuses another credential's token as if there were none", async () => {
    await newToken({ credential: APP })
    expect(await failure(tokens.remove(OTHER, 1))).toBe('not_found: There is no token 1')
    expect(await failure(tokens.remove(ROOT, 1))).toStartWith('not_found')
    expect(await failure(tokens.remove(APP, 99))).toBe('not_found: There is no token 99')
    expect(await failure(tokens.remove(APP, 1))).toBe('none')
  })

  test('counts at once, also for a token that was just used', async () => {
    const token = await newToken({ credential: APP })
    await tokens.authenticate(token)
    await tokens.remove(APP, 1)
    expect(await failure(tokens.authenticate(token))).toStartWith('forbidden')
  })
})

describe('authenticate', () => {
  test.each(['', 'x', 'mt_', `mt_${'A'.repeat(43)}`, 'Bearer', `mt_${'é'.repeat(43)}`])(
    'refuses %p',
    async token => {
      expect(await failure(tokens.authenticate(token))).toBe('forbidden: This token is unknown')
    },
  )

  test('refuses a token from the very instant it expires', async () => {
    const token = await newToken({ credential: APP, expiresAt: '2026-04-27T10:00:02Z' })
    await clock.advance(1_999)
    expect(await failure(tokens.authenticate(token))).toBe('none')
    await clock.advance(1)
    expect(await failure(tokens.authenticate(token))).toBe('forbidden: This token has expired')
  })

  test('refuses the tokens of a credential that is inactive, and takes them again afterwards', async () => {
    const token = await newToken({ credential: APP })
    await tokens.authenticate(token)
    await credentials.update(ROOT, 'app', { active: false })
    expect(await failure(tokens.authenticate(token))).toStartWith('forbidden')
    await credentials.update(ROOT, 'app', { active: true })
    expect(await failure(tokens.authenticate(token))).toBe('none')
  })

  test('a deleted credential takes its tokens with it', async () => {
    const token = await newToken({ credential: APP })
    const kept = await newToken({ credential: OTHER })
    await tokens.authenticate(token)
    await credentials.remove(ROOT, 'app')
    expect(await failure(tokens.authenticate(token))).toStartWith('forbidden')
    expect(await failure(tokens.authenticate(kept))).toBe('none')
  })

  test('notices within seconds what another process deleted', async () => {
    const token = await newToken({ credential: APP })
    await tokens.authenticate(token)
    db.connection.run('DELETE FROM tokens')
    expect(await failure(tokens.authenticate(token))).toBe('none')
    await clock.advance(5_000)
    expect(await failure(tokens.authenticate(token))).toStartWith('forbidden')
  })

  test('notices it also when the clock is set back meanwhile, and an expiry when it is set ahead', async () => {
    const token = await newToken({ credential: APP })
    const expiresAt = new Date(clock.now() + 60_000).toISOString()
    const brief = await newToken({ credential: OTHER, expiresAt })
    for (const each of [token, brief]) await tokens.authenticate(each)
    clock.set(60_000)
    expect(await failure(tokens.authenticate(brief))).toStartWith('forbidden')
    clock.set(-3_600_000)
    db.connection.run('DELETE FROM tokens')
    await clock.advance(5_000)
    expect(await failure(tokens.authenticate(token))).toStartWith('forbidden')
  })

  test('takes a token of no credential', async () => {
    const token = await newToken({ credential: APP })
    db.connection.run('UPDATE tokens SET credential_id = NULL')
    expect(await failure(tokens.authenticate(token))).toBe('none')
  })
})

describe('workers', () => {
  const lastUsed = () =>
    db.connection.query<{ last_used_at: number | null }, []>('SELECT last_used_at FROM tokens').get()
      ?.last_used_at

  test('last_used_at is written together, every few seconds and at the end', async () => {
    const token = await newToken({ credential: APP })
    const stop = new AbortController()
    const running = tokens.usage.run(stop.signal)
    await settled()
    await tokens.authenticate(token)
    expect(lastUsed()).toBeNull()
    await clock.advance(5_000)
    await settled()
    expect(lastUsed()).toBe(Date.UTC(2026, 3, 27, 10))
    await tokens.authenticate(token)
    stop.abort()
    await running
    expect(lastUsed()).toBe(Date.UTC(2026, 3, 27, 10, 0, 5))
  })

  test('a list is up to date without waiting for the worker', async () => {
    await tokens.authenticate(await newToken({ credential: APP }))
    expect((await listed(APP))[0]?.last_used_at).toBe('2026-04-27T10:00:00Z')
  })

  test('expired tokens are deleted, others stay', async () => {
    await newToken({ credential: APP, expiresAt: '2026-04-27T10:30:00Z' })
    await newToken({ credential: APP, expiresAt: '2026-04-27T12:30:00Z' })
    await newToken({ credential: APP })
    const stop = new AbortController()
    const running = tokens.cleanup.run(stop.signal)
    await settled()
    expect(await listed(APP)).toHaveLength(3)
    await clock.advance(3_600_000)
    expect((await listed(APP)).map(({ id }) => id)).toEqual([2, 3])
    stop.abort()
    await running
    expect(clock.sleeping).toBe(0)
  })
})

describe('ids', () => {
  test('tell nobody how many tokens others have, and fit into 31 bits', async () => {
    const ours = createTokens({ db, identities, hasher: createHmacHasher(Buffer.from('ids')), clock })
    const create = (credential: Principal) => ours.create({ credential })
    await create(APP)
    for (let made = 0; made < 3; made += 1) await create(OTHER)
    await clock.advance(1)
    await create(APP)
    const [first = 0, last = 0] = (await listed(APP)).map(({ id }) => id)
    expect(Math.abs(last - first)).not.toBe(4)
    for (const id of [first, last]) {
      expect(id).toBeGreaterThan(1_000)
      expect(id).toBeLessThan(2 ** 31)
    }
  })

  test('are listed by age, and none is used again while something is kept under it', async () => {
    db.connection.run("INSERT INTO idempotency_keys VALUES ('token/7', 'k', 'f', NULL, 0)")
    const drawn = [9, 9, 7, 5]
    const repository = createTokenRepository(db, () => drawn.shift() ?? 0)
    const ownership = { clientId: APP.clientId, orphans: false }
    // Both are created within a millisecond.
    const times = { createdAt: 1, updatedAt: 1 }
    for (const tokenHash of ['one', 'two']) {
      const token = { tokenHash, credentialId: APP.clientId, expiresAt: null, ...times }
      await repository.insertWithIdentity(token, await identities.prepare(), true, async () => undefined)
    }
    const made = await repository.page(ownership, 'oldest first', null, 9)
    expect(made.map(({ id }) => id)).toEqual([9, 5])
  })
})

/** Inserts tokens of APP with ids from 1 on, two at each instant. */
function insertMany(count: number): void {
  db.connection.run(
    `WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < ?1)
     INSERT INTO identities (id, matrix_user_id, matrix_device_id, is_host, created_at, updated_at)
     SELECT printf('id_%05d', n), '@mg' || n || ':s', 'D', 0, 0, 0 FROM c`,
    [count],
  )
  db.connection.run(
    `INSERT INTO tokens (id, token_hash, identity_id, credential_id, is_admin, created_at, updated_at)
     SELECT row_number() OVER (ORDER BY id), id, id, ?, 0, row_number() OVER (ORDER BY id) / 2, 0 FROM identities`,
    [APP.clientId],
  )
}
