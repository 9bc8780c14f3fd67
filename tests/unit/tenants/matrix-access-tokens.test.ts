/** Access tokens of identities are stored sealed, and replaced in one write. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { identities } from '../../../src/db/schema/index.ts'
import { createSealer } from '../../../src/lib/sealing.ts'
import { createIdentityRepository } from '../../../src/modules/tenants/identity-repository.ts'
import { createAccessTokenStore } from '../../../src/modules/tenants/matrix-access-tokens.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity, insertToken, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
})
afterEach(() => db.destroy())

const storeWith = (secretKey: string) =>
  createAccessTokenStore({
    repository: createIdentityRepository(db),
    sealer: createSealer(secretKey),
    clock: new ManualClock(),
  })

test('a token is there again, and not in clear', async () => {
  const store = storeWith('a secret key')
  expect(await store.find('@mg1:s')).toEqual({ userId: '@mg1:s', deviceId: 'D', accessToken: null })
  await store.replace({ userId: '@mg1:s', deviceId: 'E', accessToken: 'syt_secret' })
  expect(await store.find('@mg1:s')).toEqual({ userId: '@mg1:s', deviceId: 'E', accessToken: 'syt_secret' })
  expect(JSON.stringify(db.orm.select().from(identities).all())).not.toContain('syt_secret')
})

test('one that was sealed under another SECRET_KEY is as good as none', async () => {
  await storeWith('a secret key').replace({ userId: '@mg1:s', deviceId: 'D', accessToken: 'syt_secret' })
  expect((await storeWith('another').find('@mg1:s'))?.accessToken).toBeNull()
})

test('who is no identity of ours has none', async () => {
  expect(await storeWith('a secret key').find('@mg9:s')).toBeNull()
})

test('those that somebody can reach, or that still have something, have a /sync', async () => {
  const repository = createIdentityRepository(db)
  const users = async () => (await repository.syncPositions()).map(({ userId }) => userId)
  expect(await users()).toEqual([])
  insertToken(db)
  insertIdentity(db, 'id_2', '@mg2:s')
  insertWebhook(db, { identityId: 'id_2' })
  insertIdentity(db, 'id_3', '@mg3:s')
  insertDevice(db, { id: 'dev_3', identityId: 'id_3' })
  insertIdentity(db, 'id_4', '@mg4:s')
  insertDevice(db, { id: 'dev_4', identityId: 'id_4', state: 'logged_out', removedAt: 1 })
  expect((await users()).toSorted()).toEqual(['@mg1:s', '@mg2:s', '@mg3:s'])
})
