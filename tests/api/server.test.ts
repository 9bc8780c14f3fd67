/** The listening socket: uploads that break off, and how it stops. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import type { RunningServer } from '../../src/http/server.ts'
import { settled } from '../support/manual-clock.ts'
import { basic, testHttp } from '../support/test-http.ts'
import { uploadHead } from '../support/upload-head.ts'
import { waitFor } from '../support/wait-for.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let server: RunningServer
let token: string
/** Answers the slow mount. */
let release: (() => void) | undefined

beforeEach(async () => {
  release = undefined
  app = await testHttp({
    mounts: [
      {
        prefix: '/slow',
        fetch: () =>
          new Promise(resolve => {
            release = () => resolve(new Response('at last'))
          }),
      },
      {
        prefix: '/echo',
        fetch: async request => new Response(request.body, { headers: { 'x-method': request.method } }),
      },
    ],
  })
  server = app.http.listen()
  token = await app.newToken()
})
afterEach(async () => {
  await server.stop(0)
  app.destroy()
})

function open(): Promise<Socket> {
  return new Promise(resolve => {
    const socket = connect(server.port, '127.0.0.1', () => resolve(socket))
    socket.on('error', () => undefined)
  })
}

/** The answer to a request as it is on the wire. */
async function exchange(head: string[], body = ''): Promise<string> {
  const socket = await open()
  let answer = ''
  socket.on('data', data => {
    answer += data.toString()
  })
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  await waitFor(() => {
    const [before, after = ''] = answer.split('\r\n\r\n')
    const length = /^content-length: (\d+)/im.exec(before ?? '')?.[1]
    return length !== undefined && Buffer.byteLength(after) >= Number(length)
  })
  socket.destroy()
  return answer
}

test('a client that breaks off in the middle of an upload leaves nothing behind', async () => {
  const socket = await open()
  socket.write(uploadHead(token, 1_000_000))
  socket.write('x'.repeat(100_000))
  await waitFor(() => app.onDisk.size === 1)
  socket.destroy()
  await waitFor(() => app.onDisk.size === 0)
  expect(app.sends).toEqual([])
})

test('an upload that is too large is refused while it streams, whatever length it declares', async () => {
  const socket = await open()
  let answer = ''
  socket.on('data', data => {
    answer += data.toString()
  })
  socket.write(uploadHead(token, 20 * 1024 * 1024))
  const chunk = Buffer.alloc(64 * 1024)
  await waitFor(() => {
    if (!socket.destroyed && answer === '') socket.write(chunk)
    return answer.includes('payload_too_large')
  })
  expect(answer).toStartWith('HTTP/1.1 413')
  expect(app.onDisk.size).toBe(0)
  socket.destroy()
})

