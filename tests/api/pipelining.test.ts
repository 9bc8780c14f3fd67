/**
 * Requests that a client sends without waiting for answers: few are served, and nobody holds the
 * event loop with thousands.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { RunningServer } from '../../src/http/server.ts'
import { openRaw } from '../support/raw-client.ts'
import { selfSigned } from '../support/self-signed.ts'
import { tempDir } from '../support/temp-dir.ts'
import { testHttp } from '../support/test-http.ts'
import { upgradeHead } from '../support/upgrade-head.ts'
import { waitFor } from '../support/wait-for.ts'

const GET = 'GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n'
/** Thousands of each come by one read. */
const FLOODS: [string, string][] = [
  ['a mount', GET],
  ['a route', 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['a route that asks the database', 'GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['no route', 'GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['another method', 'OPTIONS /count HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['with a body', 'POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc'],
  [
    'with a chunked body',
    'POST /count HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
  ],
  ['without a token', 'POST /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}'],
  ['upgrades', upgradeHead('mt_wrong')],
]

describe.each(['http', 'https'])('on one connection, %s', scheme => {
  const folder = tempDir()
  let app: Awaited<ReturnType<typeof testHttp>>
  let server: RunningServer
  let refused = 0
  let answered = 0
  let counted = 0

  beforeAll(async () => {
    const { cert, key } = selfSigned(folder, 'localhost')
    app = await testHttp({
      http: { tls: scheme === 'https' ? { certFile: cert, keyFile: key } : undefined },
      mounts: [
        { prefix: '/count', fetch: async request => new Response(`${++counted} ${await request.text()}`) },
      ],
      bridgeMounts: [{ prefix: '/_matrix', fetch: () => new Response(`${++counted}`) }],
      observer: {
        requestAnswered: () => void answered++,
        requestRefused: reason => void (reason === 'pipelining' && refused++),
        authenticationFailed: () => undefined,
      },
    })
    server = app.http.listen()
  })
  afterAll(async () => {
    await server.stop(0)
    app.destroy()
    folder[Symbol.dispose]()
  })

  test.each(FLOODS)('thousands of requests: %s', async (_what, request) => {
    answered = 0
    using client = await openRaw(server.url)
    client.write(request.repeat(3_000))
    await waitFor(() => client.closed, { what: 'the server to close' })
    expect(answered).toBeLessThanOrEqual(32)
  })

  test.each(FLOODS)('some more than there may be: %s', async (_what, request) => {
    refused = 0
    using client = await openRaw(server.url)
    client.write(request.repeat(50))
    await waitFor(() => client.closed, { what: 'the server to close' })
    // Bun itself closes a connection when it finds a request behind one that isn't answered at
    // once.
    if (client.statuses().length === 0) return
    expect(client.statuses()).toHaveLength(33)
    const last = client.heard.slice(client.heard.lastIndexOf('HTTP/1.1 '))
    expect(last).toStartWith('HTTP/1.1 429')
    expect(last).toMatch(/\r\nconnection: close\r\n/i)
    expect(last).toContain('"code":"too_many_requests"')
    expect(refused).toBe(1)
  })

  test('what bridges and homeservers ask on a listener of their own', async () => {
    const bridges = app.http.listenForBridges({ host: '127.0.0.1', port: 0 })
    counted = 0
    using client = await openRaw(bridges.url)
    client.write('GET /_matrix/x HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3_000))
    await waitFor(() => client.closed, { what: 'the server to close' })
    expect(counted).toBe(32)
    await bridges.stop(0)
  })

  test('as many as clients may send ahead are answered in order, again and again', async () => {
    using client = await openRaw(server.url)
    counted = 0
    for (let round = 1; round <= 5; round++) {
      client.write(GET.repeat(32))
      await waitFor(() => client.statuses().length === round * 32, { what: `the answers of round ${round}` })
    }
    expect(new Set(client.statuses())).toEqual(new Set([200]))
    const numbers = [...client.heard.matchAll(/\r\n\r\n(\d+) /g)].map(([, number]) => Number(number))
    expect(numbers).toEqual(Array.from({ length: 160 }, (_, index) => index + 1))
    expect(client.closed).toBeFalse()
  })

  test('one after the other, as many as anybody likes', async () => {
    using client = await openRaw(server.url)
    for (let asked = 1; asked <= 200; asked++) {
      client.write(GET)
      await waitFor(() => client.statuses().length === asked, { what: `answer ${asked}` })
    }
    expect(new Set(client.statuses())).toEqual(new Set([200]))
  }, 30_000)

  test('many clients at once are none of each other’s business', async () => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => openRaw(server.url)))
    for (const client of clients) client.write(GET.repeat(10))
    await waitFor(() => clients.every(client => client.statuses().length === 10), { what: 'all answers' })
    expect(clients.some(({ closed }) => closed)).toBeFalse()
    for (const client of clients) client[Symbol.dispose]()
  })
})
