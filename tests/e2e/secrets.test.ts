/**
 * Uses all secrets that the test knows at debug level, then looks for them in the program's output,
 * files, metrics and error answers. Only .env and the bridges' own configurations may have them.
 */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parse } from 'yaml'
import { runCommand } from '../support/command-line.ts'
import { Account, formWith, GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { basic, bearer } from '../support/json-client.ts'
import { freePort } from '../support/program.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

const SETTINGS = {
  CLIENT_ID: 'admin',
  CLIENT_SECRET: 'client-secret-9Zq4v7Lk2',
  SECRET_KEY: 'secret-key-3Xw8n5Tb1Rm6',
  METRICS_TOKEN: 'metrics-token-7Hd2p9Fy4',
}
const BRIDGE_PORT = String(freePort())
const BRIDGE_URL = `http://127.0.0.1:${BRIDGE_PORT}`
const WRONG_SECRET = 'wrong-secret-5Gj1s8Uc3'
const HEADER_VALUE = 'header-value-6Kf3t0Va9'
const INPUT = 'typed-input-2Mb7r4Ye8'
const CREDENTIALS = 'credentials-in-a-url-1Qa'
/** `bridge add` writes bridges' secrets in clear, for the owner alone (SECURITY.md). */
const BRIDGES = join('data', 'bridges')

/** Places where a secret may have left a trace, by name. */
async function tracesOf(gateway: GatewayProcess, answers: readonly string[]): Promise<Map<string, string>> {
  const traces = new Map([['its output', gateway.output()]])
  const metrics = await fetch(`${gateway.url}/metrics`, {
    headers: { authorization: bearer(SETTINGS.METRICS_TOKEN) },
  })
  expect(metrics.status).toBe(200)
  traces.set('/metrics', await metrics.text())
  traces.set('answers to what went wrong', answers.join('\n'))
  for (const entry of readdirSync(gateway.directory, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name)
    const name = relative(gateway.directory, file)
    if (entry.isFile() && name !== '.env' && !name.startsWith(BRIDGES))
      traces.set(name, readFileSync(file, 'latin1'))
  }
  return traces
}

function leaksIn(traces: ReadonlyMap<string, string>, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => {
    // In clear, and as in a Basic header, a URL or JSON.
    const forms = [secret, Buffer.from(secret).toString('base64').slice(0, -4), encodeURIComponent(secret)]
    return [...traces]
      .filter(([, text]) => forms.some(form => text.includes(form)))
      .map(([place]) => `${name} in ${place}`)
  })
}

test('no secret is in logs, metrics, answers to errors, or in clear in the database', async () => {
  using folder = tempDir()
  const answers: string[] = []
  await using receiver = webhookReceiver(
    (_request, index) => new Response('', { status: index === 0 ? 500 : 200 }),
  )
  await using gateway = await spawnGateway({
    directory: folder.path,
    env: { ...SETTINGS, BRIDGE_PORT, LOG_LEVEL: 'debug' },
    deadlineMs: 30_000,
  })
  const client = new GatewayClient({
    ...gateway,
    clientId: SETTINGS.CLIENT_ID,
    clientSecret: SETTINGS.CLIENT_SECRET,
  })
  const { account, device, secrets } = await liveThrough(client, receiver.url)
  const delivered = await receiver.waitForCount(3, 30_000)
  await using bridge = fakeBridge()
  const attached = await attachBridge(gateway, bridge.url)
  const media =
    delivered.map(({ json }) => (json as { media?: { url?: string } }).media?.url).find(Boolean) ?? ''
  const signature = new URL(media).searchParams.get('signature') ?? ''
  expect(signature).not.toBe('')
  expect((await fetch(media)).status).toBe(200)
  answers.push(
    ...(await goWrong(gateway.url, account, device, media)),
    ...(await goWrongAsBridge(BRIDGE_URL, attached)),
  )

  const all = {
    ...SETTINGS,
    ...secrets,
    ...attached,
    signature,
    wrong: WRONG_SECRET,
    header: HEADER_VALUE,
    input: INPUT,
    CREDENTIALS,
  }
  const { CLIENT_ID: _isPublic, ...hidden } = all
  for (const secret of Object.values(hidden)) expect(secret.length).toBeGreaterThan(15)
  const traces = await tracesOf(gateway, answers)
  expect(traces.get('its output')).toContain('"path":"/api/v1/devices/qr-code"')
  expect(traces.has(join('data', 'meshgate.db-wal'))).toBeTrue()
  // The search works: message texts aren't encrypted.
  expect(leaksIn(traces, { text: 'a text that is no secret' }).length).toBeGreaterThan(0)
  expect(leaksIn(traces, hidden)).toEqual([])
  expect(await gateway.stop()).toBe(0)
  expect(leaksIn(await filesOf(gateway), hidden)).toEqual([])
}, 90_000)

