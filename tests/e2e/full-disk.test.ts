/** On a full disk every write is refused, none is half done, and all work once there is space. */
import { expect, test } from 'bun:test'
import { mkdirSync } from 'node:fs'
import { type Account, formWith, GatewayClient, scan } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import type { Answer } from '../support/json-client.ts'
import { mountingPrefix, quotaFolder } from '../support/quota-folder.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const prefix = mountingPrefix()
if (!prefix)
  console.log(
    'The test of a full disk is left out: nothing may be mounted here, nor in a namespace of its own.',
  )

test.skipIf(!prefix)(
  'what can’t be stored is answered 507, and works once there is space',
  () => (prefix?.length ? againBehind(prefix) : fillAndFree()),
  60_000,
)

async function againBehind(prefix: string[]): Promise<void> {
  const command = [...prefix, process.execPath, 'test', '--timeout=60000', import.meta.filename]
  const again = Bun.spawn(command, { stdio: ['ignore', 'inherit', 'inherit'] })
  expect(await again.exited).toBe(0)
}

async function fillAndFree(): Promise<void> {
  using folder = tempDir()
  const dataDir = folder.file('data')
  mkdirSync(dataDir)
  using quota = quotaFolder(dataDir)
  if (!quota) throw new Error('nothing can be mounted any more')
  const env = {
    CLIENT_ID: 'admin',
    CLIENT_SECRET: 'a secret of the tests',
    SECRET_KEY: 'a key of the tests',
  }
  await using gateway = await spawnGateway({ directory: folder.path, env })
  const client = new GatewayClient(gateway)
  const { account, device } = await client.linkedAccount()
  const friend = await client.newPhone()
  const { id: webhookId } = await account.addWebhook('http://127.0.0.1:9/hook')
  const other = await client.account()
  const newcomer = await client.newPhone()
  const message = (fields: Record<string, string>) => ({
    platform: 'wa',
    contact: friend.number,
    ...fields,
  })
  const file = { name: 'a.bin', content: new Uint8Array(300_000) }
  const send = `/api/v1/devices/${device}/message`
  const code = await codeOf(other)
  const storing: Record<string, () => Promise<Answer>> = {
    'POST credentials': () =>
      client.admin.post('/api/v1/credentials', { client_id: `full-${crypto.randomUUID()}` }),
    'POST tokens': () => client.admin.post('/api/v1/tokens', {}),
    'POST message': () => account.api.post(send, message({ text: 'full' })),
    'POST message, with a file': () => account.api.post(send, formWith(message({ text: 'file' }), file)),
    'POST webhooks': () => account.api.post('/api/v1/webhooks', { url: 'http://127.0.0.1:9/other' }),
    'PUT webhooks': () => account.api.put(`/api/v1/webhooks/${webhookId}`, { active: false }),
    'a phone that writes': () =>
      client.sandbox.post(`/phones/${friend.number}/messages`, { to: device, text: 'x' }),
    'a phone that scans the code': () => scan(code, newcomer.number),
    'POST devices': () => other.api.post('/api/v1/devices', { platform: 'wa' }),
  }
  const unlinking = () => account.api.delete('/api/v1/devices', { device_id: device, platform: 'wa' })

  quota.fill(0)
  // Free space within pages in use is used up first.
  await waitFor(async () => (await storing['POST credentials']?.())?.status === 507, {
    what: 'a full disk',
  })
  for (const [name, call] of Object.entries({ ...storing, unlinking })) {
    const { status, body } = await call()
    expect([name, status, body]).toEqual([name, 507, expect.objectContaining({ code: 'storage_full' })])
  }
  expect(await account.devices()).toMatchObject([{ device_id: device, state: 'connected' }])

  quota.free()
  for (const [name, call] of Object.entries(storing)) {
    const isDone = async () => {
      const { status } = await call()
      return status !== 507 && { name, isSuccess: status < 300 }
    }
    expect(await waitFor(isDone, { what: name })).toEqual({ name, isSuccess: true })
  }
  await client.phone(friend.number).waitForText('full')
  expect((await unlinking()).status).toBe(200)
}

/** The payload of a new device's QR code. */
async function codeOf(account: Account): Promise<string> {
  const { body } = await account.api.post<{ link: { step: { payload: string } } }>('/api/v1/devices', {
    platform: 'signal',
  })
  return body.link.step.payload
}
