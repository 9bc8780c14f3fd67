/** Tables of phones and their address books. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'
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
  const { one, all, run } = statementsOf(database)
  const find = one<PhoneRow, [string]>('SELECT * FROM sandbox_phone WHERE phone = ?')
  const phones = all<PhoneRow>('SELECT * FROM sandbox_phone ORDER BY created_at, phone')
  const add = run<[string, string, string, number]>(
    'INSERT OR IGNORE INTO sandbox_phone (phone, name, echo, platforms, created_at) VALUES (?, ?, 1, ?, ?)',
  )
  const put = run<[string, string, number, string, string | null, number]>(
    `INSERT INTO sandbox_phone (phone, name, echo, platforms, two_factor, created_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (phone) DO UPDATE SET name = excluded.name, echo = excluded.echo, platforms = excluded.platforms,
       two_factor = excluded.two_factor`,
  )
  const contactName = one<{ name: string }, [string, string]>(
    'SELECT name FROM sandbox_contact WHERE phone = ? AND contact = ?',
  )

  return {
    /** @returns the stored phone, or a new one's defaults; it may not exist on the network */
    phone(phone: string): Phone {
      const row = find(phone)
      if (row) return toPhone(row)
      return { phone, name: generatedName(phone), echo: true, platforms: SANDBOX_PLATFORMS, twoFactor: null }
    },
    hasPhone: (phone: string): boolean => find(phone) !== undefined,
    phones: (): Phone[] => phones().map(toPhone),
    addPhone: (phone: string, now: number) =>
      add(phone, generatedName(phone), JSON.stringify(SANDBOX_PLATFORMS), now),
    putPhone: ({ phone, name, echo, platforms, twoFactor }: Phone, now: number) =>
      put(phone, name, echo ? 1 : 0, JSON.stringify(platforms), twoFactor, now),
    putContact: run<[phone: string, contact: string, name: string]>(
      'INSERT OR REPLACE INTO sandbox_contact (phone, contact, name) VALUES (?, ?, ?)',
    ),
    contacts: all<Contact, [phone: string]>(
      'SELECT contact AS phone, name FROM sandbox_contact WHERE phone = ? ORDER BY name, contact',
    ),
    /** Name of `contact` in the address book of `phone`. */
    contactName: (phone: string, contact: string) => contactName(phone, contact)?.name,
  }
}

function toPhone({ phone, name, echo, platforms, two_factor: twoFactor }: PhoneRow): Phone {
  return { phone, name, echo: echo === 1, platforms: JSON.parse(platforms) as SandboxPlatform[], twoFactor }
}
