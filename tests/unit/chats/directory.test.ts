/** Whom a device can write to, on networks that list everybody, and on those that only search. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge, BridgeContact } from '../../../src/domain/ports.ts'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { createDirectory } from '../../../src/modules/chats/directory.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { bridgesWith, moduleOn } from '../../support/test-module.ts'

let db: TempDb

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  insertDevice(db)
})
afterEach(() => db.destroy())

const person = (id: string, name: string): BridgeContact => ({
  id,
  name,
  matrixUserId: null,
  phone: null,
  identifiers: [],
  roomId: null,
})
const jonas = person('U1', 'Jonas Weber')
const ada = person('U2', 'Ada')

const directoryOf = (bridge: Partial<Bridge>) =>
  createDirectory({
    bridges: bridgesWith(bridge),
    devices: { linked: async () => [], find: async () => db.orm.query.devices.findFirst().sync() ?? null },
    chats: createChatRepository(db),
    phones: moduleOn(db).phones,
    matrixUserOf: async () => '@mg1:s',
  })

async function namesFor(bridge: Partial<Bridge>, query: string): Promise<string[]> {
  const found = await directoryOf(bridge).contacts('id_1', '237', { platform: null, query, limit: 10 })
  return found.map(({ name }) => name)
}

test('of an address book those who match are listed, by name', async () => {
  const contacts = async () => [jonas, ada]
  expect(await namesFor({ contacts }, '')).toEqual(['Ada', 'Jonas Weber'])
  expect(await namesFor({ contacts }, 'weber')).toEqual(['Jonas Weber'])
})

test('whom a network finds are listed, whatever it found them by', async () => {
  const contacts = async () => {
    throw new GatewayError('not_supported', 'no address book')
  }
  const search = async () => [jonas]
  expect(await namesFor({ contacts, search }, 'jonas@example.org')).toEqual(['Jonas Weber'])
  await expect(namesFor({ contacts, search }, '')).rejects.toThrow('no address book')
})

test.each(['', ' ', '.', '..', '\x13', '\u200b.'])(
  'a check of "%s" is no call of the bridge',
  async identifier => {
    const resolveIdentifier = async () => jonas
    await expect(
      directoryOf({ resolveIdentifier }).check('id_1', '237', null, identifier),
    ).rejects.toMatchObject({
      code: 'bad_request',
      message: 'identifier: expected a phone number, a handle or an id',
    })
  },
)

test('a device that is logged out has nobody to ask: it is to be linked again', async () => {
  db.connection.run("UPDATE devices SET state = 'logged_out', state_reason = 'at the phone'")
  const directory = directoryOf({})
  const options = { platform: null, limit: 10 }
  const asked = [
    () => directory.contacts('id_1', '237', options),
    () => directory.groups('id_1', '237', null),
    () => directory.check('id_1', '237', null, '1'),
  ]
  for (const ask of asked)
    await expect(ask()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('is logged out (at the phone): link it again with POST'),
    })
})