describe('a client that wants the connection closed reads why it was refused, though it writes all of its body first', () => {
  const SIZE = 20 * 1024 * 1024
  const SEND = '/api/v1/devices/237123456789/message'
  const form = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'

  test.each([
    ['too large a file', SEND, 'multipart/form-data; boundary=b', () => token, form, 413],
    ['too large a JSON body', SEND, 'application/json', () => token, '{"text":"', 413],
    ['no token', SEND, 'multipart/form-data; boundary=b', () => 'mt_wrong', form, 403],
    ['no such path', '/nowhere', 'application/octet-stream', () => token, '', 404],
  ])('%s', async (_what, path, type, holder, begin, status) => {
    const socket = await open()
    let answer = ''
    let failure = ''
    socket.on('data', data => {
      answer += data.toString()
    })
    socket.on('error', ({ message }) => {
      failure = message
    })
    const head = [
      `POST ${path} HTTP/1.1`,
      ...['Host: localhost', 'Connection: close', `Content-Type: ${type}`, `Content-Length: ${SIZE}`],
      `Authorization: Bearer ${holder()}`,
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n${begin}`)
    socket.write(Buffer.alloc(SIZE - begin.length, 'x'))
    await waitFor(() => answer !== '' || failure !== '', { what: 'an answer' })
    expect(failure).toBe('')
    expect(answer).toStartWith(`HTTP/1.1 ${status}`)
    expect(app.onDisk.size).toBe(0)
    socket.destroy()
  })

  test('one that says no more is answered all the same', async () => {
    const head = ['Host: localhost', 'Connection: close', 'Content-Length: 1000000000']
    const answer = exchange(['POST /nowhere HTTP/1.1', ...head])
    const { sleeping } = app.clock
    await waitFor(() => app.clock.sleeping > sleeping, { what: 'the wait for the rest' })
    await app.clock.advance(2_000)
    expect(await answer).toStartWith('HTTP/1.1 404')
  })
})

test.each([
  ['POST', '/api/v1/tokens', 'application/json', 413],
  ['POST', '/api/v1/devices/237123456789/message', 'application/json', 413],
  ['POST', '/api/v1/devices/237123456789/message', 'application/x-www-form-urlencoded', 413],
  ['POST', '/nowhere', 'application/json', 404],
])('%s %s with a body of a terabyte (%s): %i, in our own words', async (method, path, type, status) => {
  const auth = path.endsWith('tokens') ? basic() : `Bearer ${token}`
  const head = [`Content-Type: ${type}`, `Authorization: ${auth}`, 'Content-Length: 1000000000000']
  const answer = await exchange([`${method} ${path} HTTP/1.1`, 'Host: localhost', ...head])
  expect(answer).toStartWith(`HTTP/1.1 ${status}`)
  expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
    code: status === 413 ? 'payload_too_large' : 'not_found',
    request_id: expect.any(String),
  })
})

test.each(['Host: api', 'Host: gw', 'Host: x', 'Host: x:80', 'Host:', 'Host: a b', 'X-No-Host: at-all'])(
  'the path is found with the header %p',
  async host => {
    await server.stop(0)
    app.destroy()
    // In development a host has to be one of ours.
    app = await testHttp({ mode: 'production' })
    server = app.http.listen()
    expect(await exchange(['GET /health HTTP/1.0', host])).toStartWith('HTTP/1.1 200')
    expect(await exchange(['GET /nope HTTP/1.0', host])).toStartWith('HTTP/1.1 404')
  },
)

test('without a host, what needs one: 400', async () => {
  const body = '{"platform":"wa"}'
  const head = [`Authorization: Bearer ${token}`, 'Content-Type: application/json']
  for (const request of [
    ['POST /api/v1/devices HTTP/1.0', ...head, `Content-Length: ${body.length}`],
    ['POST /echo HTTP/1.0', ...head, `Content-Length: ${body.length}`],
  ]) {
    const answer = await exchange(request, body)
    expect(answer).toStartWith('HTTP/1.1 400')
    expect(answer).toContain('Host: expected the name of the host')
  }
})

test('a mount gets and gives bodies as streams, with any method', async () => {
  const body = crypto.getRandomValues(new Uint8Array(60_000))
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const response = await fetch(`${server.url}/echo/x`, { method, body })
    expect(response.headers.get('x-method')).toBe(method)
    expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBeTrue()
  }
})

describe('stop', () => {
  test('lets a running request finish, and takes no more', async () => {
    const running = fetch(`${server.url}/slow`).then(response => response.text())
    await waitFor(() => release)
    const stopping = server.stop(10_000)
    await settled()
    // On new connections, which who watches over the gateway has.
    const refused = await fetch(`${server.url}/api/v1/tokens`, { headers: { connection: 'close' } })
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('5')
    expect(await refused.json()).toMatchObject({ code: 'shutting_down' })
    for (const path of ['/health', '/ready', '/metrics?x=1'])
      expect((await fetch(server.url + path, { headers: { connection: 'close' } })).status).toBe(200)
    release?.()
    expect(await running).toBe('at last')
    expect(await stopping).toBeTrue()
  })

  test('cuts off what takes too long', async () => {
    const running = fetch(`${server.url}/slow`).then(
      () => 'answered',
      () => 'cut off',
    )
    await waitFor(() => release)
    expect(await server.stop(10)).toBeFalse()
    expect(await running).toBe('cut off')
  })

  test('bids WebSockets farewell with 1001, and does not wait for them', async () => {
    app.link.underWay = true
    app.link.latest = { type: 'qr', payload: 'qr-1', image_url: null, instructions: '' }
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/v1/devices/qr-code?token=${token}`)
    const closed = new Promise<number>(resolve => {
      socket.onclose = ({ code }) => resolve(code)
    })
    await waitFor(() => app.link.listeners.size === 1)
    expect(await server.stop(10_000)).toBeTrue()
    expect(await closed).toBe(1001)
    expect(app.link.listeners.size).toBe(0)
  })

  test('does not wait for connections that are open and idle', async () => {
    const socket = await open()
    socket.write(`GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await new Promise(resolve => socket.once('data', resolve))
    expect(await server.stop(10_000)).toBeTrue()
    socket.destroy()
  })
})
