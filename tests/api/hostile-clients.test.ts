/** Hostile clients on a raw socket: they trickle, are ambiguous, or send bodies that cost a lot. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { RunningServer } from '../../src/http/server.ts'
import { openRaw, type RawClient } from '../support/raw-client.ts'
import { basic, testHttp } from '../support/test-http.ts'
import { upgradeHead } from '../support/upgrade-head.ts'
import { uploadHead } from '../support/upload-head.ts'
import { waitFor } from '../support/wait-for.ts'

/** Bun's timers tell four seconds apart. */
const IDLE_TIMEOUT_S = 8
const SEND = '/api/v1/devices/237123456789/message'

let app: Awaited<ReturnType<typeof testHttp>>
let server: RunningServer
let token: string
const clients: RawClient[] = []

beforeEach(async () => {
  app = await testHttp({ idleTimeoutS: IDLE_TIMEOUT_S })
  server = app.http.listen()
  token = await app.newToken()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client[Symbol.dispose]()
  await server.stop(0)
  app.destroy()
})

async function open({ url } = server): Promise<RawClient> {
  const client = await openRaw(url)
  clients.push(client)
  return client
}

const jsonHead = (holder = token, length = 900_000) =>
  `POST ${SEND} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${holder}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n{`

/** All at once, as each takes as long as the server's patience. */
test('what trickles in is cut off: headers, bodies and silence; an upload at a fair rate is not, and a silent WebSocket is pinged', async () => {
  const cutOff = async (begin: string, drop: string): Promise<RawClient> => {
    const client = await open()
    client.write(begin)
    await waitFor(
      () => {
        if (!client.closed) client.write(drop)
        return client.closed
      },
      { what: `the server to have enough of ${JSON.stringify(begin.slice(-40))}`, deadlineMs: 30_000 },
    )
    return client
  }
  const [fair, , ...slow] = await Promise.all([
    uploadFairly(),
    untilPinged(),
    cutOff('GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ', 'a'),
    cutOff('GET /health HTTP/1.1\r\nHost: localhost\r\n', 'X: a\r\n'),
    cutOff('', ''),
    cutOff(jsonHead(), ' '),
    cutOff(uploadHead(token, 1_000_000), 'x'),
  ])
  expect(fair).toStartWith('HTTP/1.1 200')
  expect(slow.filter(({ heard }) => heard.includes('200 OK'))).toEqual([])
  expect(app.sends).toHaveLength(1)
  await waitFor(() => app.onDisk.size === 0)
}, 60_000)

/**
 * Opens a WebSocket of a link at which nothing happens.
 * @returns when the server has pinged it, within 25 s
 */
async function untilPinged(): Promise<void> {
  await app.call('POST', '/api/v1/devices', { auth: `Bearer ${token}`, json: { platform: 'wa' } })
  const client = await open()
  client.write(upgradeHead(token))
  const pinged = '\x89\x00'
  await waitFor(() => client.heard.endsWith(pinged), { what: 'a ping', deadlineMs: 25_000 })
}

/** Uploads for twice the server's patience, faster than it asks for. @returns the answer */
async function uploadFairly(): Promise<string> {
  const client = await open()
  const end = [
    '\r\n--b\r\nContent-Disposition: form-data; name="contact"\r\n\r\n1',
    '\r\n--b\r\nContent-Disposition: form-data; name="platform"\r\n\r\nwa\r\n--b--\r\n',
  ].join('')
  const sizeBytes = 3 * 1024 * 1024
  const beginning = uploadHead(token, 0).split('\r\n\r\n').slice(1).join('\r\n\r\n')
  client.write(uploadHead(token, beginning.length + sizeBytes + end.length))
  const startedAt = performance.now()
  let sentBytes = 0
  await waitFor(
    () => {
      const isLate = performance.now() - startedAt > 2 * IDLE_TIMEOUT_S * 1_000
      const piece = Buffer.alloc(isLate ? sizeBytes - sentBytes : 500, 'x')
      sentBytes += piece.length
      client.write(piece)
      return isLate || client.closed
    },
    { what: 'a slow upload', deadlineMs: 40_000 },
  )
  client.write(end)
  await waitFor(() => client.heard !== '' || client.closed, { what: 'the answer to a slow upload' })
  return client.heard
}

