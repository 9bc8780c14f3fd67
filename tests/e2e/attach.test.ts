/** Bridges come and go while the gateway runs: `meshgate bridge add|remove` beside it, and what the homeserver and the API make of it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { runCommandLine } from '../../src/cli/run.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { waitFor } from '../support/wait-for.ts'

let gateway: GatewayProcess
let bridge: ReturnType<typeof fakeBridge>
let port: number

beforeAll(async () => {
  port = freePort()
  bridge = fakeBridge()
  gateway = await spawnGateway({ env: { PORT: String(port) } })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await bridge.stop(true)
})

async function meshgate(...args: string[]): Promise<{ exitCode: number; out: string }> {
  const lines: string[] = []
  const exitCode = await runCommandLine(args, {
    directory: gateway.directory,
    environment: { PORT: String(port) },
    print: line => lines.push(line),
    complain: line => lines.push(line),
  })
  return { exitCode, out: lines.join('\n') }
}

describe('beside a running gateway', () => {
  const folder = () => join(gateway.directory, 'data', 'bridges', 'wa')
  const registration = () => parse(readFileSync(join(folder(), 'registration.yaml'), 'utf8'))
  const whoami = (token: string) =>
    fetch(`${gateway.url}/_matrix/client/v3/account/whoami`, {
      headers: { authorization: `Bearer ${token}` },
    })

  test('add: the bridge is registered within two seconds, and takes the place of the sandbox', async () => {
    const { exitCode, out } = await meshgate(
      'bridge',
      'add',
      'wa',
      '--url',
      `http://127.0.0.1:${bridge.port}`,
    )
    expect(out).toStartWith('attached the wa bridge at http://127.0.0.1:')
    expect(exitCode).toBe(0)
    const { as_token: token, sender_localpart: sender } = registration()
    const answer = await waitFor(
      async () => {
        const response = await whoami(token)
        return response.ok ? response.json() : null
      },
      { what: 'the registration', deadlineMs: 2_000 },
    )
    expect(answer).toMatchObject({ user_id: `@${sender}:localhost` })
    const registered = await fetch(`${gateway.url}/_matrix/client/v3/register`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ type: 'm.login.application_service', username: 'whatsapp_237' }),
    })
    expect(registered.status).toBe(200)
  })

  test('the homeserver reaches the bridge', async () => {
    const { id, as_token: token } = registration()
    const ping = await fetch(`${gateway.url}/_matrix/client/v1/appservice/${id}/ping`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: '{}',
    })
    expect(ping.status).toBe(200)
    expect(bridge.pings.at(-1)).toBe(`Bearer ${registration().hs_token}`)
  })

  test('the configuration is the owner’s alone, and says where the gateway is', () => {
    expect(statSync(folder()).mode & 0o777).toBe(0o700)
    for (const name of ['config.yaml', 'registration.yaml'])
      expect(statSync(join(folder(), name)).mode & 0o777).toBe(0o600)
    const config = parse(readFileSync(join(folder(), 'config.yaml'), 'utf8'))
    expect(config.homeserver).toMatchObject({
      address: `http://127.0.0.1:${port}`,
      domain: 'localhost',
      status_endpoint: `http://127.0.0.1:${port}/_meshgate/bridge-status/wa`,
    })
    expect(config.appservice).toMatchObject({ port: bridge.port, hostname: '127.0.0.1', id: 'whatsapp' })
  })

  test('adding again is refused; --force keeps the tokens', async () => {
    const before = registration()
    const again = await meshgate('bridge', 'add', 'wa', '--url', 'http://127.0.0.1:1')
    expect(again.exitCode).toBe(1)
    expect(again.out).toContain('platform: wa has a bridge already')
    expect(registration()).toEqual(before)
    const url = `http://127.0.0.1:${bridge.port}`
    expect((await meshgate('bridge', 'add', 'wa', '--url', url, '--force')).exitCode).toBe(0)
    expect(registration()).toEqual(before)
  })

  test('list shows it; a second one may not have its id', async () => {
    const { out } = await meshgate('bridge', 'list')
    expect(out.split('\n')[1]).toStartWith(`wa        http://127.0.0.1:${bridge.port}`)
    const twin = await meshgate('bridge', 'add', 'whatsapp', '--url', 'http://127.0.0.1:2')
    expect(twin.exitCode).toBe(1)
    expect(twin.out).toContain('appservice.id: "whatsapp" is the id of the bridge of wa')
    expect(existsSync(join(gateway.directory, 'data', 'bridges', 'whatsapp'))).toBe(false)
  })

  test('remove: its tokens are worth nothing within two seconds', async () => {
    const { as_token: token } = registration()
    expect((await meshgate('bridge', 'remove', 'wa')).exitCode).toBe(0)
    await waitFor(async () => (await whoami(token)).status === 401 || null, {
      what: 'the end of the registration',
      deadlineMs: 2_000,
    })
    expect(existsSync(folder())).toBe(false)
    expect((await meshgate('bridge', 'remove', 'wa')).out).toContain('there is no attached bridge "wa"')
  })
})

/** Answers what a homeserver asks of an application service. */
function fakeBridge() {
  const pings: (string | null)[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/_matrix/app/v1/ping') pings.push(request.headers.get('authorization'))
      return Response.json({})
    },
  })
  return Object.assign(server, { pings })
}

function freePort(): number {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  server.stop(true)
  return server.port
}
