/** Connecting to an address that was chosen beforehand, by real HTTP and TLS servers. */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { fetchAt } from '../../../src/outbound/pinned-fetch.ts'
import { selfSigned } from '../../support/self-signed.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { webhookReceiver } from '../../support/webhook-receiver.ts'

const HERE = ['127.0.0.1']

test('the request goes to the address, and names the host of the URL', async () => {
  await using receiver = webhookReceiver()
  const port = new URL(receiver.url).port
  const response = await fetchAt(HERE, `http://hooks.example:${port}/in?x=1`, {
    method: 'POST',
    body: 'hello',
    headers: { 'x-own': 'kept' },
  })
  expect(response.status).toBe(200)
  const [request] = receiver.received
  expect(request?.path).toBe('/in?x=1')
  expect(request?.text).toBe('hello')
  expect(request?.headers.get('host')).toBe(`hooks.example:${port}`)
  expect(request?.headers.get('x-own')).toBe('kept')
})

test('an address that takes no connection is passed over, one that breaks off is not', async () => {
  await using receiver = webhookReceiver()
  const url = `http://hooks.example:${new URL(receiver.url).port}/`
  expect((await fetchAt(['127.0.0.9', '::1', ...HERE], url, {})).status).toBe(200)
  await expect(fetchAt(['127.0.0.9'], url, {})).rejects.toThrow()
  await expect(fetchAt([], url, {})).rejects.toThrow('hooks.example has no address')

  using rude = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: socket => socket.terminate() } })
  const before = receiver.received.length
  await expect(
    fetchAt([...HERE, ...HERE], `http://hooks.example:${rude.port}/`, {
      method: 'POST',
      body: 'x',
    }),
  ).rejects.toThrow()
  expect(receiver.received).toHaveLength(before)
})

describe('with TLS', () => {
  test('the certificate has to be of the host in the URL, also on a connection that is used again', async () => {
    using folder = tempDir()
    const names = ['one.example', 'two.example']
    const certificates = names.map(name => selfSigned(folder, name))
    const tls = certificates.map(({ cert, key }, index) => ({
      serverName: names[index] ?? '',
      cert: readFileSync(cert, 'utf8'),
      key: readFileSync(key, 'utf8'),
    }))
    await using server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      tls,
      fetch: request => new Response(request.headers.get('host')),
    })
    const ca = tls.map(({ cert }) => cert).join('\n')
    const ask = async (host: string) => {
      const init = { tls: { ca } }
      return (await fetchAt(HERE, `https://${host}:${server.port}/`, init)).text()
    }
    for (const host of ['one.example', 'two.example', 'one.example']) {
      expect(await ask(host)).toBe(`${host}:${server.port}`)
    }
    await expect(ask('three.example')).rejects.toThrow('ERR_TLS_CERT_ALTNAME_INVALID')
    // Nor is an address a name that the certificate has.
    await expect(ask('127.0.0.1')).rejects.toThrow()
  })
})
