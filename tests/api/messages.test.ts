/** Sending as the usage guide has it: JSON and forms. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import { expectError } from '../support/expect-error.ts'
import { type CallOptions, testHttp } from '../support/test-http.ts'

const MAX_BYTES = 256 * 1024
const SEND = '/api/v1/devices/237123456789/message'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp({ maxBytes: MAX_BYTES })
  auth = `Bearer ${await app.newToken()}`
})
afterEach(() => {
  // Whatever the answer was, no file is left that nothing refers to.
  expect([...app.onDisk]).toEqual([])
  app.failures.accept = undefined
  app.failures.stage = undefined
})
afterAll(() => app.destroy())

const send = (options: CallOptions, path = SEND) => app.call('POST', path, { auth, ...options })
const QUEUED = {
  message: 'Message queued successfully',
  messages: [expect.objectContaining({ status: 'queued' })],
}

function form(entries: Record<string, string | File>): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(entries)) data.append(name, value)
  return data
}

const FIELDS = { contact: '1234567890', platform: 'wa' }
const pdf = (bytes: number | string = 'content', name = 'document.pdf') =>
  new File([typeof bytes === 'string' ? bytes : new Uint8Array(bytes)], name, { type: 'application/pdf' })

describe('JSON', () => {
  test.each([
    [
      { contact: '1234567890', platform: 'wa', text: 'Hello from API' },
      { contact: '1234567890', platform: 'wa', text: 'Hello from API' },
    ],
    [
      { group_url: 'https://chat.whatsapp.com/invite123', platform: 'wa', text: 'Hello group!' },
      { groupUrl: 'https://chat.whatsapp.com/invite123', contact: undefined },
    ],
    [{ ...FIELDS, text: 'r', reply_id: '$eCLf' }, { replyId: '$eCLf' }],
    [{ ...FIELDS, text: 'r', reply_id: null, group_url: null, unknown: [1] }, { replyId: undefined }],
  ])('%j', async (json, request) => {
    const answer = await send({ json })
    expect([answer.status, answer.body]).toEqual([200, QUEUED])
    expect(app.sends.at(-1)).toMatchObject({ deviceId: '237123456789', ...request })
  })

  test.each([
    [{}, 'Missing required field: platform'],
    [{ contact: '1', text: 'x' }, 'Missing required field: platform'],
    [{ contact: '1', text: 'x', platform: '' }, 'Missing required field: platform'],
    [{ platform: 'wa', text: 'x' }, 'Missing required field: contact, group_url or chat_id'],
    [
      { platform: 'wa', text: 'x', contact: '', group_url: null },
      'Missing required field: contact, group_url or chat_id',
    ],
    [FIELDS, /^Either text or file must be provided$/],
    [{ ...FIELDS, text: ' \u200b\n\u2060\u3164' }, /^Either text or file must be provided$/],
    [{ ...FIELDS, text: '' }, /^Either text or file must be provided$/],
    [{ ...FIELDS, text: 'x', file: 'aGVsbG8=' }, 'file: expected in a multipart form'],
    [{ ...FIELDS, text: 5 }, 'text: expected text'],
    [{ ...FIELDS, contact: 1234567890, text: 'x' }, 'contact: expected text'],
    [[], 'The body must be a JSON object'],
    ['x', 'The body must be a JSON object'],
  ])('refuses %j', async (json, says) => {
    expectError(await send({ json }), 400, 'bad_request', says)
  })

  test('refuses a text and a reply_id that are too long', async () => {
    const text = await send({ json: { ...FIELDS, text: 'x'.repeat(50_001) } })
    expectError(text, 400, 'bad_request', 'text: expected text of at most 50000 characters')
    const reply = await send({ json: { ...FIELDS, text: 'x', reply_id: 'r'.repeat(256) } })
    expectError(reply, 400, 'bad_request', 'reply_id: expected text of at most 255 characters')
  })

  test('a body that is no JSON', async () => {
    const answer = await send({ headers: { 'content-type': 'application/json' }, body: '{' })
    expectError(answer, 400, 'bad_request', 'not valid JSON')
  })

  test('no such device: 404', async () => {
    expectError(
      await send({ json: { ...FIELDS, text: 'x' } }, '/api/v1/devices/999/message'),
      404,
      'not_found',
    )
  })

  test('send_at is passed on as it is written, in forms too', async () => {
    const at = '2026-04-27T10:00:00+02:00'
    await send({ json: { ...FIELDS, text: 'x', send_at: at } })
    expect(app.sends.at(-1)?.sendAt).toBe(at)
    await send({ body: form({ ...FIELDS, text: 'x', send_at: at }) })
    expect(app.sends.at(-1)?.sendAt).toBe(at)
    const wrong = await send({ json: { ...FIELDS, text: 'x', send_at: 1_777_000_000 } })
    expectError(wrong, 400, 'bad_request', 'send_at: expected text')
  })

  test('expires_in is a whole number of seconds, in forms too', async () => {
    await send({ json: { ...FIELDS, text: 'x', expires_in: 60 } })
    expect(app.sends.at(-1)?.expiresInS).toBe(60)
    await send({ body: form({ ...FIELDS, text: 'x', expires_in: '2592000' }) })
    expect(app.sends.at(-1)?.expiresInS).toBe(2_592_000)
    await send({ json: { ...FIELDS, text: 'x', expires_in: null } })
    expect(app.sends.at(-1)?.expiresInS).toBeUndefined()
    const says = 'expires_in: expected a whole number from 1 to 2592000'
    for (const wrong of [0, -1, 1.5, 2_592_001, '60', true, [60], 1e300])
      expectError(await send({ json: { ...FIELDS, text: 'x', expires_in: wrong } }), 400, 'bad_request', says)
    for (const wrong of ['0', '-1', '1.5', '2592001', 'soon', '1e3', ''])
      expectError(
        await send({ body: form({ ...FIELDS, text: 'x', expires_in: wrong }) }),
        400,
        'bad_request',
        says,
      )
  })

  test('an error says only the beginning of what was given', async () => {
    const platform = '\u{1f600}'.repeat(200_000)
    app.failures.accept = new GatewayError('bad_request', `platform: there is no ${platform}`)
    const answer = await send({ json: { ...FIELDS, text: 'x', platform } })
    expectError(answer, 400, 'bad_request', /^platform: there is no .{100,1000}…$/u)
    expect(answer.text.length).toBeLessThan(1_200)
  })

  test('too many: 429', async () => {
    app.failures.accept = new GatewayError('too_many_requests', 'slower', 8)
    const answer = await send({ json: { ...FIELDS, text: 'x' } })
    expectError(answer, 429, 'too_many_requests')
    expect(answer.headers.get('retry-after')).toBe('8')
  })
})

describe('multipart', () => {
  test('a part without a name is no field of ours', async () => {
    const body = '--b\r\nContent-Disposition: form-data; name=""\r\n\r\nnull\r\n--b--\r\n'
    const answer = await send({ headers: { 'content-type': 'multipart/form-data; boundary=b' }, body })
    expectError(answer, 400, 'bad_request', 'Missing required field')
  })

  test('text and file, as in the guide', async () => {
    const answer = await send({ body: form({ ...FIELDS, text: 'Check out this document', file: pdf() }) })
    expect([answer.status, answer.body]).toEqual([200, QUEUED])
    expect(app.sends.at(-1)).toMatchObject({
      ...FIELDS,
      text: 'Check out this document',
      files: [{ fileName: 'document.pdf', mimeType: 'application/pdf', sizeBytes: 7 }],
    })
  })

  test('the file first, its fields behind', async () => {
    const answer = await send({ body: form({ file: pdf(100_000), ...FIELDS }) })
    expect(answer.status).toBe(200)
    expect(app.uploads.at(-1)?.size).toBe(100_000)
  })

  test('a file without text, text without a file, and a file of no bytes', async () => {
    expect((await send({ body: form({ ...FIELDS, file: pdf() }) })).status).toBe(200)
    expect((await send({ body: form({ ...FIELDS, text: 'x' }) })).status).toBe(200)
    expect((await send({ body: form({ ...FIELDS, file: pdf(0) }) })).status).toBe(200)
  })

  test('every byte arrives, and names in UTF-8', async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(60_000))
    const file = new File([bytes], 'Übersicht 报告.tar.gz')
    await send({ body: form({ ...FIELDS, text: 'grüße 👋', file }) })
    expect(app.uploads.at(-1)).toMatchObject({
      fileName: 'Übersicht 报告.tar.gz',
      sha256: new Bun.CryptoHasher('sha256').update(bytes).digest('hex'),
    })
    expect(app.sends.at(-1)?.text).toBe('grüße 👋')
  })

  test('a name that is a path is only a name', async () => {
    await send({ body: form({ ...FIELDS, file: pdf('x', '../../etc/cron.d/evil.sh') }) })
    expect(app.uploads.at(-1)?.fileName).toBe('evil.sh')
  })

  test.each([
    ['ünï %22q%22.pdf', 'ünï "q".pdf'],
    ['two%0D%0Alines%0a.pdf', 'two lines .pdf'],
    ['100%25 %2541%20.pdf', '100%25 %2541%20.pdf'],
  ])('the name %p, as browsers encode it, is %p', async (encoded, name) => {
    const parts = Object.entries(FIELDS).map(([field, value]) => part(field, value))
    const file = `--b\r\nContent-Disposition: form-data; name="file"; filename="${encoded}"\r\n\r\nx\r\n`
    const answer = await send({
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: `${parts.join('')}${file}--b--\r\n`,
    })
    expect(answer.status).toBe(200)
    expect(app.uploads.at(-1)?.fileName).toBe(name)
  })

  test.each(['a%00b.pdf', 'a%1bb.pdf', 'a%c2%85b.pdf'])('the name %s: 400', async encoded => {
    const file = `--b\r\nContent-Disposition: form-data; name="file"; filename*=UTF-8''${encoded}\r\n\r\nx\r\n`
    const answer = await send({
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: `${part('platform', 'wa')}${file}--b--\r\n`,
    })
    expectError(answer, 400, 'bad_request', /^file: expected a name .* without control characters$/)
  })

  test('as large as allowed; one byte more: 413', async () => {
    expect((await send({ body: form({ ...FIELDS, file: pdf(MAX_BYTES) }) })).status).toBe(200)
    expectError(await send({ body: form({ ...FIELDS, file: pdf(MAX_BYTES + 1) }) }), 413, 'payload_too_large')
    expectError(
      await send({ body: form({ file: pdf(MAX_BYTES * 20), ...FIELDS }) }),
      413,
      'payload_too_large',
    )
  })

  test('a full disk: 507', async () => {
    app.failures.stage = new GatewayError('storage_full', 'the disk is full')
    expectError(await send({ body: form({ ...FIELDS, file: pdf() }) }), 507, 'storage_full')
  })

  test('no such device: 404, before the body is read', async () => {
    const before = app.uploads.length
    const answer = await send({ body: form({ ...FIELDS, file: pdf() }) }, '/api/v1/devices/999/message')
    expectError(answer, 404, 'not_found')
    expect(app.uploads.length).toBe(before)
  })

  test.each([
    ['no extension', { ...FIELDS, file: pdf('x', 'document') }, /^Uploaded file must have a file extension$/],
    [
      'a dot and nothing',
      { ...FIELDS, file: pdf('x', 'document.') },
      /^Uploaded file must have a file extension$/,
    ],
    [
      'a hidden file',
      { ...FIELDS, file: pdf('x', '.profile') },
      /^Uploaded file must have a file extension$/,
    ],
    [
      'a name of 256 bytes',
      { ...FIELDS, file: pdf('x', `${'ü'.repeat(126)}.pdf`) },
      /^file: expected a name of at most 255 bytes, without control characters$/,
    ],
    ['a file as text', { ...FIELDS, file: 'text' }, 'file: expected a file, not text'],
    [
      'a file in another field',
      { ...FIELDS, document: pdf() },
      'document: expected the file in a field named "file"',
    ],
    ['no platform', { contact: '1', file: pdf() }, 'Missing required field: platform'],
    [
      'no recipient',
      { platform: 'wa', file: pdf() },
      'Missing required field: contact, group_url or chat_id',
    ],
    ['neither text nor file', FIELDS, /^Either text or file must be provided$/],
  ])('%s: 400', async (_name, entries, says) => {
    expectError(await send({ body: form(entries) }), 400, 'bad_request', says)
  })

  test('several files come in the order of the form', async () => {
    const data = form({ ...FIELDS, file: pdf() })
    for (const name of ['b.pdf', 'a.pdf']) data.append('file', pdf(name, name))
    expect((await send({ body: data })).status).toBe(200)
    const names = app.sends.at(-1)?.files?.map(({ fileName }) => fileName)
    expect(names).toEqual(['document.pdf', 'b.pdf', 'a.pdf'])
  })

  test('of several files all are discarded when one is refused', async () => {
    const before = app.onDisk.size
    const data = form({ ...FIELDS, file: pdf() })
    data.append('file', pdf('second', 'second'))
    const says = 'Uploaded file must have a file extension'
    expectError(await send({ body: data }), 400, 'bad_request', says)
    const tooMany = form(FIELDS)
    for (let count = 0; count <= 30; count++) tooMany.append('file', pdf())
    expectError(await send({ body: tooMany }), 400, 'bad_request', 'file: expected at most 30 files')
    expect(app.onDisk.size).toBe(before)
  })

  test('several files with a key: a repeat has to have them all', async () => {
    const headers = { 'Idempotency-Key': 'several-files' }
    const withFiles = (...contents: string[]) => {
      const data = form(FIELDS)
      for (const content of contents) data.append('file', pdf(content))
      return send({ body: data, headers })
    }
    const before = app.onDisk.size
    expect((await withFiles('a', 'b')).status).toBe(200)
    expect((await withFiles('a', 'b')).headers.get('idempotency-replayed')).toBe('true')
    for (const other of [['a', 'c'], ['a'], ['b', 'a'], ['a', 'b', 'b']])
      expectError(await withFiles(...other), 422, 'unprocessable')
    expect(app.onDisk.size).toBe(before)
  })

  test('file_url is passed on as it is written, in JSON too, and not beside a file', async () => {
    const fileUrl = 'https://files.example/a.pdf?key=1'
    await send({ json: { ...FIELDS, file_url: fileUrl } })
    expect(app.sends.at(-1)).toMatchObject({ fileUrl, files: [] })
    await send({ body: form({ ...FIELDS, file_url: fileUrl }) })
    expect(app.sends.at(-1)).toMatchObject({ fileUrl, files: [] })
    const beside = await send({ body: form({ ...FIELDS, file_url: fileUrl, file: pdf() }) })
    const says = 'file_url: expected in a message of its own, not beside file'
    expectError(beside, 400, 'bad_request', says)
  })

  test.each(['platform', 'text', 'chat_id'])('%s twice: 400', async name => {
    const data = form({ ...FIELDS, text: 'x', [name]: 'wa', file: pdf() })
    data.append(name, 'wa')
    const says = `${name}: expected once, not several times`
    expectError(await send({ body: data }), 400, 'bad_request', says)
  })

  test.each(['contact', 'group_url'])('%s several times is a list', async name => {
    const data = form({ ...FIELDS, text: 'x', [name]: '1' })
    for (const each of ['2', '3']) data.append(name, each)
    expect((await send({ body: data })).status).toBe(200)
    const { contact, groupUrl } = app.sends.at(-1) ?? {}
    expect(name === 'contact' ? contact : groupUrl).toEqual(['1', '2', '3'])
  })

  test('a field that is not ours, twice, is ignored as ever', async () => {
    const data = form({ ...FIELDS, text: 'x', label: 'one' })
    data.append('label', 'two')
    expect((await send({ body: data })).status).toBe(200)
  })

  test('a hundred recipients and a hundred mentions are repeated fields', async () => {
    const people = Array.from({ length: 100 }, (_, at) => String(4_917_000_000_000 + at))
    const data = form({ platform: 'wa', text: people.map(person => `@${person}`).join(' ') })
    for (const person of people) {
      data.append('contact', person)
      data.append('mentions', person)
    }
    expect((await send({ body: data })).status).toBe(200)
    expect(app.sends.at(-1)?.contact).toEqual(people)
  })

  test('too many fields: 400, one too large: 413', async () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`field${n}`, 'x']))
    expectError(await send({ body: form({ ...FIELDS, ...many }) }), 400, 'bad_request', 'too many fields')
    const large = form({ ...FIELDS, text: 'x'.repeat(300 * 1024) })
    expectError(await send({ body: large }), 413, 'payload_too_large', 'text')
  })

  const part = (name: string, value: string) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  const filePart = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
  test.each([
    ['no part', ''],
    ['no boundary in it', 'whatever'],
    [
      'cut off in a field',
      `${part('platform', 'wa')}--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nha`,
    ],
    ['cut off in the file', `${part('platform', 'wa')}${part('contact', '1')}${filePart}half a fi`],
    [
      'cut off after the file',
      `${part('platform', 'wa')}${part('contact', '1')}${filePart}whole\r\n--b\r\nContent-`,
    ],
    ['no end', part('platform', 'wa')],
  ])('malformed (%s): 400', async (_name, body) => {
    const answer = await send({ headers: { 'content-type': 'multipart/form-data; boundary=b' }, body })
    expectError(answer, 400, 'bad_request')
  })

  test('what the sender refuses leaves no file', async () => {
    app.failures.accept = new GatewayError('bad_request', 'group_url: is no group')
    const answer = await send({ body: form({ ...FIELDS, file: pdf() }) })
    expectError(answer, 400, 'bad_request')
  })
})

describe('a place, a poll, a contact card and notes', () => {
  const PARTS = {
    location: { latitude: 52.5, longitude: -13.4, name: 'Gate' },
    poll: { question: 'When?', options: ['Mon', 'Tue'], max_selections: 2 },
    contact_card: { name: 'Ada/L', phones: ['+49 151'], emails: ['ada@example.org'] },
  }

  test.each(['location', 'poll', 'contact_card'] as const)('%s, as JSON and in a form', async name => {
    const part = PARTS[name]
    const metadata = { order: '4711', note: '' }
    expect((await send({ json: { ...FIELDS, [name]: part, metadata } })).status).toBe(200)
    const fields = { ...FIELDS, [name]: JSON.stringify(part), metadata: JSON.stringify(metadata) }
    expect((await send({ body: form({ ...fields, text: '' }) })).status).toBe(200)
    for (const request of app.sends.slice(-2))
      expect(request).toMatchObject({ content: { [name]: part }, metadata })
  })

  test('how a text is written and a file is shown, as JSON and in a form', async () => {
    const content = {
      format: 'markdown' as const,
      mentions: ['1', '2'],
      link_preview: false as const,
      as: 'sticker' as const,
    }
    const { as: _as, ...ofText } = content
    expect((await send({ json: { ...FIELDS, text: '@1 @2', ...ofText } })).status).toBe(200)
    expect(app.sends.at(-1)).toMatchObject({ content: ofText })
    const fields = { format: 'markdown', link_preview: 'false', as: 'sticker', mentions: '1' }
    const data = form({ ...FIELDS, text: '@1 @2', ...fields, file: pdf() })
    data.append('mentions', '2')
    expect((await send({ body: data })).status).toBe(200)
    expect(app.sends.at(-1)).toMatchObject({ content })
    const defaults = { format: 'plain', link_preview: true, as: 'auto', mentions: [] }
    expect((await send({ json: { ...FIELDS, text: 'x', ...defaults } })).status).toBe(200)
    expect(app.sends.at(-1)?.content).toBeUndefined()
    const empty = { format: '', link_preview: '', as: '', mentions: '' }
    expect((await send({ body: form({ ...FIELDS, text: 'x', ...empty }) })).status).toBe(200)
    expect(app.sends.at(-1)?.content).toBeUndefined()
  })

  test.each([
    [{ format: 'html' }, 'format: expected one of plain, markdown'],
    [{ link_preview: 'no' }, 'link_preview: expected true or false'],
    [{ as: 'gif' }, 'as: expected with a file'],
    [{ as: 'photo' }, 'as: expected one of auto, image'],
    [{ mentions: '1' }, 'mentions: expected a list'],
    [{ mentions: [''] }, 'mentions.0: expected text of 1 to 512 characters'],
  ])('%j: 400', async (fields, says) => {
    expectError(await send({ json: { ...FIELDS, text: 'x', ...fields } }), 400, 'bad_request', says)
  })

  test('a contact card is a file', async () => {
    await send({ json: { ...FIELDS, contact_card: PARTS.contact_card, text: 'call her' } })
    expect(app.sends.at(-1)?.files?.[0]?.fileName).toBe('Ada L.vcf')
    expect(app.uploads.at(-1)).toMatchObject({ fileName: 'Ada L.vcf', mimeType: 'text/vcard' })
  })

  test.each(['location', 'poll', 'contact_card'] as const)('%s beside a file_url: 400', async name => {
    const parts = { [name]: PARTS[name], file_url: 'https://files.example/a.pdf' }
    const answer = await send({ json: { ...FIELDS, ...parts } })
    expectError(answer, 400, 'bad_request', 'expected in a message of its own, not beside')
  })

  test('objects that a form leaves empty are none', async () => {
    const empty = { location: '', poll: '', contact_card: '', metadata: '' }
    expect((await send({ body: form({ ...FIELDS, text: 'x', ...empty }) })).status).toBe(200)
    expect(app.sends.at(-1)).toMatchObject({ content: undefined, metadata: undefined })
  })

  test.each([
    [{ location: { latitude: 91, longitude: 0 } }, 'location.latitude: expected a number from -90 to 90'],
    [{ location: { latitude: 1 } }, 'Missing required field: location.longitude'],
    [
      { location: { latitude: 1, longitude: 2, lattitude: 3 } },
      'location.lattitude: there is no such field; did you mean latitude?',
    ],
    [{ location: 'geo:1,2' }, 'location: expected an object'],
    [{ location: PARTS.location, text: 'here' }, 'text: expected in a message of its own, as a location'],
    [{ poll: PARTS.poll, text: 'vote' }, 'text: expected in a message of its own, as a poll'],
    [
      { location: PARTS.location, poll: PARTS.poll },
      'poll: expected in a message of its own, not beside location',
    ],
    [{ poll: { question: 'q', options: ['one'] } }, 'poll.options: expected a list of 2 to 100'],
    [{ poll: { question: '', options: ['a', 'b'] } }, 'poll.question: expected text of 1 to 1000 characters'],
    [{ poll: { ...PARTS.poll, max_selections: 1.5 } }, 'poll.max_selections: expected a whole number from 1'],
    [{ contact_card: { name: 'x', phones: [] } }, 'contact_card.phones: expected a list of 1 to 20'],
    [{ metadata: { a: 1 }, text: 'x' }, 'metadata.a: expected text'],
    [{ metadata: ['a'], text: 'x' }, 'metadata: expected an object'],
    [{ poll: { question: '\ud800', options: ['a', 'b'] } }, 'poll: expected whole characters'],
  ])('%j: 400', async (fields, says) => {
    expectError(await send({ json: { ...FIELDS, ...fields } }), 400, 'bad_request', says)
  })

  test('a form with a file beside a place, and with an object that is none', async () => {
    const location = JSON.stringify(PARTS.location)
    const both = await send({ body: form({ ...FIELDS, location, file: pdf() }) })
    expectError(both, 400, 'bad_request', 'location: expected in a message of its own, not beside file')
    const broken = await send({ body: form({ ...FIELDS, location: '{', file: pdf() }) })
    expectError(broken, 400, 'bad_request', 'location: expected an object as JSON')
  })
})

test('a URL-encoded form', async () => {
  const body = 'contact=1&platform=wa&text=a%20b+c'
  const answer = await send({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body })
  expect([answer.status, app.sends.at(-1)?.text]).toEqual([200, 'a b c'])
})

test.each([
  ['contact=1&platform=wa&platform=wa&text=x', 'platform: expected once'],
  ['contact=1&platform=wa&text=x&file=document.pdf', 'file: expected in a multipart form'],
])('a URL-encoded form with %s: 400', async (body, says) => {
  const before = app.sends.length
  const answer = await send({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body })
  expectError(answer, 400, 'bad_request', says)
  expect(app.sends.length).toBe(before)
})

test.each(['text/plain', 'application/octet-stream', 'multipart/form-data', ''])('%p: 415', async type => {
  const answer = await send({ headers: { 'content-type': type }, body: '{}' })
  expectError(answer, 415, 'unsupported_media_type')
})

test('no body, whatever its type: what is missing is named', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', '', 'application/json']) {
    const answer = await send({ headers: { 'content-type': type }, body: '' })
    expectError(answer, 400, 'bad_request', 'Missing required field: platform')
  }
})

test('JSON that curl -d calls a form: the answer names the header to send', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await send({ headers, body: ' {"platform": "wa", "contact": "1", "text": "a & b = c"}' })
  expectError(answer, 415, 'unsupported_media_type', 'send the header "Content-Type: application/json"')
})

test.each([
  [{ platform: 'wa', contact: '1', message: 'hi' }, 'message: there is no such field; did you mean text?'],
  [{ platform: 'wa', contact: '1', body: 'hi' }, 'body: there is no such field; did you mean text?'],
  [{ platform: 'wa', to: '1', text: 'hi' }, 'to: there is no such field; did you mean contact?'],
])('%j: %s', async (json, says) => {
  expectError(await send({ json }), 400, 'bad_request', says)
})

describe('a part of a form', () => {
  const boundary = { 'content-type': 'multipart/form-data; boundary=b' }
  const part = (headers: string, content: string) =>
    `--b\r\nContent-Disposition: form-data; ${headers}\r\n\r\n${content}\r\n`
  const upload = (...parts: string[]) =>
    send({
      headers: boundary,
      body: [part('name="platform"', 'wa'), part('name="contact"', '1'), ...parts, '--b--\r\n'].join(''),
    })
  const octets = '\r\nContent-Type: application/octet-stream'

  test.each([
    ['as browsers send it', part(`name="file"; filename=""${octets}`, '')],
    ['without a type', part('name="file"; filename=""', '')],
    ['without a file name', part('name="file"', '')],
  ])('an empty file input is no file: %s', async (_what, input) => {
    expect((await upload(part('name="text"', 'hello'), input)).status).toBe(200)
    expect(app.sends.at(-1)).toMatchObject({ text: 'hello', files: [] })
    expectError(await upload(input), 400, 'bad_request', 'Either text or file must be provided')
  })

  test('a file without a name that has bytes is one without an extension', async () => {
    const answer = await upload(part(`name="file"; filename=""${octets}`, 'bytes'))
    expectError(answer, 400, 'bad_request', 'Uploaded file must have a file extension')
  })

  test.each([1, 2, 3, 76, 100_000])('a file of %i bytes in base64, in lines, is decoded', async size => {
    const content = Buffer.alloc(size, 'Meshgate ')
    const lines = content.toString('base64').replace(/.{76}/g, '$&\r\n')
    const answer = await upload(
      part('name="file"; filename="a.bin"\r\nContent-Transfer-Encoding: base64', lines),
    )
    expect(answer.status).toBe(200)
    const sha256 = new Bun.CryptoHasher('sha256').update(content).digest('hex')
    expect(app.uploads.at(-1)).toMatchObject({ size, sha256 })
  })

  test.each([
    ['base64', 'aGVsbG8*', 'file: expected base64, as its Content-Transfer-Encoding says'],
    ['base64', 'aGVsb', 'file: expected base64'],
    ['base64', 'aGVsbA==aGVsbA==', 'file: expected base64'],
    [
      'quoted-printable',
      'caf=C3=A9',
      'file: Content-Transfer-Encoding: expected 7bit, 8bit, binary or base64',
    ],
  ])('a file in %s that says %j is refused: %s', async (encoding, content, says) => {
    const answer = await upload(
      part(`name="file"; filename="a.bin"\r\nContent-Transfer-Encoding: ${encoding}`, content),
    )
    expectError(answer, 400, 'bad_request', says)
    expect(app.onDisk.size).toBe(0)
  })
})

describe('messages sent', () => {
  test.each([
    ['', 100],
    ['?limit=1', 1],
    ['?limit=1000', 1_000],
  ])('GET /messages%s', async (query, limit) => {
    expect((await app.call('GET', `/api/v1/messages${query}`, { auth })).status).toBe(200)
    expect(app.listed.at(-1)).toEqual({ limit, before: undefined })
  })

  test.each(['0', '1001', 'x', '-1', ''])('limit %p: 400', async limit => {
    const answer = await app.call('GET', `/api/v1/messages?limit=${limit}`, { auth })
    expectError(answer, 400, 'bad_request', 'limit: expected a whole number from 1 to 1000')
  })

  test('before, and one that is not there', async () => {
    await app.call('GET', '/api/v1/messages?before=msg_9', { auth })
    expect(app.listed.at(-1)?.before).toBe('msg_9')
    expectError(await app.call('GET', '/api/v1/messages/msg_x', { auth }), 404, 'not_found')
  })
})
