/** The first start stores the homeserver's name; later starts accept no other. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { identities } from '../../../src/db/schema/index.ts'
import { createIdentityRepository } from '../../../src/modules/tenants/identity-repository.ts'
import { keepServerName } from '../../../src/modules/tenants/server-name.ts'
import { createSettingsRepository } from '../../../src/modules/tenants/settings-repository.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
beforeEach(() => {
  db = tempDb()
})
afterEach(() => db.destroy())

const keep = (name: string) =>
  keepServerName(name, createSettingsRepository(db), createIdentityRepository(db))

test('the first name stays', async () => {
  await keep('example.com:8448')
  await keep('example.com:8448')
  expect(keep('localhost')).rejects.toThrow(
    'MATRIX_SERVER_NAME: this database belongs to "example.com:8448"; set that name again',
  )
})

test('a database from before the name was remembered has that of its users', async () => {
  db.orm
    .insert(identities)
    .values({
      id: 'id_1',
      matrixUserId: '@mgabcdefghij:example.com:8448',
      matrixDeviceId: 'D',
      accessTokenSealed: null,
      isHost: true,
      createdAt: 1,
      updatedAt: 1,
    })
    .run()
  expect(keep('localhost')).rejects.toThrow('belongs to "example.com:8448"')
  await keep('example.com:8448')
})