describe('bodies that are announced and do not come', () => {
  /** Has one token open many of them. */
  const withSilence = async (
    options: { maxBytesInFlight?: number; bodyMs?: number },
    lengths: readonly number[],
    act: (its: { strict: typeof app; silent: RawClient[]; silentToken: string }) => Promise<void>,
  ) => {
    const strict = await testHttp(options)
    const running = strict.http.listen()
    try {
      const silentToken = await strict.newToken()
      const silent = await Promise.all(lengths.map(() => open(running)))
      for (const [index, client] of silent.entries()) client.write(jsonHead(silentToken, lengths[index]))
      await act({ strict, silent, silentToken })
    } finally {
      await running.stop(0)
      await strict.destroy()
    }
  }
  const send = (to: typeof app, holder: string) =>
    to.call('POST', SEND, {
      auth: `Bearer ${holder}`,
      json: { platform: 'wa', contact: '1', text: 'hello' },
    })

  test('take up the room of the token that announced them, and nobody else’s', async () => {
    const lengths = Array<number>(40).fill(900_000)
    await withSilence({ maxBytesInFlight: 1056 * 1024 }, lengths, async its => {
      const isRefused = (client: RawClient) => client.heard.startsWith('HTTP/1.1 429')
      // An eighth is 132 KiB, and each takes 8 KiB and what came in: room for 16.
      await waitFor(() => its.silent.filter(isRefused).length === 24, { what: 'those beyond the share' })
      expect((await send(its.strict, its.silentToken)).status).toBe(429)
      expect((await send(its.strict, await its.strict.newToken())).status).toBe(200)
    })
  })

  test('have a time limit, after which there is room again', async () => {
    await withSilence({ bodyMs: 200, maxBytesInFlight: 256 * 1024 }, [10, 900_000], async its => {
      await waitFor(() => its.silent.every(({ heard }) => heard !== ''), { what: 'the end of patience' })
      for (const { heard } of its.silent) {
        expect(heard).toStartWith('HTTP/1.1 400')
        expect(heard).toContain('The body took longer than 0.2 s to come in')
      }
      expect((await send(its.strict, its.silentToken)).status).toBe(200)
    })
  })
})

test('the fields of forms that do not end count in full for the token that sends them, and for nobody else', async () => {
  const strict = await testHttp({ maxBytesInFlight: 32 * 1024 * 1024 })
  const running = strict.http.listen()
  try {
    const greedy = await strict.newToken()
    // A character beyond Latin-1, so that each of the others takes two bytes.
    const value = `あ${'x'.repeat(200 * 1024)}`
    const fields = Array.from(
      { length: 30 },
      (_, index) => `--b\r\nContent-Disposition: form-data; name="x${index}"\r\n\r\n${value}\r\n`,
    ).join('')
    const [head] = uploadHead(greedy, 500_000_000).split('--b')
    const client = await open(running)
    client.write(`${head}${fields}`)
    await waitFor(() => client.heard !== '', { what: 'the end of the share, 4 MiB' })
    expect(client.heard).toStartWith('HTTP/1.1 429')
    expect(client.heard).toContain('This token or credential has too many requests under way')
    const form = new FormData()
    for (const [name, text] of Object.entries({ platform: 'wa', contact: '1', text: 'hello', note: value }))
      form.set(name, text)
    for (const holder of [greedy, await strict.newToken()]) {
      const answer = await strict.call('POST', SEND, { auth: `Bearer ${holder}`, body: form })
      expect(answer.status).toBe(200)
    }
  } finally {
    await running.stop(0)
    await strict.destroy()
  }
})

test('a body with trailers, which Bun answers with an empty 400 by itself, does nothing', async () => {
  const body = JSON.stringify({ platform: 'wa', contact: '1', text: 'hello' })
  const client = await open()
  client.write(
    `POST ${SEND} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n` +
      `Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\nX-Sum: 1\r\n\r\n`,
  )
  await waitFor(() => client.closed, { what: 'the server to close' })
  for (const status of client.statuses()) expect(status).toBe(400)
  expect(app.sends).toHaveLength(0)
})

