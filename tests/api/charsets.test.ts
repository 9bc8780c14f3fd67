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
/** A file whose header has a byte for each character. */
const latin1Part = (headers: string) =>
  Buffer.from(`--b\r\nContent-Disposition: form-data; ${headers}\r\n\r\nx\r\n`, 'latin1')
const FORM = 'application/x-www-form-urlencoded'
const MULTIPART = 'multipart/form-data; boundary=b'

describe('what is declared is decoded', () => {
  test.each<[string, string, Buffer, string]>([
    ['JSON in UTF-8', 'application/json', json(Buffer.from(TEXT)), TEXT],
    ['JSON in UTF-8 that says ASCII', 'application/json; charset=us-ascii', json(Buffer.from(TEXT)), TEXT],
    ['JSON with blanks in its type', 'application/json; charset = latin1', json(LATIN_1), 'café'],
    [
      'a part in UTF-8 that says ASCII',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=ascii', TEXT)),
      TEXT,
    ],
    [
      'a form with the line breaks of browsers',
      'multipart/form-data; boundary = b',
      multipart(part('name="text"', 'one\r\ntwo\nthree')),
      'one\ntwo\nthree',
    ],
    ['a URL-encoded form with them', FORM, raw(Buffer.from('one%0D%0Atwo%0Athree')), 'one\ntwo\nthree'],
    [
      'a part of no encoding',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Transfer-Encoding:', TEXT)),
      TEXT,
    ],
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
      'a part in windows-1252',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=windows-1252', WINDOWS_1252)),
      TEXT,
    ],
    [
      'a part in Shift_JIS',
      MULTIPART,
      multipart(
        part(
          'name="text"\r\nContent-Type: text/plain; charset="Shift_JIS"',
          Buffer.from([0x93, 0xfa, 0x96, 0x7b]),
        ),
      ),
      '日本',
    ],
    [
      'a part in UTF-16 with a byte order mark, the other way round',
      MULTIPART,
      multipart(
        part(
          'name="text"\r\nContent-Type: text/plain; charset=utf-16',
          Buffer.from(`\ufeff${TEXT}`, 'utf16le').swap16(),
        ),
      ),
      TEXT,
    ],
    [
      'a part in base64 and a charset',
      MULTIPART,
      multipart(
        part(
          'name="text"\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64',
          LATIN_1.toString('base64'),
        ),
      ),
      'café',
    ],
    ['a part with a byte order mark', MULTIPART, multipart(part('name="text"', `\ufeff${TEXT}`)), TEXT],
    ['a replacement character that was sent', MULTIPART, multipart(part('name="text"', '\ufffd')), '\ufffd'],
    [
      'a form that says its charset first',
      MULTIPART,
      multipart(part('name="_charset_"', 'windows-1252'), part('name="text"', WINDOWS_1252)),
      TEXT,
    ],
    [
      'a form that says its charset last, but for a part that says another',
      MULTIPART,
      multipart(
        part('name="text"\r\nContent-Type: text/plain; charset=utf-8', TEXT),
        part('name="_charset_"', 'iso-8859-1'),
      ),
      TEXT,
    ],
    [
      'a form whose charset is empty',
      MULTIPART,
      multipart(part('name="_charset_"', ''), part('name="text"', TEXT)),
      TEXT,
    ],
    [
      'a form, not multipart, that says its charset',
      FORM,
      bytes(urlEncoded(WINDOWS_1252), '&_charset_=windows-1252'),
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

test.each([
  ['name="file"; filename="café.txt"', 'café.txt'],
  [`name="file"; filename="cafe.txt"; filename*=UTF-8''caf%C3%A9.txt`, 'café.txt'],
  [`name="file"; filename*=utf-8'en'a%22b%2520.txt`, 'a"b%20.txt'],
  [`filename*=ISO-8859-1''caf%E9.txt; name=file`, 'café.txt'],
  [`name="file"; filename*=UTF-8''..%2Fa%2f..%2Fcaf%c3%a9.txt`, 'café.txt'],
  ['name="file"; filename="a%22b%22.txt"', 'a"b".txt'],
  ['name="file"; filename="a\\"b\\\\c.txt"', 'c.txt'],
  ['name="file"; filename="a\\"b.txt"', 'a"b.txt'],
  ['name="file"; filename="C:\\new\\b.txt"', 'b.txt'],
  ['Name=file ;FileName=b.txt', 'b.txt'],
  // As aiohttp and needle write names, and as others write these.
  ['name="file"; filename="caf%C3%A9%20%26%20bar%281%29.txt"', 'café & bar(1).txt'],
  ['name="file"; filename="caf%C3%A9%20(1)!.txt"', 'café (1)!.txt'],
  ['name="file"; filename="a%2Fb%20c.txt"', 'b c.txt'],
  ['name="file"; filename="50% off%20.txt"', '50% off%20.txt'],
  ['name="file"; filename="%41.txt"', '%41.txt'],
  ['name="file"; filename="caf%E9.txt"', 'caf%E9.txt'],
  // As .NET writes them.
  ['name="file"; filename="=?utf-8?B?Y2Fmw6kudHh0?="', 'café.txt'],
  ['name="file"; filename="=?ISO-8859-1?Q?caf=E9_5%.txt?="', 'café 5%.txt'],
  ['name="file"; filename="=?utf-8?B?Y2Fm?= =?utf-8?B?w6kudHh0?="', 'café.txt'],
  ['name="file"; filename="a;b=c.txt";', 'a;b=c.txt'],
])('a file with %s is called %s', async (headers, name) => {
  expect((await post(MULTIPART, multipart(part(headers, 'x')))).status).toBe(200)
  expect(app.uploads.at(-1)?.fileName).toBe(name)
})

test('a file is named in the charset that its form says before', async () => {
  const form = multipart(
    part('name="_charset_"', 'windows-1252'),
    latin1Part('name="file"; filename="café.txt"'),
  )
  expect((await post(MULTIPART, form)).status).toBe(200)
  expect(app.uploads.at(-1)?.fileName).toBe('café.txt')
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
      'a part in half of UTF-16',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=utf-16le', UTF_16.subarray(1))),
      400,
      /^text: expected UTF-8, or text in the charset that its part or the form declares/,
    ],
    [
      'a part that calls base64 a charset',
      MULTIPART,
      multipart(part('name="text"\r\nContent-Type: text/plain; charset=base64', 'aGVsbG8=')),
      400,
      /^text: .*the charset base64 is unknown/,
    ],
    [
      'a form in a charset of its own that nobody knows',
      MULTIPART,
      multipart(part('name="_charset_"', 'klingon'), part('name="text"', 'x')),
      400,
      /^_charset_: expected a charset/,
    ],
    [
      'a form that isn’t in the charset it says',
      MULTIPART,
      multipart(part('name="text"', LATIN_1), part('name="_charset_"', 'utf-8')),
      400,
      /^text: expected UTF-8/,
    ],
    [
      'a form, not multipart, in a charset of its own that nobody knows',
      FORM,
      bytes('_charset_=klingon&', urlEncoded(LATIN_1)),
      415,
      /klingon/,
    ],
    [
      'a file without a name, which is called neither text nor undecodable',
      MULTIPART,
      multipart(part('name="text"', 'x'), part('name="file"', LATIN_1)),
      400,
      /^file: expected a file, not text$/,
    ],
    [
      'a form whose header says no boundary',
      'multipart/form-data',
      multipart(part('name="text"', 'x')),
      415,
      /^Content-Type: expected multipart\/form-data with a boundary; HTTP clients write both/,
    ],
    ...[
      `filename*=UTF-8''caf%E9.txt`,
      `filename*=klingon''a.txt`,
      'filename="caf\u00e9.txt"',
      'filename="=?klingon?B?YQ==?="',
      'filename="=?utf-8?Q?caf=E9.txt?="',
    ].map((named): [string, string, Buffer, number, RegExp] => [
      `a file whose name can't be decoded: ${named}`,
      MULTIPART,
      multipart(part('name="text"', 'x'), latin1Part(`name="file"; ${named}`)),
      400,
      /^file: expected its name in UTF-8/,
    ]),
    ...[
      `filename*=UTF-8''a%ZZ.txt`,
      `filename*=a.txt`,
      'filename="a"b.txt"',
      'filename="a.txt',
      'filename=a b.txt',
    ].map((named): [string, string, Buffer, number, RegExp] => [
      `a file whose name can't be read, instead of a message without it: ${named}`,
      MULTIPART,
      multipart(part('name="text"', 'x'), latin1Part(`name="file"; ${named}`)),
      400,
      /^file: expected /,
    ]),
    [
      'a part without a disposition',
      MULTIPART,
      multipart(part('name="text"', 'x'), Buffer.from('--b\r\nContent-Type: text/plain\r\n\r\nx\r\n')),
      400,
      /^The form is malformed: expected a Content-Disposition/,
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
