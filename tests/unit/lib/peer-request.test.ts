/** Answers of other programs, over real HTTP: bounded, also unpacked, and redirects ignored. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { deflateSync, gzipSync } from 'node:zlib'
import { createBridgeProbe } from '../../../src/bridges/bridge-probe.ts'
import { createProvisioningClient } from '../../../src/bridges/provisioning.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { AnswerRefused, askPeer, streamFromPeer, textAtMost } from '../../../src/lib/peer-request.ts'
import { Signals } from '../../../src/lib/signals.ts'
import { createAppserviceAccess } from '../../../src/matrix/account-access.ts'
import { createMasClient } from '../../../src/matrix/accounts/mas-client.ts'
import { createSharedSecretAccounts } from '../../../src/matrix/accounts/shared-secret-accounts.ts'
import { createHomeserverProbe } from '../../../src/matrix/homeserver-probe.ts'
import { createMatrixCalls } from '../../../src/matrix/matrix-calls.ts'
import { createMatrixSessions } from '../../../src/matrix/sessions.ts'

const MIB = 1024 * 1024
/** Endless JSON. */
const ENDLESS_MIB = 400
const BOMB = gzipSync(Buffer.alloc(ENDLESS_MIB * MIB, ' '))

let peer: ReturnType<typeof Bun.serve>
let url: string
/** The peer's answer to every request. */
let manner: 'endless' | 'bomb' | 'redirect' | 'declared'
let sentBytes: number
let asked: string[]

beforeAll(() => {
  peer = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      asked.push(new URL(request.url).pathname)
      return answers[manner]()
    },
  })
  url = peer.url.origin
})
afterAll(() => peer.stop(true))

const json = { 'content-type': 'application/json' }
const answers = {
  endless: () => new Response(endless(), { headers: json }),
  bomb: () => new Response(BOMB, { headers: { ...json, 'content-encoding': 'gzip' } }),
  redirect: () => new Response(null, { status: 307, headers: { location: '/elsewhere' } }),
  declared: () => new Response(new Uint8Array(64 * MIB), { headers: json }),
}

function endless(): ReadableStream<Uint8Array> {
  const piece = new Uint8Array(MIB).fill(0x20)
  return new ReadableStream({
    pull(controller) {
      if (sentBytes >= ENDLESS_MIB * MIB) return controller.close()
      sentBytes += piece.length
      controller.enqueue(piece)
    },
  })
}

const client = () => createProvisioningClient('wa', { baseUrl: url }, 'secret')
const step = { processId: 'p', stepId: 's', txnId: null, instructions: '' }
const sessions = () => {
  const access = createAppserviceAccess({ asToken: 'as', logger: silentLogger, signals: new Signals() })
  const calls = createMatrixCalls({ address: { baseUrl: url }, access, clock: systemClock })
  return { calls, session: createMatrixSessions(calls, true).actingAs('@u:s') }
}
const mas = () =>
  createMasClient({ url, adminUrl: url, clientId: 'c', clientSecret: 's', clock: systemClock })
const accounts = () =>
  createSharedSecretAccounts({
    address: { baseUrl: url },
    sharedSecret: 's',
    passwordOf: () => 'p',
    serverName: 's',
    clock: systemClock,
  })

/** All readers of answers into memory. They handle these differently, but none as a success. */
const readers: Record<string, () => Promise<unknown>> = {
  'a bridge about logins': () => client().logins('@u:s'),
  'a bridge about its address book': () => client().contacts('@u:s', '237'),
  'a bridge about a person': () => client().resolveIdentifier('@u:s', '237', '1'),
  'a bridge in a login': () =>
    client().waitForLogin(
      '@u:s',
      { ...step, kind: 'display', display: 'qr', data: '', image_url: null },
      new AbortController().signal,
    ),
  'the probe of a bridge': () => createBridgeProbe(url).whoami('secret', '@u:s'),
  'the probe of a homeserver': () => createHomeserverProbe(url).versions(),
  'the probe of a homeserver, by a ping': () => createHomeserverProbe(url).ping('id', 'as'),
  'a homeserver by the SDK': () => sessions().session.state('!r:s'),
  'a homeserver for a /sync': () =>
    sessions().calls.raw('@u:s', 'sync', { method: 'GET', path: '/sync' }, { patienceMs: 0 }),
  'Synapse’s admin API': () => accounts().createAccount('u'),
  'the authentication service': () => mas().call('make a user', 'POST', '/users', {}),
}
const cases = Object.keys(readers).flatMap(reader =>
  Object.keys(answers).map((how): [string, keyof typeof answers] => [reader, how as keyof typeof answers]),
)

test.each(cases)(
  '%s, which answers with %s: refused, after bounded bytes, and nobody else is asked',
  async (reader, how) => {
    manner = how
    sentBytes = 0
    asked = []
    const outcome = await readers[reader]?.().then(
      value => JSON.stringify(value),
      error => `failed: ${error.message}`,
    )
    expect(outcome).toMatch(/^failed: |"kind":"failed"|"error":/)
    expect(asked).not.toContain('/elsewhere')
    expect(sentBytes).toBeLessThan(ENDLESS_MIB * MIB)
  },
)

describe('an answer that is taken', () => {
  const server = (answer: (request: Request) => Response) =>
    Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer })

  test.each(['gzip', 'deflate', 'zstd'] as const)('may be packed with %s all the same', async encoding => {
    const packers = { gzip: Bun.gzipSync, deflate: zlibDeflate, zstd: Bun.zstdCompressSync }
    const body = packers[encoding](Buffer.from('{"a":1}'.padEnd(1_000)))
    const one = server(() => new Response(body, { headers: { ...json, 'content-encoding': encoding } }))
    const response = await askPeer(one.url, {}, 1_000)
    expect([response.status, await response.json()]).toEqual([200, { a: 1 }])
    await expect(askPeer(one.url, {}, 999)).rejects.toBeInstanceOf(AnswerRefused)
    await one.stop(true)
  })

  test('keeps its status and headers, and needs no body', async () => {
    const one = server(request =>
      request.method === 'GET'
        ? new Response(null, { status: 204, headers: { 'x-told': 'yes' } })
        : Response.json({ error: 'no' }, { status: 429, headers: { 'retry-after': '3' } }),
    )
    const empty = await askPeer(one.url, {}, 10)
    expect([empty.status, empty.headers.get('x-told'), await empty.text()]).toEqual([204, 'yes', ''])
    const refused = await askPeer(one.url, { method: 'POST', body: '{}' }, 100)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3'])
    expect(await refused.json()).toEqual({ error: 'no' })
    await one.stop(true)
  })

  test('asks for none that is packed, and sends what it was given', async () => {
    const one = server(
      request => new Response(`${request.headers.get('accept-encoding')} ${request.headers.get('x-mine')}`),
    )
    const request = new Request(one.url.href, { headers: { 'x-mine': '1' } })
    expect(await (await askPeer(request, {}, 100)).text()).toBe('identity 1')
    expect(await (await streamFromPeer(request)).text()).toBe('identity 1')
    await one.stop(true)
  })
})

test('a stream is not unpacked at all', async () => {
  manner = 'bomb'
  asked = []
  await expect(streamFromPeer(url)).rejects.toThrow('compressed')
})

test('of a text that is too long nothing is read', async () => {
  expect(await textAtMost(new Response('short'), 5)).toBe('short')
  expect(await textAtMost(new Response('longer'), 5)).toBe('')
})

function zlibDeflate(bytes: Buffer): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(deflateSync(bytes))
}
