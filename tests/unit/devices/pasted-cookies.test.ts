/** Fields of a web login in what a browser's developer tools copy. */
import { describe, expect, test } from 'bun:test'
import { mayBePasted, pastedCookies } from '../../../src/modules/devices/pasted-cookies.ts'

const source = (type: string, name: string) => ({ type, name, cookie_domain: null, request_url_regex: null })
const field = (id: string, ...sources: ReturnType<typeof source>[]) => ({
  ...{ id, type: 'cookie', name: sources[0]?.name ?? id, description: '', required: true },
  ...{ options: [], pattern: null, default_value: null, sources },
})
const FIELDS = [
  field('sid', source('cookie', 'SID')),
  field('header', source('request_header', 'Cookie')),
  field('track', source('request_header', 'X-Li-Track')),
  field('token', source('request_body', 'fb_dtsg'), source('local_storage', 'token')),
]

describe('a cURL command', () => {
  test('of Chrome: over several lines, quotes and signs in its own way', () => {
    const copied = String.raw`curl 'https://x.example/api?a=1' \
  -H 'accept: */*' \
  -b 'SID=g.a%3Db; other=it" costs 5$' \
  -H $'x-li-track: {"a":"it\'s \u0021 \\n"}' \
  --data-raw 'fb_dtsg=NA%3A1&x=y'`
    expect(pastedCookies(FIELDS, copied)).toEqual({
      sid: 'g.a=b',
      header: 'SID=g.a%3Db; other=it" costs 5$',
      track: '{"a":"it\'s ! \\n"}',
      token: 'NA:1',
    })
  })

  test('of Firefox: the cookies in a header, and a body of JSON', () => {
    const copied = `curl 'https://x.example/' -X POST -H 'Cookie: a=b; SID=1=2' --data '{"fb_dtsg":"t","n":1}'`
    expect(pastedCookies(FIELDS, copied)).toEqual({ sid: '1=2', header: 'a=b; SID=1=2', token: 't' })
  })

  test('that isn’t whole is refused', () => {
    expect(() => pastedCookies(FIELDS, "curl 'https://x.example")).toThrow("its command isn't whole")
  })
})

test('a JSON object, by the fields’ ids or by the names of their sources', () => {
  expect(pastedCookies(FIELDS, '{"sid": "a%3D", "fb_dtsg": "t", "n": 1}')).toEqual({
    sid: 'a%3D',
    token: 't',
  })
  expect(pastedCookies(FIELDS, ' {"SID": "a%3D"}\n')).toEqual({ sid: 'a=' })
})

test('a Cookie header alone', () => {
  expect(pastedCookies(FIELDS, 'SID=1; HSID=2')).toEqual({ sid: '1', header: 'SID=1; HSID=2' })
})

test.each([
  ['hello', 'none of SID is in it'],
  ['{"SID": ', 'it begins like JSON, and is none'],
  ['{"__proto__": {"SID": "x"}}', 'none of SID is in it'],
])('%j is refused with what is expected', (text, why) => {
  expect(() => pastedCookies(FIELDS.slice(0, 1), text)).toThrow(
    `cookies: expected a cURL command copied from the developer tools of the browser ("Copy as cURL", bash), or a JSON object: ${why}`,
  )
})

test('a bot has one field for the same', () => {
  expect(mayBePasted(FIELDS)).toBe(true)
  expect(mayBePasted([field('cookies')])).toBe(false)
})
