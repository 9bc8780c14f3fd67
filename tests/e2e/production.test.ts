/** Production with data that development left behind. */
import { expect, test } from 'bun:test'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { tempDir } from '../support/temp-dir.ts'

const SECRETS = { CLIENT_ID: 'admin', CLIENT_SECRET: 'ZXd4cR1nT0kPq7Ls', SECRET_KEY: 'b8fJ2mVx0QeY5uHa' }
const PRODUCTION = { ...SECRETS, APP_MODE: 'production', ALLOW_INSECURE_SERVER: 'true' }

test('simulated phones are refused unless the sandbox is asked for, which the log tells', async () => {
  using folder = tempDir()
  const start = (env: Record<string, string>) => spawnGateway({ directory: folder.path, env })
  let device: string
  {
    await using gateway = await start(SECRETS)
    device = (await new GatewayClient(gateway).linkedAccount()).device
    expect(await gateway.stop()).toBe(0)
  }
  const refusal = `SANDBOX: this DATA_DIR has linked phones of the sandbox (${device} of wa)`
  await expect(start(PRODUCTION)).rejects.toThrow(refusal)
  {
    await using gateway = await start({ ...PRODUCTION, SANDBOX: 'on' })
    expect(gateway.output()).toContain('SANDBOX=on in production')
    expect(await gateway.stop()).toBe(0)
  }
  {
    await using gateway = await start(SECRETS)
    const { admin, address } = new GatewayClient(gateway)
    const made = await admin.post<{ token: string }>('/api/v1/tokens', { use_host: true })
    const account = new GatewayClient(address).accountOf(made.body.token)
    const gone = await account.api.delete('/api/v1/devices', { device_id: device, platform: 'wa' })
    expect(gone.status).toBe(200)
    expect(await gateway.stop()).toBe(0)
  }
  await using gateway = await start(PRODUCTION)
  expect((await fetch(`${gateway.url}/sandbox`)).status).toBe(404)
  expect(await gateway.stop()).toBe(0)
}, 60_000)
