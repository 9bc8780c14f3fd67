/** The network's numbers: parsing, which ones exist, and default names. */
import { createHash } from 'node:crypto'
import { phoneDigits } from '../../lib/phone-numbers.ts'

/** @returns the digits, or null unless it is a number of 5 to 15 digits */
export function parsePhone(input: string): string | null {
  const digits = phoneDigits(input)
  return digits !== null && /^\d{5,15}$/.test(digits) ? digits : null
}

/** Every number exists unless it begins with 999, which lets people try "not on this network". */
export function existsOnNetwork(phone: string): boolean {
  return !phone.startsWith('999')
}

const FIRST_NAMES = `
  Ada Amina Bola Carmen Chen Dalia Elif Emeka Farah Grace Hugo Ines Jonas Kofi Leila Lucas Maya
  Mateo Nadia Noah Olga Omar Priya Rosa Samir Sofia Tariq Uma Viktor Wanjiru Yuki Zoe`
  .trim()
  .split(/\s+/)
const LAST_NAMES = `
  Abena Almeida Baker Costa Diallo Eriksen Fontaine Garcia Haddad Ivanova Jansen Kamau Lindqvist
  Mbeki Moreau Nguyen Okafor Petrov Quispe Rossi Sato Tamba Usman Vargas Weber Xu Yilmaz Zidane`
  .trim()
  .split(/\s+/)

/** @returns a person's name, always the same for a number */
export function generatedName(phone: string): string {
  const digest = createHash('sha256').update(`name:${phone}`).digest()
  return `${FIRST_NAMES[digest.readUInt16BE(0) % FIRST_NAMES.length]} ${LAST_NAMES[digest.readUInt16BE(2) % LAST_NAMES.length]}`
}
