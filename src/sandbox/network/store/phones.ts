/** Tables of phones and their address books. */
import type { Database } from 'bun:sqlite'
import { SANDBOX_PLATFORMS, type SandboxPlatform } from '../../platforms.ts'
import { generatedName } from '../phone-number.ts'
import type { Contact, Phone } from '../types.ts'

interface PhoneRow {
  phone: string
  name: string
  echo: number
  platforms: string
  two_factor: string | null
}

export type PhoneStore = ReturnType<typeof createPhoneStore>

export function createPhoneStore(database: Database) {
  const sql = {
    phone: database.query<PhoneRow, [string]>('SELECT * FROM sandbox_phone WHERE phone = ?'),
    phones: database.query<PhoneRow, []>('SELECT * FROM sandbox_phone ORDER BY created_at, phone'),
    addPhone: database.query(
      'INSERT OR IGNORE INTO sandbox_phone (phone, name, echo, platforms, created_at) VALUES (?, ?, 1, ?, ?)',
    ),
    putPhone: database.query(
      `INSERT INTO sandbox_phone (phone, name, echo, platforms, two_factor, created_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (phone) DO UPDATE SET name = excluded.name, echo = excluded.echo, platforms = excluded.platforms,
         two_factor = excluded.two_factor`,
    ),
    putContact: database.query(
      'INSERT OR REPLACE INTO sandbox_contact (phone, contact, name) VALUES (?, ?, ?)',
    ),
    contacts: database.query<Contact, [string]>(
      'SELECT contact AS phone, name FROM sandbox_contact WHERE phone = ? ORDER BY name, contact',
    ),
    contact: database.query<{ name: string }, [string, string]>(
      'SELECT name FROM sandbox_contact WHERE phone = ? AND contact = ?',
    ),
  }

  return {
    /** @returns the stored phone, or a new one's defaults; it may not exist on the network */
    phone(phone: string): Phone {
      const row = sql.phone.get(phone)
      if (row) return toPhone(row)
      return { phone, name: generatedName(phone), echo: true, platforms: SANDBOX_PLATFORMS, twoFactor: null }
    },
    hasPhone: (phone: string): boolean => sql.phone.get(phone) !== null,
    phones: (): Phone[] => sql.phones.all().map(toPhone),
    addPhone: (phone: string, now: number): void =>
      void sql.addPhone.run(phone, generatedName(phone), JSON.stringify(SANDBOX_PLATFORMS), now),
    putPhone: (phone: Phone, now: number): void =>
      void sql.putPhone.run(
        phone.phone,
        phone.name,
        phone.echo ? 1 : 0,
        JSON.stringify(phone.platforms),
        phone.twoFactor,
        now,
      ),
    putContact: (phone: string, contact: Contact): void =>
      void sql.putContact.run(phone, contact.phone, contact.name),
    contacts: (phone: string): Contact[] => sql.contacts.all(phone),
    /** Name of `contact` in the address book of `phone`. */
    contactName: (phone: string, contact: string): string | null =>
      sql.contact.get(phone, contact)?.name ?? null,
  }
}

function toPhone(row: PhoneRow): Phone {
  return {
    phone: row.phone,
    name: row.name,
    echo: row.echo === 1,
    platforms: JSON.parse(row.platforms) as SandboxPlatform[],
    twoFactor: row.two_factor,
  }
}
