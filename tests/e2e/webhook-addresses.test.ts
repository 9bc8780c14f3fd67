/** In production, webhooks must be public https URLs at creation, at changes and at deliveries. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Account, GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

const SETTINGS = {
  CLIENT_ID: 'operator',
  CLIENT_SECRET: 'sesame of the operator',
  SECRET_KEY: 'a sealing key of the tests',
}
const PRODUCTION = { ...SETTINGS, APP_MODE: 'production', ALLOW_INSECURE_SERVER: 'true', SANDBOX: 'on' }

test('production refuses addresses that are not public, in any spelling, and plain http', async () => {
  await using gateway = await spawnGateway({ env: PRODUCTION })
  const { api } = await new GatewayClient(gateway).account()
  const hooks = '/api/v1/webhooks'
  expect((await api.post(hooks, { url: 'https://93.184.216.34/hook' })).status).toBe(201)
  for (const url of [
    'https://127.0.0.1/hook',
    'https://localhost/hook',
    'https://2130706433/hook',
    'https://0x7f.1/hook',
    'https://0177.0.0.1/hook',
    'https://[::1]/hook',
    'https://[::ffff:10.0.0.1]/hook',
    'https://169.254.169.254/latest/meta-data/',
    'https://192.168.0.1/hook',
    'http://93.184.216.34/hook2',
  ]) {
    for (const answer of [await api.post(hooks, { url }), await api.put(`${hooks}/1`, { url })]) {
      expect([url, answer.status, answer.body]).toEqual([
        url,
        400,
        expect.objectContaining({ code: 'bad_request', error: expect.stringMatching(/^url: expected /) }),
      ])
    }
  }
  const { body } = await api.get<{ url: string }[]>(hooks)
  expect(body.map(({ url }) => url)).toEqual(['https://93.184.216.34/hook'])
})

test("this machine's own addresses are refused, but for networks that are listed", async () => {
  const own = Object.values(networkInterfaces()).flatMap(found => found ?? [])
  const urls = own.map(
    ({ address, family }) => `https://${family === 'IPv6' ? `[${address}]` : address}/hook`,
  )
  await using gateway = await spawnGateway({
    env: { ...PRODUCTION, WEBHOOK_ALLOW_PRIVATE: '127.0.0.0/30, 198.51.100.0/24' },
  })
  const { api } = await new GatewayClient(gateway).account()
  const add = async (url: string) =>
    (await api.post<{ error: string }>('/api/v1/webhooks', { url })).body.error
  for (const url of [
    ...urls.filter(url => !url.includes('127.0.0.1')),
    'https://127.0.0.9/',
    'https://10.0.0.1/',
  ])
    expect(await add(url)).toContain('WEBHOOK_ALLOW_PRIVATE allows those')
  expect(await add('https://127.0.0.1/hook')).toBeUndefined()
  expect(await add('https://198.51.100.9/hook')).toBeUndefined()
})

test('a webhook made when it was allowed gets nothing once it is not', async () => {
  using folder = tempDir()
  await using receiver = webhookReceiver()
  let token: string
  {
    await using gateway = await spawnGateway({ directory: folder.path, env: SETTINGS })
    const account = await new GatewayClient(gateway).account()
    await account.link('237123456789')
    await account.addWebhook(receiver.url)
    token = account.token
    await gateway.stop()
  }
  await using gateway = await spawnGateway({
    directory: folder.path,
    env: { ...PRODUCTION, WEBHOOK_ALLOW_HTTP: 'true' },
  })
  const client = new GatewayClient(gateway)
  await client.phone('1234567890').send({ to: '237123456789', text: 'for nobody inside' })
  const error = await waitFor(() => lastError(folder.path), { what: 'the first try' })
  expect(error).toContain('expected a public address, and its host is or leads to one that is loopback')
  expect(receiver.received).toEqual([])
  expect(await new Account(gateway, token).devices()).toHaveLength(1)
})

function lastError(directory: string): string | undefined {
  using database = new Database(join(directory, 'data', 'meshgate.db'), { readonly: true })
  const row = database.query<{ last_error: string | null }, []>('SELECT last_error FROM deliveries').get()
  return row?.last_error ?? undefined
}
