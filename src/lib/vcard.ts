/** Writes a vCard 4.0 (RFC 6350), the file in which phones pass an address book entry on. */

/** Bytes of a line, without its end (section 3.2). */
const LINE_BYTES = 75

export interface Card {
  name: string
  phones: readonly string[]
  emails?: readonly string[] | undefined
}

/** @returns the file's text, in lines that end as the format wants it */
export function vCard({ name, phones, emails = [] }: Card): string {
  const lines = [
    'BEGIN:VCARD',
    'VERSION:4.0',
    `FN:${escaped(name)}`,
    // Some apps show nothing without it. Nobody knows which part of a name is which.
    `N:;${escaped(name)};;;`,
    ...phones.map(phone => `TEL;TYPE=cell:${escaped(phone)}`),
    ...emails.map(email => `EMAIL:${escaped(email)}`),
    'END:VCARD',
  ]
  return lines.map(line => `${folded(line)}\r\n`).join('')
}

/** Section 3.4, for a text that may be a component of a value. */
function escaped(text: string): string {
  return text
    .replace(/[\\,;]/g, '\\$&')
    .replace(/\r\n|[\r\n]/g, '\\n')
    .replace(/\p{Cc}/gu, '')
}

/** Breaks a long line between characters; the rest follows behind a blank. */
function folded(line: string): string {
  const parts: string[] = []
  let part = ''
  let bytes = 0
  for (const character of line) {
    const length = Buffer.byteLength(character)
    if (bytes + length > LINE_BYTES) {
      parts.push(part)
      part = ''
      // The blank counts.
      bytes = 1
    }
    part += character
    bytes += length
  }
  return [...parts, part].join('\r\n ')
}
