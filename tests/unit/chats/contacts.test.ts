/** The address book: whether a sender is a contact. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Device } from '../../../src/db/schema/index.ts'
import type { Bridge, BridgeContact } from '../../../src/domain/ports.ts'
import type { Contacts } from '../../../src/modules/chats/contacts.ts'
import { createPeopleRepository } from '../../../src/modules/chats/people-repository.ts'
import type { ManualClock } from '../../support/manual-clock.ts'
import { insertDevice } from '../../support/rows.ts'
import type { TempDb } from '../../support/temp-db.ts'
import { testModule } from '../../support/test-module.ts'

let db: TempDb
let clock: ManualClock
let device: Device
let asked: number
let fetchBook: () => Promise<BridgeContact[]>
let contacts: Contacts

const ANN: BridgeContact = {
  id: '1',
  matrixUserId: '@whatsapp_1:s',
  name: 'Ann',
  phone: '1',
  identifiers: [],
  roomId: null,
}

beforeEach(() => {
  asked = 0
  fetchBook = async () => [ANN, { ...ANN, matrixUserId: null, name: 'without a Matrix user' }]
  const bridge: Partial<Bridge> = {
    contacts: () => {
      asked++
      return fetchBook()
    },
  }
  ;({ db, clock, contacts } = testModule({ bridge }))
  device = insertDevice(db)
})
afterEach(() => db.destroy())

test('a contact is known after one look at the address book, a stranger stays one', async () => {
  expect(await contacts.lookUp(device, '@whatsapp_1:s', null)).toMatchObject({ name: 'Ann', phone: '1' })
  expect(await contacts.lookUp(device, '@whatsapp_2:s', null)).toBeNull()
  expect(await contacts.lookUp(device, '@whatsapp_1:s', null)).toMatchObject({ name: 'Ann' })
  expect(asked).toBe(1)
})

test('a contact is also known by their number, whichever of their Matrix users speaks', async () => {
  expect(await contacts.lookUp(device, '@whatsapp_lid-9:s', '1')).toMatchObject({ name: 'Ann' })
  expect(await contacts.lookUp(device, '@whatsapp_lid-9:s', '2')).toBeNull()
  expect(await contacts.lookUp({ ...device, id: 'dev_2' }, '@whatsapp_lid-9:s', '1')).toBeNull()
})

test('a contact whom the book has by a hidden id without a number is known by that, too', async () => {
  fetchBook = async () => [{ ...ANN, matrixUserId: '@whatsapp_lid-9:s', phone: null }]
  expect(await contacts.lookUp(device, '@whatsapp_1:s', '1')).toBeNull()
  await createPeopleRepository(db).putPhone('dev_1', '@whatsapp_lid-9:s', '1', 1)
  expect(await contacts.lookUp(device, '@whatsapp_1:s', '1')).toMatchObject({ name: 'Ann' })
})

test('a stranger who was saved since is a contact once the address book is asked again', async () => {
  expect(await contacts.lookUp(device, '@whatsapp_2:s', null)).toBeNull()
  fetchBook = async () => [ANN, { ...ANN, matrixUserId: '@whatsapp_2:s', name: 'Bo' }]
  expect(await contacts.lookUp(device, '@whatsapp_2:s', null)).toBeNull()
  await clock.advance(20_000)
  expect(await contacts.lookUp(device, '@whatsapp_2:s', null)).toMatchObject({ name: 'Bo' })
  expect(asked).toBe(2)
})

test('a bridge without an address book, or one that hangs, delays a delivery by a moment and no more', async () => {
  fetchBook = () => Promise.reject(new Error('not supported'))
  expect(await contacts.lookUp(device, '@whatsapp_1:s', null)).toBeNull()
  await clock.advance(20_000)
  fetchBook = () => new Promise(() => undefined)
  const answer = contacts.lookUp(device, '@whatsapp_1:s', null)
  await clock.advance(1_000)
  expect(await answer).toBeNull()
})

test('of a long address book only what has changed is written, and what is gone is forgotten', async () => {
  const entry = (number: number): BridgeContact => ({
    ...ANN,
    matrixUserId: `@whatsapp_${String(number).padStart(4, '0')}:s`,
    name: `Contact ${number}`,
  })
  const book = Array.from({ length: 1_000 }, (_none, number) => entry(number))
  fetchBook = async () => book
  await contacts.refresh(device)
  const rows = () => db.connection.query('SELECT * FROM contacts ORDER BY matrix_user_id').all()
  const before = rows()
  expect(before).toHaveLength(1_000)
  await clock.advance(20_000)
  const writes: number[] = []
  const unwatch = db.committer.watch(count => writes.push(count))
  await contacts.refresh(device)
  expect([rows(), writes]).toEqual([before, []])
  fetchBook = async () => [...book.slice(0, 998), { ...entry(998), name: 'Renamed' }, entry(1_000)]
  await contacts.refresh(device)
  unwatch()
  expect(rows().slice(0, 998)).toEqual(before.slice(0, 998))
  expect(rows().slice(998)).toMatchObject([{ name: 'Renamed' }, { name: 'Contact 1000' }])
})
