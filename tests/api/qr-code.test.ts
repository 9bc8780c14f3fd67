/** The QR WebSocket, over a real port. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import type { RunningServer } from '../../src/http/server.ts'
import { yieldToEventLoop } from '../../src/lib/turn-budget.ts'
import { expectError } from '../support/expect-error.ts'
import { basic, testHttp } from '../support/test-http.ts'
import { waitFor } from '../support/wait-for.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let server: RunningServer
let token: string
const clients: WebSocket[] = []

beforeAll(async () => {
  app = await testHttp()
  server = app.http.listen()
  token = await app.newToken()
})
beforeEach(async () => {
  // The link is the token's.
  await app.call('POST', '/api/v1/devices', { auth: `Bearer ${token}`, json: { platform: 'wa' } })
  app.link.answers = []
  app.link.latest = { type: 'qr', payload: 'qr-1', image_url: null, instructions: 'Scan it' }
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await waitFor(() => app.link.listeners.size === 0, { what: 'every client to be gone' })
})
afterAll(async () => {
  await server.stop(0)
  app.destroy()
})

interface Client {
  frames: (string | Uint8Array)[]
  closed: { code: number; reason: string } | undefined
  socket: WebSocket
}

function connect(query: string, headers: Record<string, string> = {}): Client {
  const url = `${server.url.replace('http', 'ws')}/api/v1/devices/qr-code?${query}`
  const socket = new WebSocket(url, { headers })
  socket.binaryType = 'arraybuffer'
  const client: Client = { frames: [], closed: undefined, socket }
  socket.onmessage = ({ data }) => {
    client.frames.push(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
  }
  socket.onclose = ({ code, reason }) => {
    client.closed = { code, reason }
  }
  clients.push(socket)
  return client
}

const frame = (client: Client, index: number) => waitFor(() => client.frames[index])

describe('what is shown', () => {
  test('the newest event at once, then each new one, to every client', async () => {
    const first = connect(`token=${token}`)
    const second = connect(`token=${token}`)
    expect(await frame(first, 0)).toBe('qr-1')
    expect(await frame(second, 0)).toBe('qr-1')
    app.link.emit({ type: 'qr', payload: 'qr-2', image_url: null, instructions: '' })
    const third = connect(`token=${token}`)
    expect(await frame(third, 0)).toBe('qr-2')
    app.link.emit({ type: 'code', code: 'ABCD-1234', image_url: null, instructions: '' })
    for (const client of [first, second, third]) await waitFor(() => client.frames.at(-1) === 'ABCD-1234')
    expect(first.frames).toEqual(['qr-1', 'qr-2', 'ABCD-1234'])
    expect(third.frames).toEqual(['qr-2', 'ABCD-1234'])
  })

  test('nothing before there is something', async () => {
    app.link.latest = null
    const client = connect(`token=${token}`)
    await waitFor(() => app.link.listeners.size === 1)
    app.link.emit({ type: 'qr', payload: 'first', image_url: null, instructions: '' })
    expect(await frame(client, 0)).toBe('first')
  })

  test('takes the token from the header', async () => {
    const client = connect('', { authorization: `Bearer ${token}` })
    expect(await frame(client, 0)).toBe('qr-1')
  })

  test('json: events whole, the end included', async () => {
    const client = connect(`token=${token}&format=json`)
    expect(JSON.parse(String(await frame(client, 0)))).toEqual({
      type: 'qr',
      payload: 'qr-1',
      image_url: null,
      instructions: 'Scan it',
    })
    app.link.emit({ type: 'input', fields: [], attachments: [], instructions: 'Your number' })
    expect(JSON.parse(String(await frame(client, 1)))).toMatchObject({ type: 'input', fields: [] })
    app.link.emit({ type: 'error', code: 'timeout', message: 'Nobody scanned' })
    expect(JSON.parse(String(await frame(client, 2)))).toMatchObject({ type: 'error', code: 'timeout' })
    expect(await waitFor(() => client.closed)).toEqual({ code: 4408, reason: 'Nobody scanned' })
  })

  test('png: an image in a binary frame', async () => {
    const png = await frame(connect(`token=${token}&format=png`), 0)
    expect(png).toBeInstanceOf(Uint8Array)
    expect(
      Buffer.from(png as Uint8Array)
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG')
  })

  test('svg and terminal: text', async () => {
    expect(await frame(connect(`token=${token}&format=svg`), 0)).toMatch(/^<svg[\s\S]+<\/svg>/)
    expect(await frame(connect(`token=${token}&format=terminal`), 0)).toMatch(/[▀▄█][\s\S]*\n$/)
  })

  test('terminal: how it ends is in the last frame', async () => {
    const linked = connect(`token=${token}&format=terminal`)
    await frame(linked, 0)
    app.link.emit({ type: 'connected', platform: 'wa', device_id: '237', name: 'Ada' })
    expect(await frame(linked, 1)).toBe('Linked: wa 237 (Ada)\n')
    app.link.emit({ type: 'error', code: 'timeout', message: 'Nobody scanned' })
    const late = connect(`token=${token}&format=terminal`)
    expect(await frame(late, 0)).toBe('Not linked: Nobody scanned\n')
  })

  test('pictures leave in the order of their events', async () => {
    const client = connect(`token=${token}&format=svg`)
    await frame(client, 0)
    for (const payload of ['a', 'b'.repeat(400), 'c'])
      app.link.emit({ type: 'qr', payload, image_url: null, instructions: '' })
    app.link.emit({ type: 'code', code: 'last', image_url: null, instructions: '' })
    await waitFor(() => client.frames.length === 5)
    expect(client.frames[4]).toBe('last')
    expect(String(client.frames[2]).length).toBeGreaterThan(String(client.frames[1]).length)
  })
})

describe('what a client may say', () => {
  const said = async (client: Client, index: number) => JSON.parse(String(await frame(client, index)))

  test('answers what is asked', async () => {
    const client = connect(`token=${token}&format=json`)
    await frame(client, 0)
    client.socket.send(JSON.stringify({ type: 'input', fields: { phone_number: '+237123456789' } }))
    expect(await said(client, 1)).toEqual({
      type: 'code',
      code: 'ABCD-1234',
      image_url: null,
      instructions: '',
    })
    expect(app.link.answers).toEqual([{ phone_number: '+237123456789' }])
  })

  test('cancels', async () => {
    const client = connect(`token=${token}&format=json`)
    await frame(client, 0)
    client.socket.send('{"type": "cancel"}')
    expect(await said(client, 1)).toMatchObject({ type: 'error', code: 'cancelled' })
    expect(await waitFor(() => client.closed)).toEqual({ code: 4410, reason: 'the link was cancelled' })
  })

  test('is told what is wrong, and stays', async () => {
    const client = connect(`token=${token}`)
    await frame(client, 0)
    const wrong = [
      'hello',
      '[]',
      '{"type": "input"}',
      '{"type": "input", "fields": {"code": 1}}',
      '{"type": "shout"}',
      new Uint8Array([1]),
    ]
    for (const [index, text] of wrong.entries()) {
      client.socket.send(text)
      const says = {
        type: 'error',
        code: 'bad_request',
        message: expect.stringContaining('the frame: expected'),
      }
      expect(await said(client, index + 1)).toEqual(says)
    }
    app.failures.answer = new GatewayError('bad_request', 'code: the bridge refused this: wrong')
    client.socket.send('{"type": "input", "fields": {"code": "1"}}')
    expect(await said(client, wrong.length + 1)).toMatchObject({
      message: 'code: the bridge refused this: wrong',
    })
    app.failures.answer = new Error('a secret')
    client.socket.send('{"type": "input", "fields": {"code": "1"}}')
    expect(await said(client, wrong.length + 2)).toMatchObject({
      code: 'internal_error',
      message: 'Internal error',
    })
    app.failures.answer = undefined
    app.link.emit({ type: 'qr', payload: 'qr-2', image_url: null, instructions: '' })
    expect(await frame(client, wrong.length + 3)).toBe('qr-2')
    expect(client.closed).toBeUndefined()
  })
})

describe('a client that says much', () => {
  const input = (code: number) => JSON.stringify({ type: 'input', fields: { code: String(code) } })

  test('is answered one thing at a time, in its order; a cancellation waits for nothing', async () => {
    const client = connect(`token=${token}&format=json`)
    await frame(client, 0)
    const { promise, resolve } = Promise.withResolvers<void>()
    app.link.bridge = promise
    for (const code of [1, 2, 3]) client.socket.send(input(code))
    client.socket.send('is this heard?')
    expect(JSON.parse(String(await frame(client, 1)))).toMatchObject({ code: 'bad_request' })
    expect(app.link.answers).toEqual([{ code: '1' }])
    resolve()
    await waitFor(() => client.frames.length === 5, { what: 'an answer to each' })
    expect(app.link.answers).toEqual([{ code: '1' }, { code: '2' }, { code: '3' }])
    app.link.bridge = new Promise(() => undefined)
    client.socket.send(input(4))
    client.socket.send('{"type": "cancel"}')
    expect((await waitFor(() => client.closed)).code).toBe(4410)
    app.link.bridge = Promise.resolve()
  })

  test('is closed above a rate, and nothing more is done for it', async () => {
    const client = connect(`token=${token}`)
    await frame(client, 0)
    for (let sent = 0; sent < 20; sent++) client.socket.send(input(sent))
    await waitFor(() => app.link.answers.length === 20)
    await app.clock.advance(10_000)
    for (let sent = 0; sent < 20; sent++) client.socket.send(input(sent))
    await waitFor(() => app.link.answers.length === 40)
    for (let sent = 0; sent < 1_000; sent++) client.socket.send(input(sent))
    expect(await waitFor(() => client.closed)).toEqual({ code: 4429, reason: 'more than 20 frames in 10 s' })
    expect(app.link.answers).toHaveLength(40)
  })

  test.each(['ping', 'pong'] as const)('counts %ss, too', async sign => {
    const client = connect(`token=${token}`)
    await frame(client, 0)
    for (let sent = 0; sent < 21; sent++) client.socket[sign]()
    expect(await waitFor(() => client.closed)).toEqual({ code: 4429, reason: 'more than 20 frames in 10 s' })
  })

  test('is closed when too much of it waits for the bridge, however slowly it came', async () => {
    const client = connect(`token=${token}`)
    await frame(client, 0)
    const { promise, resolve } = Promise.withResolvers<void>()
    app.link.bridge = promise
    for (let sent = 0; sent < 21; sent++) {
      client.socket.send(input(sent))
      await app.clock.advance(2_000)
    }
    expect((await waitFor(() => client.closed)).code).toBe(4429)
    resolve()
    await yieldToEventLoop()
    expect(app.link.answers).toEqual([{ code: '0' }])
    app.link.bridge = Promise.resolve()
  })
})

describe('many sockets of one identity', () => {
  const many = async () => {
    const open = Array.from({ length: 20 }, () => connect(`token=${token}`))
    for (const client of open) await frame(client, 0)
    return open
  }

  test.each(['json', 'raw'])('beyond twenty are told so and closed, format=%s', async format => {
    await many()
    const client = connect(`token=${token}&format=${format}`)
    const message = 'at most 20 WebSockets of links at a time'
    expect(await waitFor(() => client.closed)).toEqual({ code: 4429, reason: message })
    const told = { type: 'error', code: 'too_many_requests', message }
    expect(client.frames.map(text => JSON.parse(String(text)))).toEqual(format === 'json' ? [told] : [])
  })

  test('keep no other out, and make room when they close', async () => {
    const open = await many()
    const other = connect(`token=${await app.newToken()}`)
    expect(await frame(other, 0)).toBe('qr-1')
    open[0]?.socket.close()
    await waitFor(() => app.link.listeners.size === 20)
    expect(await frame(connect(`token=${token}`), 0)).toBe('qr-1')
  })
})

describe('the token', () => {
  test('is deleted while the socket is open', async () => {
    const doomed = await app.newToken()
    const staying = connect(`token=${token}`)
    const client = connect(`token=${doomed}`)
    await frame(client, 0)
    await frame(staying, 0)
    const tokens = (await app.call('GET', '/api/v1/tokens', { auth: basic() })).body.list as { id: number }[]
    await app.call('DELETE', `/api/v1/tokens/${tokens.at(-1)?.id}`, { auth: basic() })
    await app.clock.advance(2_000)
    expect(await waitFor(() => client.closed)).toEqual({ code: 4403, reason: 'This token is unknown' })
    app.link.emit({ type: 'qr', payload: 'qr-2', image_url: null, instructions: '' })
    expect(await frame(staying, 1)).toBe('qr-2')
  })

  test('expires while the socket is open', async () => {
    const expires_at = new Date(app.clock.now() + 60_000).toISOString()
    const answer = await app.call('POST', '/api/v1/tokens', { auth: basic(), json: { expires_at } })
    const client = connect(`token=${answer.body.token}`)
    await frame(client, 0)
    await app.clock.advance(61_000)
    expect(await waitFor(() => client.closed)).toEqual({ code: 4403, reason: 'This token has expired' })
  })
})

describe('how it ends', () => {
  test.each([
    [
      { type: 'connected', platform: 'wa', device_id: '237123456789', name: '' },
      1000,
      'connected: 237123456789',
    ],
    [{ type: 'error', code: 'timeout', message: 'm' }, 4408, 'm'],
    [{ type: 'error', code: 'superseded', message: 'm' }, 4409, 'm'],
    [{ type: 'error', code: 'cancelled', message: 'm' }, 4410, 'm'],
    [{ type: 'error', code: 'failed', message: 'm' }, 4500, 'm'],
    [{ type: 'error', code: 'failed', message: `${'x'.repeat(122)}é…` }, 4500, 'x'.repeat(122)],
  ] as const)('%j: %i', async (event, code, reason) => {
    const client = connect(`token=${token}`)
    await frame(client, 0)
    app.link.emit(event)
    expect(await waitFor(() => client.closed)).toEqual({ code, reason })
    expect(client.frames).toEqual(['qr-1'])
    expect(app.link.listeners.size).toBe(0)
  })

  test('a link that has ended already is told at once', async () => {
    app.link.latest = { type: 'connected', platform: 'wa', device_id: '1', name: '' }
    const client = connect(`token=${token}`)
    expect(await waitFor(() => client.closed)).toEqual({ code: 1000, reason: 'connected: 1' })
  })

  test.each(['raw', 'json', 'svg'])(
    'no link under way, format=%s: it is told why, and closed with 4404',
    async format => {
      app.link.underWay = false
      const client = connect(`token=${token}&format=${format}`)
      const message = 'No link is under way: POST /api/v1/devices'
      expect(await waitFor(() => client.closed)).toEqual({ code: 4404, reason: message })
      const told = { type: 'error', code: 'not_found', message }
      expect(client.frames.map(text => JSON.parse(String(text)))).toEqual(format === 'json' ? [told] : [])
    },
  )

  test('a client that leaves is forgotten', async () => {
    const client = connect(`token=${token}`)
    await frame(client, 0)
    client.socket.close()
    await waitFor(() => app.link.listeners.size === 0)
  })

  test('a frame that is too large closes the connection', async () => {
    const client = connect(`token=${token}`)
    await frame(client, 0)
    client.socket.send('x'.repeat(65_000))
    expect(JSON.parse(String(await frame(client, 1)))).toMatchObject({ type: 'error', code: 'bad_request' })
    client.socket.send('x'.repeat(66_000))
    expect((await waitFor(() => client.closed)).code).toBeOneOf([1006, 1009])
  })
})

describe('refused before the upgrade', () => {
  const handshake = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  const get = (query: string, headers: Record<string, string> = handshake) =>
    app.call('GET', `/api/v1/devices/qr-code?${query}`, { headers })

  test('no token: 401', async () => expectError(await get(''), 401, 'unauthorized'))
  test('a wrong token: 403', async () => expectError(await get('token=mt_x'), 403, 'forbidden'))
  test('a wrong format: 400', async () => {
    const says = 'format: expected one of raw, json, png, svg, terminal'
    expectError(await get(`token=${token}&format=gif`), 400, 'bad_request', says)
  })
  test('no WebSocket: 426', async () => {
    const answer = await get(`token=${token}`, {})
    expectError(answer, 426, 'upgrade_required')
    expect(answer.headers.get('upgrade')).toBe('websocket')
  })
  test('over a real port, too', async () => {
    const response = await fetch(`${server.url}/api/v1/devices/qr-code?token=${token}`)
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      426,
      'upgrade_required',
    ])
  })
})
