/**
 * URL-encoded forms (URL standard, section 5.1), strictly decoded: `URLSearchParams` would replace
 * bytes that aren't UTF-8.
 */
import { charsetOf, decodeText, UndecodableText } from '../lib/charset.ts'
import { readBytes, undecodable } from './body.ts'
import { refuseTooMany } from './unknown-fields.ts'

/**
 * @returns the fields as they came: a name may be there several times
 * @throws GatewayError bad_request (not in the charset that the form declares, or too many fields),
 * and as `readBytes`
 */
export async function readForm(request: Request): Promise<[name: string, value: string][]> {
  // A byte is a character from here on, until it is decoded.
  const text = Buffer.from(await readBytes(request)).toString('latin1')
  const pairs = text.split('&', MAX_PAIRS)
  // Browsers fill a field of this name in (HTML standard, "Constructing the entry list").
  const charset =
    charsetOf(request.headers.get('content-type')) ??
    pairs.find(pair => pair.startsWith(FORM_CHARSET) && pair !== FORM_CHARSET)?.slice(FORM_CHARSET.length)
  refuseTooMany('field', pairs.length === MAX_PAIRS ? MAX_PAIRS : pairs.filter(isSaid).length)
  return pairs.filter(isSaid).map(pair => {
    const [name = '', ...value] = pair.split('=')
    const said = decoded(name, 'The body', charset)
    return [said, decoded(value.join('='), said, charset)]
  })
}

const FORM_CHARSET = '_charset_='
/** More than there may be, empty ones included. */
const MAX_PAIRS = 1_000
const isSaid = (pair: string) => pair !== ''

function decoded(text: string, what: string, charset: string | undefined): string {
  try {
    return decodeText(unescaped(text), charset)
  } catch (error) {
    throw error instanceof UndecodableText ? undecodable(what, error) : error
  }
}

const PERCENT = 0x25
const PLUS = 0x2b
const SPACE = 0x20
/** Value of each hexadecimal digit by its code; -1 for any other character. */
const DIGITS = Int8Array.from({ length: 0x100 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase()),
)

/** A loop over bytes, as a call for each escape would hold the event loop for 100 ms. */
function unescaped(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'latin1')
  const digit = (at: number) => DIGITS[bytes[at] ?? 0] ?? -1
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    const isEscape = byte === PERCENT && digit(at + 1) >= 0 && digit(at + 2) >= 0
    bytes[length++] = isEscape ? digit(at + 1) * 16 + digit(at + 2) : byte === PLUS ? SPACE : byte
    if (isEscape) at += 2
  }
  return bytes.subarray(0, length)
}
