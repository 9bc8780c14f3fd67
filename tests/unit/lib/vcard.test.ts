/** The file of a contact card, as RFC 6350 has it. */
import { expect, test } from 'bun:test'
import { vCard } from '../../../src/lib/vcard.ts'

test('has a name, numbers and addresses, in lines with both characters of an end', () => {
  const text = vCard({ name: 'Ada Lovelace', phones: ['+49 151', '112'], emails: ['ada@example.org'] })
  expect(text.split('\r\n')).toEqual([
    'BEGIN:VCARD',
    'VERSION:4.0',
    'FN:Ada Lovelace',
    'N:;Ada Lovelace;;;',
    'TEL;TYPE=cell:+49 151',
    'TEL;TYPE=cell:112',
    'EMAIL:ada@example.org',
    'END:VCARD',
    '',
  ])
})

test('a name can’t end its value, nor its line', () => {
  const [, , fn, n] = vCard({ name: 'a;b,c\\d\r\nEND:VCARD\u0000\nx', phones: [] }).split('\r\n')
  expect(fn).toBe('FN:a\\;b\\,c\\\\d\\nEND:VCARD\\nx')
  expect(n).toBe('N:;a\\;b\\,c\\\\d\\nEND:VCARD\\nx;;;')
})

test('a long line is folded between characters at 75 bytes, and can be put together again', () => {
  const name = 'ä😀x'.repeat(60)
  const text = vCard({ name, phones: [] })
  for (const line of text.split('\r\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75)
  expect(text.replaceAll('\r\n ', '')).toContain(`FN:${name}\r\n`)
})
