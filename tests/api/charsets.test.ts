/**
 * Bodies in other charsets than UTF-8 are decoded as they declare, or refused; nobody gets a text
 * with replacement characters.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { testHttp } from '../support/test-http.ts'

const SEND = '/api/v1/devices/237123456789/message'
const TEXT = 'café – €5'
/** As the clients of one system write it; Latin-1 has neither the dash nor the euro sign. */
const WINDOWS_1252 = Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x20, 0x96, 0x20, 0x80, 0x35])
const LATIN_1 = Buffer.from('café', 'latin1')
const UTF_16 = Buffer.from(TEXT, 'utf16le')

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp()
  auth = `Bearer ${await app.newToken()}`
})
beforeEach(() => {
  app.sends.length = 0
})
afterAll(() => app.destroy())

async function post(contentType: string, body: Buffer) {
  const request = new Request(`http://localhost${SEND}`, {
    method: 'POST',
    headers: { authorization: auth, 'content-type': contentType },
    body: new Uint8Array(body),
  })
  const response = await app.http.handle(request)
  const { error } = (await response.json()) as { error?: string }
  return { status: response.status, error, text: app.sends.at(-1)?.text }
}

const bytes = (...parts: (string | Buffer)[]) => Buffer.concat(parts.map(part => Buffer.from(part)))
const json = (text: Buffer) => bytes('{"platform":"wa","contact":"1","text":"', text, '"}')
const urlEncoded = (text: Buffer) =>
  bytes(
    `platform=wa&contact=1&text=${[...text].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')}`,
  )
const raw = (text: Buffer) => bytes('platform=wa&contact=1&text=', text)
const part = (headers: string, content: Buffer | string) =>
  bytes(`--b\r\nContent-Disposition: form-data; ${headers}\r\n\r\n`, content, '\r\n')
const multipart = (...parts: Buffer[]) =>
  bytes(part('name="platform"', 'wa'), part('name="contact"', '1'), ...parts, '--b--\r\n')
const latin1Name = multipart(
  Buffer.from(
    '--b\r\nContent-Disposition: form-data; name="file"; filename="café.txt"\r\n\r\nx\r\n',
    'latin1',
  ),
)
const FORM = 'application/x-www-form-urlencoded'
const MULTIPART = 'multipart/form-data; boundary=b'

describe('what is declared is decoded', () => {
  test.each<[string, string, Buffer, string]>([
    ['JSON in UTF-8', 'application/json', json(Buffer.from(TEXT)), TEXT],
    ['JSON with a byte order mark', 'application/json', bytes('\ufeff', json(Buffer.from(TEXT))), TEXT],
    ['JSON in windows-1252', 'application/json; charset=windows-1252', json(WINDOWS_1252), TEXT],
    ['JSON in Latin-1, quoted', 'application/json; charset="ISO-8859-1"', json(LATIN_1), 'café'],
    [
      'JSON in UTF-16',
      'application/json; charset=utf-16le',
      Buffer.from(json(Buffer.from(TEXT)).toString(), 'utf16le'),
      TEXT,
    ],
    [
      'JSON in Shift_JIS',
      'application/json; charset=shift_jis',
      json(Buffer.from([0x93, 0xfa, 0x96, 0x7b])),
      '日本',
    ],
    ['a form in UTF-8', FORM, urlEncoded(Buffer.from(TEXT)), TEXT],
    ['a form in UTF-8, not escaped', FORM, raw(Buffer.from('a+b é=')), 'a b é='],
    [
      'a form with percent signs that escape nothing',
      FORM,
      raw(Buffer.from('5%+%4+%zz%2B%C3%a9%')),
      '5% %4 %zz+é%',
    ],
    ['a form in windows-1252', `${FORM}; charset=windows-1252`, urlEncoded(WINDOWS_1252), TEXT],
    ['a part in UTF-8', MULTIPART, multipart(part('name="text"', TEXT)), TEXT],
    [
      'a part that says so',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=utf-8', TEXT)),
      TEXT,
    ],
    [
      'a part in Latin-1',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=iso-8859-1', LATIN_1)),
      'café',
    ],
    [
      'a part in UTF-16',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=utf-16le', UTF_16)),
      TEXT,
    ],
    [
      'a part in base64',
      MULTIPART,
      multipart(
        part('name="text"\r\nContent-Transfer-Encoding: BASE64', Buffer.from(TEXT).toString('base64')),
      ),
      TEXT,
    ],
  ])('%s', async (_what, type, body, text) => {
    expect(await post(type, body)).toEqual({ status: 200, error: undefined, text })
  })
})

describe('anything else is refused, and nothing is sent', () => {
  test.each<[string, string, Buffer, number, RegExp]>([
    [
      'JSON in Latin-1 that says nothing',
      'application/json',
      json(LATIN_1),
      400,
      /^The body is not valid UTF-8/,
    ],
    [
      'JSON in Latin-1 that says UTF-8',
      'application/json; charset=utf-8',
      json(LATIN_1),
      400,
      /^The body is not valid UTF-8/,
    ],
    [
      'JSON in UTF-16 that says nothing',
      'application/json',
      bytes(Buffer.from([0xff, 0xfe]), Buffer.from('{}', 'utf16le')),
      400,
      /^The body is not valid/,
    ],
    [
      'JSON in a charset that nobody knows',
      'application/json; charset=klingon',
      json(LATIN_1),
      415,
      /klingon/,
    ],
    ['a form in Latin-1', FORM, urlEncoded(LATIN_1), 400, /^text is not valid UTF-8/],
    ['a form in Latin-1, not escaped', FORM, raw(LATIN_1), 400, /^text is not valid UTF-8/],
    [
      'a form in UTF-8 that says Shift_JIS',
      `${FORM}; charset=shift_jis`,
      urlEncoded(Buffer.from([0x81])),
      400,
      /^text is not valid/,
    ],
    [
      'a form in a charset that nobody knows',
      `${FORM}; charset=klingon`,
      urlEncoded(LATIN_1),
      415,
      /klingon/,
    ],
    ['a part in Latin-1', MULTIPART, multipart(part('name="text"', LATIN_1)), 400, /^text: expected UTF-8/],
    [
      'a part in Latin-1 that says UTF-8',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=utf-8', LATIN_1)),
      400,
      /^text: expected UTF-8/,
    ],
    [
      'a part in a charset that nobody knows',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=klingon', LATIN_1)),
      400,
      /^text: expected UTF-8/,
    ],
    [
      'a part whose letters the parser would take for control characters',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=windows-1252', WINDOWS_1252)),
      400,
      /^text: expected UTF-8/,
    ],
    ['a file named in Latin-1', MULTIPART, latin1Name, 400, /^file: expected its name in UTF-8/],
    [
      'base64 that is none',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Transfer-Encoding: base64', 'aGVsbG8*')),
      400,
      /^text: expected base64/,
    ],
    [
      'half of a surrogate pair',
      'application/json',
      json(Buffer.from('a\\ud83d')),
      400,
      /^text: expected whole characters/,
    ],
  ])('%s', async (_what, type, body, status, says) => {
    const answer = await post(type, body)
    expect([answer.status, answer.text]).toEqual([status, undefined])
    expect(answer.error).toMatch(says)
    expect(app.onDisk.size).toBe(0)
  })
})