test.each(['gzip', 'Deflate', 'br'])(
  'a body in %s is refused by name, not as an undecodable text',
  async coding => {
    const headers = { 'Content-Encoding': coding }
    const answer = await app.call('POST', SEND, { auth: `Bearer ${token}`, json: {}, headers })
    expect(answer.status).toBe(415)
    expect(answer.body).toMatchObject({
      error: `Content-Encoding: expected a body without ${coding.toLowerCase()}`,
      code: 'unsupported_media_type',
    })
  },
)

describe('a request that could be read in two ways is refused', () => {
  const chunked = '5\r\nabcde\r\n0\r\n\r\n'

  test.each([
    ['two lengths', 'Content-Length: 3\r\nContent-Length: 5', 'abcde'],
    ['a list of lengths', 'Content-Length: 3, 3', 'abc'],
    ['a length and chunks', 'Content-Length: 3\r\nTransfer-Encoding: chunked', chunked],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 3', chunked],
    ['chunks twice', 'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', chunked],
    ['chunks in disguise', 'Transfer-Encoding: xchunked', chunked],
    ['chunks within another coding', 'Transfer-Encoding: gzip, chunked', chunked],
    ['a negative length', 'Content-Length: -3', 'abc'],
    ['a length with a sign', 'Content-Length: +3', 'abc'],
    ['a hexadecimal length', 'Content-Length: 0x3', 'abc'],
    ['a space before the colon', 'Content-Length : 3', 'abc'],
    ['a folded header', 'X-Folded: a\r\n b', ''],
    ['a zero byte in a header', 'X-Zero: a\0b', ''],
    ['a chunk whose length is no number', 'Transfer-Encoding: chunked', '0x5\r\nabcde\r\n0\r\n\r\n'],
  ])('%s', async (_what, head, body) => {
    const client = await open()
    client.write(
      `POST /nowhere HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n${body}GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    )
    await waitFor(() => client.closed, { what: 'the server to close' })
    // A body may prove wrong after the answer; what follows it must not count as another.
    expect(client.heard).toMatch(/HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n\r\n$/)
    expect(client.heard).not.toContain('200 OK')
  })

  test.each([
    ['headers of 20,000 bytes', `X-Long: ${'a'.repeat(20_000)}`],
    ['a thousand headers', Array.from({ length: 1_000 }, (_, index) => `X-${index}: a`).join('\r\n')],
  ])('%s are too many', async (_what, head) => {
    const client = await open()
    client.write(`GET /health HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n`)
    await waitFor(() => client.closed, { what: 'the server to close' })
    expect(client.heard).toStartWith('HTTP/1.1 431')
  })
})

describe('a form', () => {
  const part = (name: string, value: string) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  const file = (headers: string, content = 'x') => `--b\r\n${headers}\r\n\r\n${content}\r\n`
  const named = (fileName: string) =>
    `Content-Disposition: form-data; name="file"; filename="${fileName}"\r\nContent-Type: text/plain`
  const post = (body: string, type = 'multipart/form-data; boundary=b') =>
    app.call('POST', SEND, {
      auth: `Bearer ${token}`,
      headers: { 'content-type': type },
      body: `${body}--b--\r\n`,
    })
  const fields = part('platform', 'wa') + part('contact', '1')

  test.each([
    ['thousands of fields', () => part('a', 'b').repeat(5_000), 400],
    ['thousands of files', () => file(named('a.txt')).repeat(5_000), 400],
    ['a field of a megabyte', () => part('text', 'x'.repeat(1_000_000)), 413],
    ['a name of a megabyte', () => part('n'.repeat(1_000_000), 'x'), 400],
    ['a file name of a megabyte', () => file(named(`${'n'.repeat(1_000_000)}.txt`)), 400],
    ['thousands of headers in a part', () => file(`${named('a.txt')}\r\n${'X-A: b\r\n'.repeat(5_000)}`), 400],
    [
      'a header of a megabyte in a part',
      () => file(`${named('a.txt')}\r\nX-A: ${'b'.repeat(1_000_000)}`),
      400,
    ],
    [
      'a form within the form',
      () =>
        file(
          'Content-Disposition: form-data; name="x"\r\nContent-Type: multipart/mixed; boundary=c',
          `--c\r\n${named('a.txt')}\r\n\r\nx\r\n--c--`,
        ),
      400,
    ],
    [
      'no end',
      () => `${fields}--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx`,
      400,
    ],
    ['nothing but boundaries', () => '--b\r\n'.repeat(100_000), 400],
  ])('with %s is refused, and leaves nothing behind', async (_what, body, status) => {
    const answer = await post(fields + body())
    expect([answer.status, answer.body.code]).toEqual([
      status,
      status === 413 ? 'payload_too_large' : 'bad_request',
    ])
    expect(app.onDisk.size).toBe(0)
    expect(app.sends).toEqual([])
  })

  test('with a boundary of a megabyte is refused', async () => {
    expect((await post(fields, `multipart/form-data; boundary=${'b'.repeat(1_000_000)}`)).status).toBe(400)
  })

  test('with fields of the names of an object’s own is a form like any other', async () => {
    const strange = part('__proto__', 'x') + part('constructor', 'x') + part('toString', 'x')
    const answer = await post(`${fields}${strange}${part('text', 'hello')}`)
    expect(answer.status).toBe(200)
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  test.each([
    ['../../../etc/passwd.txt', 'passwd.txt'],
    ['..\\..\\windows\\system.ini', 'system.ini'],
    ['/etc/cron.d/job.sh', 'job.sh'],
    ['C:\\fakepath\\photo.jpg', 'photo.jpg'],
    ['....//....//x.txt', 'x.txt'],
    ['a%2f..%2fb.txt', 'a%2f..%2fb.txt'],
    ['.htaccess.', null],
    ['..', null],
    ['a/b/', null],
  ])('with a file named %s: %p', async (fileName, expected) => {
    const answer = await post(fields + file(named(fileName.replaceAll('\\', '\\\\'))))
    if (expected === null) {
      expect(answer.body.error).toBe('Uploaded file must have a file extension')
      return
    }
    expect(answer.status).toBe(200)
    expect(app.uploads.at(-1)?.fileName).toBe(expected)
  })
})

describe('JSON', () => {
  const post = (body: string, headers: Record<string, string> = {}) =>
    app.call('POST', SEND, {
      auth: `Bearer ${token}`,
      headers: { 'content-type': 'application/json', ...headers },
      body,
    })
  /** @param levels of lists, within the one of the body itself */
  const nested = (levels: number) =>
    `{"platform":"wa","contact":"1","text":"[[{\\"[","x":${'['.repeat(levels)}${']'.repeat(levels)}}`

  test.each([
    [63, 200],
    [64, 400],
    [20_000, 400],
    [200_000, 400],
  ])('of %d levels in the body, with an Idempotency-Key: %d', async (levels, status) => {
    const answer = await post(nested(levels), { 'idempotency-key': `levels-${levels}` })
    expect(answer.status).toBe(status)
    if (status !== 200) expect(answer.body.error).toBe('The body is nested deeper than 64 levels')
  })

  test.each([
    ['lists in lists', `${'['.repeat(200_000)}${']'.repeat(200_000)}`],
    ['objects in objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['lists that do not end', '['.repeat(1_000_000)],
    ['a text that is a list', `{"platform":"wa","contact":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
  ])('of %s: 400', async (_what, body) => {
    const answer = await post(body)
    expect([answer.status, answer.body.code]).toEqual([400, 'bad_request'])
  })

  test('that names an object’s own properties changes nothing', async () => {
    const body =
      '{"__proto__": {"text": "x"}, "constructor": {"prototype": {"polluted": 1}}, "platform": "wa", "contact": "1"}'
    expect((await post(body)).body.error).toBe('Either text or file must be provided')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test('has no fields but its own', async () => {
    const answer = await app.call('POST', '/api/v1/webhooks', {
      auth: `Bearer ${token}`,
      headers: { 'content-type': 'application/json' },
      body: '{"__proto__": {"url": "https://example.com/"}}',
    })
    expect([answer.status, answer.body.code]).toEqual([400, 'bad_request'])
  })

  test('after all of that the program is well', async () => {
    await post('['.repeat(500_000))
    expect((await app.call('GET', '/api/v1/tokens', { auth: basic() })).status).toBe(200)
  })
})
