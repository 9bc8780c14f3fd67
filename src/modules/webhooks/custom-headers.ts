/** Headers that a webhook's owner wants with its requests: which are taken. Their values are secrets, as of an API key. */
import { GatewayError } from '../../domain/errors.ts'

const MAX_HEADERS = 20
const MAX_NAME_LENGTH = 64
const MAX_VALUE_LENGTH = 1_024
/** All names and values together; servers refuse requests with much more (commonly from 8 KiB on). */
const MAX_TOTAL_LENGTH = 4_096
/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Printable ASCII, without spaces at the ends (RFC 9110 section 5.5). */
const VALUE = /^[!-~](?:[\t -~]*[!-~])?$/
/** Those that frame the request or say where it goes, those that we set, and what is no name in an object. */
const RESERVED =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|user-agent|date|cookie2?|accept-encoding|content-.*|proxy-.*|sec-.*|webhook-.*|__proto__)$/i

/** @throws GatewayError bad_request naming the header */
export function checkedHeaders(given: Readonly<Record<string, string>>): Record<string, string> {
  const headers = Object.entries(given)
  if (headers.length > MAX_HEADERS) throw wrong('headers', `at most ${MAX_HEADERS} of them`)
  const seen = new Set<string>()
  let length = 0
  for (const [name, value] of headers) {
    if (!TOKEN.test(name) || name.length > MAX_NAME_LENGTH)
      throw wrong('headers', `names of letters, digits and dashes, at most ${MAX_NAME_LENGTH} characters`)
    if (RESERVED.test(name)) throw wrong(`headers.${name}`, 'another name: this one is not yours to set')
    if (seen.has(name.toLowerCase())) throw wrong(`headers.${name}`, 'each name once')
    if (!VALUE.test(value) || value.length > MAX_VALUE_LENGTH)
      throw wrong(`headers.${name}`, `1 to ${MAX_VALUE_LENGTH} printable ASCII characters`)
    seen.add(name.toLowerCase())
    length += name.length + value.length
  }
  if (length > MAX_TOTAL_LENGTH) throw wrong('headers', `at most ${MAX_TOTAL_LENGTH} characters in all`)
  return { ...given }
}

function wrong(field: string, expected: string): GatewayError {
  return new GatewayError('bad_request', `${field}: expected ${expected}`)
}
