/** `meshgate bridge add|remove` beside a running gateway, as homeserver and API see it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { runCommandLine } from '../../src/cli/run.ts'
import { GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { freePort, isAlive } from '../support/program.ts'
import { waitFor } from '../support/wait-for.ts'

let gateway: GatewayProcess
let bridge: ReturnType<typeof fakeBridge>
let port: number
let bridgePort: number

beforeAll(async () => {
  port = freePort()
  bridgePort = freePort()
  bridge = fakeBridge()
  gateway = await spawnGateway({ env: settings({ LOG_LEVEL: 'info' }) })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await bridge.stop(true)
})

function settings(further: Record<string, string> = {}): Record<string, string> {
  return { PORT: String(port), BRIDGE_PORT: String(bridgePort), ...further }
}

async function meshgate(...args: string[]): Promise<{ exitCode: number; out: string }> {
  const lines: string[] = []
  const exitCode = await runCommandLine(args, {
    directory: gateway.directory,
    environment: settings(),
    print: line => lines.push(line),
    complain: line => lines.push(line),
  })
  return { exitCode, out: lines.join('\n') }
}

describe('beside a running gateway', () => {
  const folder = () => join(gateway.directory, 'data', 'bridges', 'wa')
  const registration = () => parse(readFileSync(join(folder(), 'registration.yaml'), 'utf8'))
  const whoami = (token: string) =>
    fetch(`http://127.0.0.1:${bridgePort}/_matrix/client/v3/account/whoami`, {
      headers: { authorization: `Bearer ${token}` },
    })

  test('add: the bridge is registered within two seconds, and takes the place of the sandbox', async () => {
    const simulated = await new GatewayClient(gateway).linkedAccount()
    const { exitCode, out } = await meshgate(
      'bridge',
      'add',
      'wa',
      '--url',
      `http://127.0.0.1:${bridge.port}`,
    )
    expect(out).toStartWith('attached the wa bridge at http://127.0.0.1:')
    expect(out).toContain('The simulated wa ends, and the devices that were linked on it.')
    expect(exitCode).toBe(0)
    const { as_token: token, sender_localpart: sender } = registration()
    const answer = await waitFor(
      async () => {
        // The gateway opens the port with the first bridge.
        const response = await whoami(token).catch(() => null)
        return response?.ok ? response.json() : null
      },
      { what: 'the registration', deadlineMs: 2_000 },
    )
    expect(answer).toMatchObject({ user_id: `@${sender}:localhost` })
    const registered = await fetch(`http://127.0.0.1:${bridgePort}/_matrix/client/v3/register`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ type: 'm.login.application_service', username: 'whatsapp_237' }),
    })
    expect(registered.status).toBe(200)
    // On a real network, a phone that nobody has is no device.
    await waitFor(async () => (await simulated.account.devices()).length === 0)
    const sent = await simulated.account.trySend(simulated.device, {
      contact: '1',
      platform: 'wa',
      text: 'x',
    })
    expect(sent).toMatchObject({
      status: 404,
      body: { error: expect.stringContaining('no device is linked with') },
    })
  })

  test('the homeserver reaches the bridge', async () => {
    const { id, as_token: token } = registration()
    const ping = await fetch(`http://127.0.0.1:${bridgePort}/_matrix/client/v1/appservice/${id}/ping`, {
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
      address: `http://127.0.0.1:${bridgePort}`,
      domain: 'localhost',
      status_endpoint: `http://127.0.0.1:${bridgePort}/_meshgate/bridge-status/wa`,
      message_send_checkpoint_endpoint: `http://127.0.0.1:${bridgePort}/_meshgate/bridge-status/wa`,
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
    expect((await meshgate('bridge', 'remove', 'wa')).out).toEndWith(
      'Restart the gateway to have the simulated wa again.',
    )
    await waitFor(async () => (await whoami(token)).status === 401 || null, {
      what: 'the end of the registration',
      deadlineMs: 2_000,
    })
    expect(existsSync(folder())).toBe(false)
    expect((await meshgate('bridge', 'remove', 'wa')).out).toContain('there is no attached bridge "wa"')
  })
})

describe('a program that the gateway runs', () => {
  const FAKE_BRIDGE = join(import.meta.dir, '..', 'support', 'fake-bridge.ts')
  /** A setup script starts the bridge, so the process's command line doesn't name the bridge. */
  const wrapper = () => join(gateway.directory, 'start-the-bridge')
  /** The wrapper writes its environment here. */
  const seenEnvironment = () => join(gateway.directory, 'seen-environment')
  /** A process's open files and sockets, without anonymous inodes. */
  const openedBy = (pid: number) =>
    readdirSync(`/proc/${pid}/fd`)
      .map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`))
      .filter(target => target !== '/dev/null' && !target.startsWith('anon_inode:'))
  const bridgePort = freePort()
  const pidOf = async () => {
    try {
      return Number(await (await fetch(`http://127.0.0.1:${bridgePort}/pid`)).text())
    } catch {
      return null
    }
  }
  const record = () => join(gateway.directory, 'data', 'bridges', 'net', 'process.json')

  test('is started when it is added, with the configuration made from its own example', async () => {
    const url = `http://127.0.0.1:${bridgePort}`
    writeFileSync(
      wrapper(),
      `#!/bin/sh\nenv > '${seenEnvironment()}'\nexec '${process.execPath}' '${FAKE_BRIDGE}' "$@"\n`,
      { mode: 0o755 },
    )
    const { exitCode, out } = await meshgate('bridge', 'add', 'net', '--url', url, '--command', wrapper())
    expect({ exitCode, out }).toMatchObject({ exitCode: 0 })
    expect(await waitFor(pidOf)).toBeGreaterThan(1)
    await waitFor(() => gateway.output().includes('[net] INFO: serving for whoever has the secret'))
  })

  test('has none of our settings, and none of our files and sockets', async () => {
    const names = [...readFileSync(seenEnvironment(), 'utf8').matchAll(/^(\w+)=/gm)].map(([, name]) => name)
    expect(names).toContain('PATH')
    for (const name of names)
      expect(name).toMatch(/^(PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|LANG|LC_\w+|TZ|PWD|OLDPWD|_)$/)
    const ours = openedBy(gateway.pid)
    expect(ours).toContain(join(gateway.directory, 'data', 'meshgate.db'))
    expect(openedBy((await pidOf()) ?? 0).filter(target => ours.includes(target))).toEqual([])
  })

  test('is found well by bridge check, and by the doctor', async () => {
    const { exitCode, out } = await meshgate('bridge', 'check', 'net')
    expect({ exitCode, out }).toMatchObject({ exitCode: 0 })
    expect(out).toContain('the homeserver knows the net bridge and reaches it')
    expect(out).toContain('takes our secret; Net, login by qr')
    expect((await meshgate('doctor')).out).toContain('takes our secret; Net, login by qr')
    const [, row = ''] = (await meshgate('bridge', 'list')).out.split('\n')
    expect(row).toMatch(/^net +http:\S+ +provisioning API +running +none +- +process \d+ /)
  })

  test('is started again when it crashes', async () => {
    const before = await waitFor(pidOf)
    await fetch(`http://127.0.0.1:${bridgePort}/crash`, { method: 'POST' }).catch(() => undefined)
    const after = await waitFor(async () => {
      const pid = await pidOf()
      return pid !== null && pid !== before && pid
    })
    expect(isAlive(after)).toBe(true)
    expect(gateway.output()).toContain('[net] ended (exit 7); starting it again in ')
    const ready = (await (await fetch(`${gateway.url}/ready`)).json()) as { checks: Record<string, string> }
    expect(ready.checks['bridge-net']).toBe('ok')
    expect((await meshgate('bridge', 'list')).out).toContain('1 restart, last: exit 7')
  })

  test('is one only, after the gateway was killed too', async () => {
    const before = await waitFor(pidOf)
    await gateway.kill()
    expect(isAlive(before)).toBe(true)
    const { directory } = gateway
    gateway = await spawnGateway({ directory, env: settings({ LOG_LEVEL: 'info' }) })
    const after = await waitFor(async () => {
      const pid = await pidOf()
      return pid !== null && pid !== before && pid
    })
    expect(isAlive(after)).toBe(true)
    expect(isAlive(before)).toBe(false)
    expect(gateway.output()).toContain(
      `[net] process ${before} of an earlier run is still there; stopping it`,
    )
  })

  test('ends with the gateway', async () => {
    const pid = await waitFor(pidOf)
    expect(await gateway.stop()).toBe(0)
    expect(isAlive(pid)).toBe(false)
    expect(existsSync(record())).toBe(false)
  })

  test('is ended when it is removed, its files go, and its devices are logged out', async () => {
    const { directory } = gateway
    gateway = await spawnGateway({ directory, env: settings() })
    const pid = await waitFor(pidOf)
    const { api } = await new GatewayClient(gateway).account()
    const deviceStates = async () =>
      (await api.get<{ platform: string; state: string; reason: string }[]>('/api/v1/devices')).body
        .filter(({ platform }) => platform === 'net')
        .map(({ state, reason }) => `${state} ${reason}`)
    await waitFor(async () => (await deviceStates())[0] === 'connected null')
    expect((await meshgate('bridge', 'list')).out).toContain('1 connected')
    expect((await meshgate('bridge', 'remove', 'net')).exitCode).toBe(0)
    // The bridge has ended; the gateway has yet to notice.
    await waitFor(() => !isAlive(pid))
    expect(existsSync(join(directory, 'data', 'bridges', 'net'))).toBe(false)
    await waitFor(async () => (await deviceStates())[0] === 'logged_out the bridge was taken away')
  })
})

/** Answers a homeserver's calls to an application service. */
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
