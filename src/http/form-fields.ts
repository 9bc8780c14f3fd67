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
  const charset = charsetOf(request.headers.get('content-type'))
  // A byte is a character from here on, until it is decoded.
  const text = Buffer.from(await readBytes(request)).toString('latin1')
  const pairs = text.split('&', MAX_PAIRS)
  refuseTooMany('field', pairs.length === MAX_PAIRS ? MAX_PAIRS : pairs.filter(isSaid).length)
  return pairs.filter(isSaid).map(pair => {
    const [name = '', ...value] = pair.split('=').map(part => part.replaceAll('+', ' '))
    return [decoded(name, 'The body', charset), decoded(value.join('='), name, charset)]
  })
}

/** More than there may be, empty ones included. */
const MAX_PAIRS = 1_000
const isSaid = (pair: string) => pair !== ''

function decoded(text: string, what: string, charset: string | undefined): string {
  try {
    const bytes = text.replace(/%([0-9a-f]{2})/gi, (_code, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    return decodeText(Buffer.from(bytes, 'latin1'), charset)
  } catch (error) {
    throw error instanceof UndecodableText ? undecodable(what, error) : error
  }
}
