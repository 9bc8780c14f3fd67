/** One try at an endpoint, against real HTTP servers that behave well and badly. */
import { describe, expect, test } from 'bun:test'
import { createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { Webhook } from 'standardwebhooks'
import { systemClock } from '../../../src/lib/clock.ts'
import { connectionProblem } from '../../../src/lib/connection-problem.ts'
import { createSigningSecret } from '../../../src/modules/webhooks/webhooks.ts'
import { createEndpointGuard, type EndpointGuard } from '../../../src/outbound/endpoint-guard.ts'
import { createWebhookClient, type WebhookRequest } from '../../../src/outbound/webhook-client.ts'
import { selfSigned } from '../../support/self-signed.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { webhookReceiver } from '../../support/webhook-receiver.ts'

const clientWith = (guard: Pick<EndpointGuard, 'addressesOf'>, timeoutMs = 300) =>
  createWebhookClient({ timeoutMs, userAgent: 'Meshgate/test', guard, clock: systemClock })
const anywhere = createEndpointGuard({ allowPrivate: true, allowHttp: true, clock: systemClock })
const secret = createSigningSecret()
const BODY = Buffer.from('{"message":"é"}')
const deliver = (
  url: string,
  more: Partial<WebhookRequest> = {},
  guard: Pick<EndpointGuard, 'addressesOf'> = anywhere,
  timeoutMs?: number,
) =>
  clientWith(guard, timeoutMs).deliver({
    url,
    id: 'evt_1',
    secrets: [secret],
    headers: {},
    body: { bytes: BODY, sent: BODY },
    ...more,
  })
/** The headers of Standard Webhooks, as its library takes them. */
const signedHeaders = (headers: Headers) =>
  Object.fromEntries(
    ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(name => [name, headers.get(name) ?? '']),
  )

test('a delivery is signed so that the standard library accepts it, and a changed one is refused', async () => {
  await using receiver = webhookReceiver()
  expect(await deliver(`${receiver.url}/hook?x=1`)).toEqual({
    outcome: 'delivered',
    status: 200,
    latencyMs: expect.any(Number),
    response: 'ok',
  })
  const [request] = receiver.received
  if (!request) throw new Error('nothing received')
  const headers = signedHeaders(request.headers)
  expect(new Webhook(secret).verify(request.text, headers)).toEqual({ message: 'é' })
  expect(() => new Webhook(secret).verify(request.text.replace('é', 'e'), headers)).toThrow()
  expect([
    request.method,
    request.path,
    headers['webhook-id'],
    request.headers.get('content-type'),
    request.headers.get('user-agent'),
  ]).toEqual(['POST', '/hook?x=1', 'evt_1', 'application/json', 'Meshgate/test'])
})

test('a large body is sent whole from where it is shared, and signed', async () => {
  await using receiver = webhookReceiver()
  const bytes = Buffer.from(JSON.stringify({ message: 'é'.repeat(2_000_000) }))
  const body = { bytes, sent: new Blob([bytes]) }
  for (let webhook = 0; webhook < 3; webhook++)
    expect(await deliver(receiver.url, { body }, anywhere, 30_000)).toMatchObject({ outcome: 'delivered' })
  expect(receiver.received).toHaveLength(3)
  for (const { headers, text } of receiver.received) {
    expect(headers.get('content-type')).toBe('application/json')
    expect(headers.get('content-length')).toBe(String(bytes.length))
    new Webhook(secret).verify(text, signedHeaders(headers))
  }
})

test('while a secret is being changed, whoever knows either of the two can check', async () => {
  await using receiver = webhookReceiver()
  const newer = createSigningSecret()
  await deliver(receiver.url, { secrets: [newer, secret] })
  const [request] = receiver.received
  if (!request) throw new Error('nothing received')
  const headers = signedHeaders(request.headers)
  expect(headers['webhook-signature']).toMatch(/^v1,\S{44} v1,\S{44}$/)
  for (const known of [newer, secret]) new Webhook(known).verify(request.text, headers)
  expect(() => new Webhook(createSigningSecret()).verify(request.text, headers)).toThrow()
})

test("the owner's headers are sent, and never take the place of ours", async () => {
  await using receiver = webhookReceiver()
  await deliver(receiver.url, { headers: { Authorization: 'Bearer x', 'Webhook-Id': 'another' } })
  const { headers } = receiver.received[0] ?? {}
  expect([headers?.get('authorization'), headers?.get('webhook-id')]).toEqual(['Bearer x', 'evt_1'])
})

test('how long it took and how the answer begins are told, as whole characters', async () => {
  await using receiver = webhookReceiver(async () => {
    await Bun.sleep(30)
    return new Response(`a\0${'é'.repeat(1_000)}`)
  })
  const { latencyMs, response } = await deliver(receiver.url)
  expect(latencyMs).toBeGreaterThanOrEqual(29)
  expect(response).toBe(`a${'é'.repeat(511)}`)
})

test.each([
  [
    new Response('no', { status: 500 }),
    { status: 500, error: 'HTTP 500', response: 'no', retryAfterS: null },
  ],
  [
    new Response(null, { status: 429, headers: { 'retry-after': '7' } }),
    { status: 429, error: 'HTTP 429', retryAfterS: 7 },
  ],
  [
    new Response(null, { status: 503, headers: { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' } }),
    { status: 503, retryAfterS: 0 },
  ],
  [
    new Response('x'.repeat(100_000), { status: 400 }),
    { status: 400, error: 'HTTP 400', response: 'x'.repeat(1_024) },
  ],
])('%o is refused', async (answer, expected) => {
  await using receiver = webhookReceiver(() => answer)
  expect(await deliver(receiver.url)).toMatchObject({ outcome: 'refused', ...expected })
})

test('a redirect is not followed', async () => {
  await using target = webhookReceiver()
  await using receiver = webhookReceiver(() => Response.redirect(target.url, 307))
  expect(await deliver(receiver.url)).toMatchObject({ outcome: 'refused', status: 307 })
  expect(target.received).toEqual([])
})

test('an endpoint that does not answer in time', async () => {
  const gate = Promise.withResolvers<Response>()
  await using receiver = webhookReceiver(() => gate.promise)
  expect(await deliver(receiver.url)).toMatchObject({
    outcome: 'refused',
    status: null,
    error: 'no answer within 300 ms',
  })
  gate.resolve(new Response())
})

/** Answers with what `write` sends, and leaves the connection open. */
async function rawEndpoint(write: (socket: Socket) => void) {
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    write(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return { url: `http://127.0.0.1:${port}`, [Symbol.dispose]: () => void server.close() }
}

test('an endpoint that trickles the head of its answer for ever', async () => {
  using slow = await rawEndpoint(socket => socket.write('HTTP/1.1 200 OK\r\ncontent-le'))
  expect(await deliver(slow.url)).toMatchObject({ outcome: 'refused', error: 'no answer within 300 ms' })
})

describe('a status that came in time counts, with what there is of the body', () => {
  const head = (status: string) => `HTTP/1.1 ${status}\r\ncontent-length: 100\r\nretry-after: 7\r\n\r\n`

  test('when the body drips', async () => {
    using taken = await rawEndpoint(socket => socket.write(`${head('200 OK')}done`))
    expect(await deliver(taken.url)).toMatchObject({ outcome: 'delivered', status: 200, response: 'done' })
    using busy = await rawEndpoint(socket => socket.write(`${head('503 Busy')}later`))
    expect(await deliver(busy.url)).toMatchObject({
      outcome: 'refused',
      status: 503,
      retryAfterS: 7,
      response: 'later',
    })
  })

  test('when it breaks off', async () => {
    using rude = await rawEndpoint(socket => {
      socket.write(`${head('200 OK')}done`)
      setTimeout(() => socket.destroy(), 20)
    })
    expect(await deliver(rude.url)).toMatchObject({ outcome: 'delivered', status: 200 })
  })
})

test('nobody there, or an address that is none', async () => {
  expect(await deliver('http://127.0.0.1:1')).toMatchObject({ outcome: 'refused', status: null })
  expect(await deliver('http://nowhere.invalid')).toMatchObject({ outcome: 'refused', status: null })
})

describe('what went wrong is told in words, without the URL and what is secret in it', () => {
  const SECRET = '?key=hidden'
  const errorOf = async (url: string) => {
    const answer = await deliver(url)
    return answer.outcome === 'refused' ? answer.error : answer.outcome
  }

  test('nobody listens, or the name leads nowhere', async () => {
    expect(await errorOf(`http://127.0.0.1:1/${SECRET}`)).toBe('connection refused')
    expect(await errorOf(`http://nowhere.invalid/${SECRET}`)).toBe(
      'the name of the host could not be resolved',
    )
  })

  test('it breaks off', async () => {
    using rude = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { data: socket => socket.terminate() },
    })
    expect(await errorOf(`http://127.0.0.1:${rude.port}/${SECRET}`)).toBe('connection reset')
  })

  test('its certificate is not to be believed, or is of another host', async () => {
    using folder = tempDir()
    const { cert, key } = selfSigned(folder, 'another.example')
    await using server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls: { cert: Bun.file(cert), key: Bun.file(key) },
      fetch: () => new Response(),
    })
    expect(await errorOf(`https://127.0.0.1:${server.port}/${SECRET}`)).toBe('the certificate is self-signed')
    const of = await fetch(`https://127.0.0.1:${server.port}/${SECRET}`, {
      tls: { ca: Bun.file(cert) },
    }).catch(error => error)
    expect(of.message).toContain('hidden')
    expect(connectionProblem(of)).toBe('the certificate is not valid for the host')
  })
})

test('an answer that is compressed is not unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(1_000_000, 'x'))
  await using receiver = webhookReceiver(
    () => new Response(bomb, { headers: { 'content-encoding': 'gzip' } }),
  )
  expect(await deliver(receiver.url)).toMatchObject({ outcome: 'delivered', response: '(compressed)' })
  expect(receiver.received[0]?.headers.get('accept-encoding')).toBeNull()
})

test('an address that the guard refuses is not connected to', async () => {
  await using receiver = webhookReceiver()
  const strict = createEndpointGuard({ allowPrivate: false, allowHttp: true, clock: systemClock })
  expect(await deliver(receiver.url, {}, strict)).toMatchObject({
    outcome: 'refused',
    status: null,
    error: expect.stringContaining('expected a public address'),
  })
  expect(receiver.received).toEqual([])
})

test('a name that takes for ever to resolve is given up in time', async () => {
  const hanging = { addressesOf: () => new Promise<null>(() => undefined) }
  expect(await deliver('https://slow.example/', {}, hanging)).toMatchObject({
    outcome: 'refused',
    error: 'no answer within 300 ms',
  })
})
