/** Whom a device can write to, on networks that list everybody, and on those that only search. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge, BridgeContact } from '../../../src/domain/ports.ts'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { type ContactPlace, createDirectory } from '../../../src/modules/chats/directory.ts'
import { createPeopleRepository } from '../../../src/modules/chats/people-repository.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { bridgesWith, moduleOn } from '../../support/test-module.ts'

let db: TempDb
let clock: ManualClock

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
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

const directoryOf = (bridge: Partial<Bridge>, phones = moduleOn(db).phones) =>
  createDirectory({
    bridges: bridgesWith(bridge),
    devices: { linked: async () => [], find: async () => db.orm.query.devices.findFirst().sync() ?? null },
    chats: createChatRepository(db),
    phones,
    avatars: moduleOn(db).avatars,
    matrixUserOf: async () => '@mg1:s',
    clock,
  })

async function namesFor(bridge: Partial<Bridge>, query: string): Promise<string[]> {
  const found = await directoryOf(bridge).contacts('id_1', '237', { platform: null, query, limit: 10 })
  return found.data.map(({ name }) => name)
}

test('of an address book those who match are listed, by name', async () => {
  const contacts = async () => [jonas, ada]
  expect(await namesFor({ contacts }, '')).toEqual(['Ada', 'Jonas Weber'])
  expect(await namesFor({ contacts }, 'weber')).toEqual(['Jonas Weber'])
})

test('pages lead on behind the last one, also among people of the same name', async () => {
  const book = [jonas, ada, person('U3', 'Ada'), person('U4', 'Zoe')]
  const directory = directoryOf({ contacts: async () => book })
  const ids: string[][] = []
  let after: ContactPlace | undefined
  for (let pages = 0; pages < 2; pages++) {
    const page = await directory.contacts('id_1', '237', { platform: null, limit: 2, after })
    ids.push(page.data.map(({ id }) => id))
    after = page.next ?? undefined
  }
  expect(ids).toEqual([
    ['U2', 'U3'],
    ['U1', 'U4'],
  ])
  expect(after).toBeUndefined()
})

test('a contact has the address of their picture', async () => {
  const pictured = { ...ada, avatarUri: 'mxc://s/ada' }
  const directory = directoryOf({ contacts: async () => [pictured, jonas] })
  const { data } = await directory.contacts('id_1', '237', { platform: null, limit: 2 })
  expect(data.map(({ avatar_url: url }) => url)).toEqual(['http://x/mxc://s/ada', null])
})

describe('a check of several', () => {
  /** Knows Jonas by his id, and that nobody else is there. */
  const resolveIdentifier = async (_user: string, _login: string, identifier: string) => {
    if (identifier === jonas.id) return jonas
    if (identifier === 'odd') throw new GatewayError('bad_request', 'not a number')
    throw new GatewayError('not_found', 'nobody')
  }
  const many = (count: number) => Array.from({ length: count }, (_, index) => `U${index + 1}`)

  test('says of each what a check of one says, in order', async () => {
    const { check, checkAll } = directoryOf({ resolveIdentifier })
    const { data } = await checkAll('id_1', '237', null, ['U9', 'U1', 'U1'])
    const nobody = await check('id_1', '237', null, 'U9')
    const found = await check('id_1', '237', null, 'U1')
    expect(data).toEqual([
      { number: 'U9', ...nobody },
      { number: 'U1', ...found },
      { number: 'U1', ...found },
    ])
    expect([nobody.exists, found.exists]).toEqual([false, true])
  })

  test('names the number that is none, before or after its bridge was asked', async () => {
    const { checkAll } = directoryOf({ resolveIdentifier })
    await expect(checkAll('id_1', '237', null, ['U1', '..'])).rejects.toThrow(/^numbers\.1: expected/)
    await expect(checkAll('id_1', '237', null, ['U1', 'odd'])).rejects.toThrow('numbers.1: not a number')
  })

  test('is refused beyond a hundred numbers, until there are as many again', async () => {
    let asked = 0
    const { checkAll } = directoryOf({
      resolveIdentifier: (...input) => {
        asked++
        return resolveIdentifier(...input)
      },
    })
    for (let call = 0; call < 5; call++) await checkAll('id_1', '237', null, many(20))
    const before = asked
    const late = () => checkAll('id_1', '237', null, many(2))
    await expect(late()).rejects.toMatchObject({ code: 'too_many_requests', retryAfterS: 12 })
    expect(asked).toBe(before)
    await clock.advance(11_000)
    await expect(late()).rejects.toMatchObject({ retryAfterS: 1 })
    await clock.advance(1_000)
    expect((await late()).data).toHaveLength(2)
  })
})

describe('somebody with a number and a hidden id', () => {
  const LID = '@whatsapp_lid-5:s'
  const byNumber = {
    ...person('4915', 'Lena'),
    matrixUserId: '@whatsapp_4915:s',
    phone: '4915',
    identifiers: ['tel:+4915'],
  }
  const byLid = { ...person('lid-5', 'lid-5'), matrixUserId: LID, identifiers: ['x:5'], roomId: '!r:s' }
  const list = async (contacts: BridgeContact[], query?: string) => {
    const asked = { platform: null, query, limit: 10 }
    return (await directoryOf({ contacts: async () => contacts }).contacts('id_1', '237', asked)).data
  }

  test('is one contact, with the chat that there is and the name that somebody gave', async () => {
    const found = await list([byNumber, { ...byLid, phone: '4915' }, jonas])
    expect(found).toMatchObject([
      { name: 'Jonas Weber', native_ids: ['U1'] },
      {
        id: 'lid-5',
        name: 'Lena',
        phone: '4915',
        native_ids: ['lid-5', '4915'],
        matrix_id: LID,
        room: '!r:s',
        identifiers: ['x:5', 'tel:+4915'],
      },
    ])
  })

  test('is one also where their bridge doesn’t tell the number of the hidden id but we know it', async () => {
    expect(await list([byNumber, byLid])).toHaveLength(2)
    await createPeopleRepository(db).putPhone('dev_1', LID, '4915', 1)
    expect(await list([byNumber, byLid], '+49 15')).toMatchObject([{ native_ids: ['lid-5', '4915'] }])
    const { check } = directoryOf({ resolveIdentifier: async () => byLid })
    expect(await check('id_1', '237', null, '4915')).toMatchObject({
      id: 'lid-5',
      phone: '4915',
      native_ids: ['lid-5'],
    })
  })

  test('is looked up in the profile by a check, if their bridge doesn’t tell the number', async () => {
    const session = { identifiersOf: async () => ['tel:+4915'] }
    const { phones } = moduleOn(db, { session })
    const { check } = directoryOf({ resolveIdentifier: async () => byLid }, phones)
    expect(await check('id_1', '237', null, 'lid-5')).toMatchObject({ id: 'lid-5', phone: '4915' })
  })

  test('has all ids that are known in a check', async () => {
    const people = createPeopleRepository(db)
    await people.putPhone('dev_1', LID, '4915', 1)
    await people.replaceContacts('dev_1', [{ matrixUserId: '@whatsapp_4915:s', name: 'L', phone: '4915' }], 1)
    const { check, checkAll } = directoryOf({ resolveIdentifier: async () => byLid })
    expect((await check('id_1', '237', null, '4915')).native_ids).toEqual(['lid-5', '4915'])
    const { data } = await checkAll('id_1', '237', null, ['4915', 'lid-5'])
    for (const { number: _, ...one } of data) expect(one).toEqual(await check('id_1', '237', null, '4915'))
  })
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
