/**
 * Numbers of people whose Matrix users don't show them: a bridge is asked for them, and not too
 * often.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { contacts, type Device, ghostPhones } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { BridgeContact } from '../../../src/domain/ports.ts'
import type { PeoplesPhones } from '../../../src/modules/chats/phones.ts'
import { type ManualClock, settled } from '../../support/manual-clock.ts'
import { insertDevice } from '../../support/rows.ts'
import type { TempDb } from '../../support/temp-db.ts'
import { testModule } from '../../support/test-module.ts'
import { waitFor } from '../../support/wait-for.ts'

const LID = '@whatsapp_lid-55:s'
const HOUR_MS = 3_600_000

let db: TempDb
let clock: ManualClock
let device: Device
let asked: string[]
let answer: () => Promise<string | null>
let phones: PeoplesPhones
/** As in the profile at the homeserver. */
let identifiers: () => Promise<string[]>

beforeEach(() => {
  asked = []
  identifiers = async () => []
  answer = async () => '237600000'
  const resolveIdentifier = async (
    _user: string,
    _login: string,
    identifier: string,
  ): Promise<BridgeContact> => {
    asked.push(identifier)
    const phone = await answer()
    return { id: 'lid-55', matrixUserId: LID, name: 'Ann', phone, identifiers: [], roomId: null }
  }
  ;({ db, clock, phones } = testModule({
    bridge: { resolveIdentifier },
    session: { identifiersOf: () => identifiers() },
  }))
  device = insertDevice(db)
})
afterEach(() => db.destroy())

test('a ghost that shows its number is asked about nobody', async () => {
  expect(await phones.ofSender(device, '@whatsapp_237611111:s')).toBe('237611111')
  expect(await phones.of(device, '@whatsapp_237611111:s')).toBe('237611111')
  expect(await phones.ofSender(device, '@whatsappbot:s')).toBeNull()
  expect(asked).toEqual([])
  const shown = { id: '237611111', name: 'Ann', phone: '237611111', identifiers: [], roomId: null }
  await phones.note(device, { ...shown, matrixUserId: '@whatsapp_237611111:s' })
  expect(db.orm.select().from(ghostPhones).all()).toEqual([])
})

test('what the bridge says of a hidden id is asked for once, and known in each spelling', async () => {
  expect(await phones.ofSender(device, LID)).toBeUndefined()
  await Promise.all([phones.learn(device, [LID]), phones.learn(device, [LID])])
  expect(asked).toEqual(['lid-55'])
  expect(await phones.ofSender(device, LID)).toBe('237600000')
  for (const written of [LID, 'lid-55', '55@lid', '55:3@lid'])
    expect(await phones.of(device, written)).toBe('237600000')
  expect(await phones.of(device, 'somebody')).toBeNull()
  expect(await phones.of({ ...device, id: 'dev_2' }, LID)).toBeNull()
})

test('a number in the profile at the homeserver is taken from there, without the bridge', async () => {
  identifiers = async () => ['mailto:ann@example.org', 'tel:+237611111']
  await phones.learn(device, [LID])
  expect(await phones.ofSender(device, LID)).toBe('237611111')
  expect(asked).toEqual([])
})

test('a homeserver that shows no profile is no reason not to ask the bridge', async () => {
  identifiers = () => Promise.reject(new GatewayError('homeserver_error', 'no'))
  await phones.learn(device, [LID])
  expect(await phones.ofSender(device, LID)).toBe('237600000')
})

test('a number that has changed is found out within a day, while nobody waits', async () => {
  await phones.learn(device, [LID])
  identifiers = async () => ['tel:+237611111']
  await clock.advance(23 * HOUR_MS)
  expect(await phones.ofSender(device, LID)).toBe('237600000')
  await clock.advance(2 * HOUR_MS)
  expect(await phones.ofSender(device, LID)).toBe('237600000')
  await waitFor(async () => (await phones.ofSender(device, LID)) === '237611111')
  expect(asked).toHaveLength(1)
})

test('a number that nobody knows any more stays known', async () => {
  await phones.learn(device, [LID])
  answer = () => Promise.reject(new GatewayError('not_found', 'nobody'))
  await clock.advance(25 * HOUR_MS)
  expect(await phones.ofSender(device, LID)).toBe('237600000')
  await waitFor(() => asked.length === 3)
  await settled()
  expect(await phones.ofSender(device, LID)).toBe('237600000')
})

test('a number is not checked while its bridge is away, nor ever where the address book has it', async () => {
  await phones.learn(device, [LID])
  answer = () => Promise.reject(new GatewayError('bridge_unavailable', 'away'))
  await clock.advance(25 * HOUR_MS)
  for (let time = 0; time < 3; time++) {
    expect(await phones.ofSender(device, LID)).toBe('237600000')
    await waitFor(() => asked.length === 2)
    await settled()
  }
  const inBook = { deviceRowId: 'dev_1', matrixUserId: LID, name: 'Ann', phone: '237600000', seenAt: 1 }
  db.orm.insert(contacts).values(inBook).run()
  await clock.advance(20_000)
  expect(await phones.ofSender(device, LID)).toBe('237600000')
  await settled()
  expect(asked).toHaveLength(2)
})

test.each([
  ['has no number for', async () => null],
  ['does not know', () => Promise.reject(new GatewayError('not_found', 'nobody'))],
])('somebody whom the bridge %s is asked for again after an hour', async (_, said) => {
  answer = said
  await phones.learn(device, [LID])
  expect(await phones.ofSender(device, LID)).toBeNull()
  await clock.advance(HOUR_MS + 1)
  expect(await phones.ofSender(device, LID)).toBeUndefined()
})

test('by a clock that was set back since, it is asked for again, too', async () => {
  answer = async () => null
  await phones.learn(device, [LID])
  clock.set(-24 * HOUR_MS)
  expect(await phones.ofSender(device, LID)).toBeUndefined()
})

test('a bridge that cannot be asked is left alone for a while, and is not taken to know nothing', async () => {
  answer = async () => Promise.reject(new GatewayError('bridge_unavailable', 'away'))
  await phones.learn(device, [LID, '@whatsapp_lid-56:s'])
  await phones.learn(device, [LID])
  expect(asked).toHaveLength(1)
  expect(await phones.ofSender(device, LID)).toBeUndefined()
  await clock.advance(20_000)
  answer = async () => '237600000'
  await phones.learn(device, [LID])
  expect(await phones.ofSender(device, LID)).toBe('237600000')
})

test('a message does not wait for a bridge that takes its time; its answer is kept when it comes', async () => {
  const late = Promise.withResolvers<string>()
  answer = () => late.promise
  const learned = phones.learn(device, [LID, '@whatsapp_lid-56:s'])
  await clock.advance(1_000)
  await learned
  await phones.learn(device, ['@whatsapp_lid-57:s'])
  expect(asked).toEqual(['lid-55'])
  late.resolve('237600000')
  await clock.advance(1)
  expect(await phones.ofSender(device, LID)).toBe('237600000')
})

test('where ids are no numbers nobody is asked about', async () => {
  const signal = { ...device, loginId: 'uuid', ghostUserId: '@signal_uuid:s' }
  expect(await phones.ofSender(signal, '@signal_other:s')).toBeNull()
})