/** Answers the calls of homeserver and gateway to a bridge. */
function fakeBridge() {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => Response.json({}) })
  return {
    url: `http://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

/** Attaches a bridge that logs a user of its own in. @returns the secrets of both */
async function attachBridge(gateway: GatewayProcess, url: string) {
  const added = await runCommand(gateway.directory, ['bridge', 'add', 'signal', '--url', url], {
    ...SETTINGS,
    BRIDGE_PORT,
  })
  expect(added.err + added.out).toContain('attached the signal bridge')
  expect(added.exitCode).toBe(0)
  const folder = join(gateway.directory, BRIDGES, 'signal')
  const { as_token, hs_token } = parse(readFileSync(join(folder, 'registration.yaml'), 'utf8'))
  const { provisioning } = parse(readFileSync(join(folder, 'config.yaml'), 'utf8'))
  const body = JSON.stringify({ type: 'm.login.application_service', username: 'signal_237', device_id: 'D' })
  const register = () =>
    fetch(`${BRIDGE_URL}/_matrix/client/v3/register`, {
      method: 'POST',
      headers: { authorization: bearer(as_token) },
      body,
    })
  const made = await waitFor(async () => {
    const response = await register().catch(() => null)
    return response?.ok ? ((await response.json()) as { access_token: string }) : null
  })
  const status = await fetch(`${BRIDGE_URL}/_meshgate/bridge-status/signal`, {
    method: 'POST',
    headers: { authorization: bearer(as_token) },
    body: JSON.stringify({ user_id: '@nobody:localhost', state_event: 'CONNECTED' }),
  })
  expect(status.status).toBe(200)
  return {
    asToken: String(as_token),
    hsToken: String(hs_token),
    provisioning: String(provisioning.shared_secret),
    accessToken: made.access_token,
  }
}

/** Makes a bridge's and its users' mistakes with secrets. @returns the answers */
async function goWrongAsBridge(
  url: string,
  attached: Awaited<ReturnType<typeof attachBridge>>,
): Promise<string[]> {
  const { asToken, hsToken, accessToken } = attached
  const client = `${url}/_matrix/client/v3`
  const asked: [string, string | null][] = [
    [`${client}/account/whoami?access_token=${hsToken}`, null],
    [`${client}/nothing?access_token=${accessToken}`, null],
    [`${client}/account/whoami?user_id=@nobody:localhost`, asToken],
    [`${client}/rooms/!none:localhost/state`, accessToken],
    [`${url}/_matrix/app/v1/transactions/1?access_token=${hsToken}`, null],
    [`${url}/_matrix/app/v1/transactions/1`, hsToken],
    [`${url}/_meshgate/bridge-status/signal`, hsToken],
    [`${url}/_meshgate/bridge-status/signal`, asToken],
  ]
  const told: string[] = []
  for (const [address, token] of asked) {
    const response = await fetch(address, token === null ? {} : { headers: { authorization: bearer(token) } })
    if (response.status < 400) throw new Error(`${address} was answered ${response.status}`)
    told.push(await response.text())
  }
  return told
}

/** Reads after the end, when the WAL is in the database. */
async function filesOf(gateway: GatewayProcess): Promise<Map<string, string>> {
  const files = ['meshgate.db'].map((name): [string, string] => [
    name,
    readFileSync(join(gateway.directory, 'data', name), 'latin1'),
  ])
  return new Map([['its output', gateway.output()], ...files])
}

/** Does all that a tenant does with secrets. @returns the secrets */
async function liveThrough(client: GatewayClient, endpoint: string) {
  const { admin, address } = client
  const made = await admin.post<{ client_secret: string }>('/api/v1/credentials', { client_id: 'tenant' })
  const renewed = await admin.put<{ client_secret: string }>('/api/v1/credentials/tenant', {
    regenerate_secret: true,
  })
  const keyed = await fetchKeyed(
    `${address.url}/api/v1/tokens`,
    basic('tenant', renewed.body.client_secret),
    {},
  )
  const repeated = await fetchKeyed(
    `${address.url}/api/v1/tokens`,
    basic('tenant', renewed.body.client_secret),
    {},
  )
  expect(repeated).toBe(keyed)
  const { token } = JSON.parse(keyed) as { token: string }
  const account = new Account(address, token)
  const phone = await client.newPhone()
  const device = await account.link(phone.number)
  const hook = await account.api.post<{ id: number; secret: string }>('/api/v1/webhooks', {
    url: endpoint,
    events: ['*'],
    headers: { 'X-Api-Key': HEADER_VALUE },
  })
  expect(hook.status).toBe(201)
  const rotated = await account.api.post<{ secret: string }>(
    `/api/v1/webhooks/${hook.body.id}/rotate-secret`,
    {},
  )
  expect(rotated.status).toBe(200)
  const friend = await client.newPhone()
  const [message] = await account.send(device, { contact: friend.number, text: 'a text that is no secret' })
  await account.waitForStatus(message?.id ?? '', ['delivered', 'sent', 'read'])
  const picture = { name: 'picture.png', type: 'image/png', content: 'no picture at all' }
  await friend.send(formWith({ to: device, text: 'heard' }, picture))
  return {
    account,
    device,
    secrets: {
      token,
      first: made.body.client_secret,
      renewed: renewed.body.client_secret,
      // The prefix isn't secret.
      signing: hook.body.secret.replace('whsec_', ''),
      rotated: rotated.body.secret.replace('whsec_', ''),
    },
  }
}

async function fetchKeyed(url: string, authorization: string, body: object): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', 'idempotency-key': 'the-same-request' },
    body: JSON.stringify(body),
  })
  expect(response.status).toBe(201)
  return response.text()
}

/** Makes a client's mistakes with secrets. @returns the answers */
async function goWrong(url: string, account: Account, device: string, media: string): Promise<string[]> {
  const { token } = account
  const json = { 'content-type': 'application/json' }
  const asked: [string, RequestInit][] = [
    ['/api/v1/tokens', { headers: { authorization: basic('admin', WRONG_SECRET) } }],
    ['/api/v1/tokens', { headers: { authorization: `Bearer ${token}` } }],
    ['/api/v1/devices', { headers: { authorization: bearer(WRONG_SECRET) } }],
    ['/api/v1/devices', { headers: { authorization: basic('admin', SETTINGS.CLIENT_SECRET) } }],
    [`/api/v1/devices?token=${token}`, {}],
    [`/api/v1/devices/qr-code?token=${token}`, {}],
    [`/api/v1/devices/qr-code?token=${WRONG_SECRET}`, {}],
    [`/nowhere?token=${token}&client_secret=${SETTINGS.CLIENT_SECRET}`, {}],
    [`/_matrix/client/v3/sync?access_token=${WRONG_SECRET}`, {}],
    ['/_matrix/client/v3/sync', { headers: { authorization: bearer(WRONG_SECRET) } }],
    ['/metrics', { headers: { authorization: bearer(WRONG_SECRET) } }],
    [new URL(media).pathname + new URL(media).search.replace(/expires=\d+/, 'expires=1'), {}],
    ['/api/v1/webhooks', post(token, { url: `http://user:${CREDENTIALS}@example.com/` })],
    ['/api/v1/webhooks', post(token, { url: 'https://example.com', headers: { 'bad name': HEADER_VALUE } })],
    [
      '/api/v1/webhooks',
      post(token, { url: 'https://example.com', headers: { 'X-Long': HEADER_VALUE.repeat(1_000) } }),
    ],
    ['/api/v1/devices', post(token, { platform: 'wa', flow: 'phone', inputs: { phone_number: INPUT } })],
    ['/api/v1/devices/links/none', post(token, { inputs: { password: INPUT } })],
    [
      `/api/v1/devices/${device}/message`,
      { method: 'POST', headers: { ...json, authorization: bearer(token) }, body: `{"${token}"` },
    ],
  ]
  const told: string[] = []
  for (const [path, init] of asked) {
    const response = await fetch(url + path, init)
    if (response.status < 400) throw new Error(`${path} was answered ${response.status}`)
    told.push(await response.text())
  }
  return told
}

function post(token: string, body: object): RequestInit {
  return {
    method: 'POST',
    headers: { authorization: bearer(token), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
}
