/** SECRET_KEY changes as SECURITY.md says: users notice nothing, and the old key is worthless. */
import { expect, test } from 'bun:test'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

const SETTINGS = { CLIENT_ID: 'admin', CLIENT_SECRET: 'a secret of the tests' }
const OLD = 'the old key of the tests'
const NEW = 'the new key of the tests'

test('SECRET_KEY is changed without anybody losing anything', async () => {
  using folder = tempDir()
  await using receiver = webhookReceiver()
  const start = (keys: Record<string, string>) =>
    spawnGateway({ directory: folder.path, env: { ...SETTINGS, ...keys } })
  const received = () => receiver.received.map(({ json }) => (json as { message: string }).message)
  const phones = { ours: '', friend: '' }
  const tokens = { used: '', unused: '' }

  {
    await using gateway = await start({ SECRET_KEY: OLD })
    const client = new GatewayClient(gateway)
    const { account, device } = await client.linkedAccount()
    phones.ours = device
    phones.friend = (await client.newPhone()).number
    tokens.used = account.token
    tokens.unused = (await client.account()).token
    await account.addWebhook(receiver.url)
    expect(await gateway.stop()).toBe(0)
  }
  {
    await using gateway = await start({ SECRET_KEY: NEW, SECRET_KEY_PREVIOUS: OLD, LOG_LEVEL: 'info' })
    expect(gateway.output()).toContain('all stored secrets are sealed anew')
    const client = new GatewayClient(gateway)
    expect((await client.accountOf(tokens.used).devices()).map(({ device_id }) => device_id)).toEqual([
      phones.ours,
    ])
    await client.phone(phones.friend).send({ to: phones.ours, text: 'while the key is changed' })
    await receiver.waitForCount(1)
    expect(await gateway.stop()).toBe(0)
  }
  {
    await using gateway = await start({ SECRET_KEY: NEW })
    const client = new GatewayClient(gateway)
    expect(await client.accountOf(tokens.used).devices()).toHaveLength(1)
    await client.phone(phones.friend).send({ to: phones.ours, text: 'after it was changed' })
    await receiver.waitForCount(2)
    expect(received()).toEqual(['while the key is changed', 'after it was changed'])
    // Nobody used this token meanwhile: only its hash under the old key was stored.
    const { status } = await client.accountOf(tokens.unused).api.get('/api/v1/devices')
    expect(status).toBe(403)
    expect(await gateway.stop()).toBe(0)
  }
  await expect(start({ SECRET_KEY: OLD })).rejects.toThrow(
    'SECRET_KEY: this database was not written with it',
  )
}, 60_000)
