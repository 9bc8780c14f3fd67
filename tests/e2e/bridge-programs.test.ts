/** `meshgate bridge add` fetches a program; update, restart and logs, beside a running gateway. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommandLine } from '../../src/cli/run.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { MESHGATE } from '../support/meshgate-program.ts'
import { freePort, startProgram } from '../support/program.ts'
import { forThisMachine, ReleaseServer, sha256 } from '../support/release-server.ts'
import { selfSigned } from '../support/self-signed.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const FAKE = join(import.meta.dir, '..', 'support', 'fake-bridge.ts')
const [NAME = ''] = Object.keys(forThisMachine('mautrix-whatsapp', new Uint8Array()))

/** A program that serves, unless `before` ends it first. */
function program(version: string, before = ''): Uint8Array {
  return new TextEncoder().encode(`#!/bin/sh
case "$*" in
  *--version*) echo "mautrix-whatsapp ${version}"; exit 0 ;;
  *"-e "*) ;;
  *) echo "INFO: ${version} begins"; ${before} ;;
esac
exec ${process.execPath} ${FAKE} "$@"
`)
}

const BREAKS_ALL =
  'echo broken > bridge.db; echo "network: {}" > config.yaml; echo "ERROR: no such column"; exit 3'
const release = (tag: string, bytes: Uint8Array) => ({
  repository: 'mautrix/whatsapp',
  tag,
  files: forThisMachine('mautrix-whatsapp', bytes),
})

let gateway: GatewayProcess
let releases: ReleaseServer
const settings = { PORT: String(freePort()), BRIDGE_PORT: String(freePort()), LOG_LEVEL: 'info' }
const port = freePort()

beforeAll(async () => {
  releases = new ReleaseServer([
    release('v0.2607.0', program('v26.07')),
    release('v0.2608.0', program('v26.08')),
    release('v0.2609.0', program('v26.09', BREAKS_ALL)),
  ])
  gateway = await spawnGateway({ env: settings })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await releases[Symbol.asyncDispose]()
})

async function meshgate(...args: string[]): Promise<{ exitCode: number; out: string }> {
  const lines: string[] = []
  const exitCode = await runCommandLine(args, {
    directory: gateway.directory,
    environment: { ...settings, PATH: process.env.PATH },
    print: line => lines.push(line),
    complain: line => lines.push(line),
  })
  return { exitCode, out: lines.join('\n') }
}

const folder = () => join(gateway.directory, 'data', 'bridges', 'wa')
const programs = () => readdirSync(join(folder(), 'bin')).sort()
const pid = async () => (await fetch(`http://127.0.0.1:${port}/pid`)).text()
const running = () => waitFor(() => pid().catch(() => null), { what: 'the bridge', deadlineMs: 30_000 })
const from = () => ['--from', releases.url]

describe('bridge add', () => {
  test('fetches the version that was tried, and the gateway runs it', async () => {
    const url = `http://127.0.0.1:${port}`
    const { exitCode, out } = await meshgate('bridge', 'add', 'wa', ...from(), '--url', url)
    expect(out).toStartWith(
      [
        `fetching ${NAME} v0.2607.0 from ${releases.url}`,
        `  sha256         ${sha256(program('v26.07'))}`,
        '  licence        AGPL-3.0, a program of its own: https://github.com/mautrix/whatsapp',
        `attached the wa bridge at ${url}`,
      ].join('\n'),
    )
    expect(exitCode).toBe(0)
    await running()
    expect(programs()).toEqual(['mautrix-whatsapp-v0.2607.0'])
    expect((await meshgate('bridge', 'list')).out).toMatch(/running +1 connected|running +none/)
    expect((await meshgate('bridge', 'list')).out).toContain('v0.2607.0')
  })

  test('a platform that has a bridge is refused before anything is fetched', async () => {
    const before = releases.asked.length
    expect((await meshgate('bridge', 'add', 'wa', ...from())).out).toContain('wa has a bridge already')
    expect(releases.asked).toHaveLength(before)
  })

  test('over TLS, and never on to an address without it', async () => {
    const folder = tempDir()
    const { cert, key } = selfSigned(folder, 'localhost')
    await using mirror = Bun.serve({
      port: 0,
      tls: { cert: readFileSync(cert), key: readFileSync(key) },
      fetch: ({ url }) =>
        new URL(url).pathname.startsWith('/there')
          ? new Response('hello')
          : Response.redirect(`${releases.url}/x`, 302),
    })
    const fetching = async (path: string) => {
      const command = ['bridge', 'add', 'signal', '--from', `https://localhost:${mirror.port}${path}`]
      const child = Bun.spawn([...MESHGATE, ...command], {
        cwd: gateway.directory,
        env: { ...settings, PATH: process.env.PATH ?? '', NODE_EXTRA_CA_CERTS: cert },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      return (await new Response(child.stderr).text()).trim()
    }
    const before = releases.asked.length
    expect(await fetching('/elsewhere')).toEndWith("redirects to an address that isn't https://")
    expect(releases.asked).toHaveLength(before)
    // An answer that leads nowhere else is fetched, and is no program.
    expect(await fetching('/there')).toContain('gave no example configuration')
    folder[Symbol.dispose]()
  }, 30_000)

  test('a program that gives no example is not kept', async () => {
    const file = join(gateway.directory, 'no-program')
    writeFileSync(file, 'hello')
    const { exitCode, out } = await meshgate('bridge', 'add', 'signal', '--from', file)
    expect(exitCode).toBe(1)
    expect(out).toContain('gave no example configuration')
    expect(readdirSync(join(gateway.directory, 'data', 'bridges', 'signal', 'bin'))).toEqual([])
    expect((await meshgate('bridge', 'list')).out).not.toContain('signal')
  })

  test('a version that would lead out of the folder is refused', async () => {
    const { out } = await meshgate('bridge', 'add', 'signal', ...from(), '--version', '../../x')
    expect(out).toBe('meshgate: --version: "../../x": expected a release, such as v26.07, or latest')
  })

  test('--command and --from exclude each other', async () => {
    const { out } = await meshgate('bridge', 'add', 'signal', ...from(), '--command', '/bin/true')
    expect(out).toContain('--command: expected either a program of yours, or --from and --version')
  })

  test('a network without a released program asks for its address', async () => {
    expect((await meshgate('bridge', 'add', 'unheard')).out).toContain('--url: expected the address')
  })
})

describe('bridge restart and logs', () => {
  test('restart: another process serves', async () => {
    const before = await running()
    const { exitCode, out } = await meshgate('bridge', 'restart', 'wa')
    expect({ exitCode, out }).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^restarted the wa bridge \(process \d+\)$/),
    })
    expect(await running()).not.toBe(before)
  })

  test('logs: the last lines, and more as they come', async () => {
    const { out } = await meshgate('bridge', 'logs', 'wa', '-n', '1')
    expect(out.split('\n')).toEqual([expect.stringContaining('INFO: serving for')])
    await using following = await startProgram({
      name: 'logs',
      command: [...MESHGATE, 'bridge', 'logs', 'wa', '--follow', '-n', '0'],
      cwd: gateway.directory,
      env: settings,
      isReady: async () => true,
    })
    const lines = () => following.output().match(/INFO: v26\.07 begins/g)?.length ?? 0
    expect(lines()).toBe(0)
    await waitFor(
      async () => {
        appendFileSync(join(folder(), 'output.log'), 'INFO: v26.07 begins\n')
        return lines() > 0
      },
      { what: 'the added line', deadlineMs: 20_000 },
    )
  })
})

describe('bridge update', () => {
  test('runs the newer program, and keeps the one before, but none of those before that', async () => {
    writeFileSync(join(folder(), 'bin', 'mautrix-whatsapp-v0.2601.0'), '')
    const { exitCode, out } = await meshgate('bridge', 'update', 'wa', ...from(), '--version', 'v26.08')
    expect(out).toContain('This version of Meshgate was tried with v0.2607.0.')
    expect(out).toEndWith('the wa bridge runs v0.2608.0')
    expect(exitCode).toBe(0)
    expect(programs()).toEqual(['mautrix-whatsapp-v0.2607.0', 'mautrix-whatsapp-v0.2608.0'])
    expect((await meshgate('bridge', 'logs', 'wa')).out).toContain('INFO: v26.08 begins')
    const again = await meshgate('bridge', 'update', 'wa', ...from(), '--version', 'v26.08')
    expect(again.out).toEndWith('the wa bridge runs v0.2608.0 already')
  })

  test('a program that does not become ready: the one before goes on with all that it had', async () => {
    const database = join(folder(), 'bridge.db')
    writeFileSync(database, 'logins')
    const config = readFileSync(join(folder(), 'config.yaml'), 'utf8')
    const { exitCode, out } = await meshgate('bridge', 'update', 'wa', ...from(), '--version', 'latest')
    expect(out).toEndWith(
      "v0.2609.0 didn't become ready: it ends again and again (exit 3); the bridge runs v0.2608.0 again (meshgate bridge logs wa has its output)",
    )
    expect(exitCode).toBe(1)
    await running()
    expect(readFileSync(database, 'utf8')).toBe('logins')
    expect(readFileSync(join(folder(), 'config.yaml'), 'utf8')).toBe(config)
    expect(programs()).toEqual(['mautrix-whatsapp-v0.2607.0', 'mautrix-whatsapp-v0.2608.0'])
    expect(readdirSync(folder()).filter(name => name.startsWith('before-'))).toEqual([])
    expect((await meshgate('bridge', 'logs', 'wa')).out).toContain('ERROR: no such column')
    expect((await meshgate('bridge', 'list')).out).toContain('v0.2608.0 (v0.2609.0 failed)')
  }, 60_000)

  test('an update that failed is told by /ready and the doctor, until somebody restarts the bridge', async () => {
    const failed = "v0.2609.0 didn't become ready: it ends again and again (exit 3); v0.2608.0 runs on"
    const advice =
      'see meshgate bridge logs wa; then try again with meshgate bridge update wa, or stay with v0.2608.0 by meshgate bridge restart wa'
    const ready = async () => {
      const response = await fetch(`${gateway.url}/ready`)
      const { checks } = (await response.json()) as { checks: Record<string, string> }
      return { status: response.status, told: checks['bridge-wa-update'] }
    }
    expect(await ready()).toEqual({ status: 200, told: `${failed} (${advice})` })
    const check = await meshgate('bridge', 'check', 'wa')
    expect(check.out).toContain(failed)
    expect(check.out).toContain(advice)
    expect((await meshgate('bridge', 'restart', 'wa')).exitCode).toBe(0)
    expect(await ready()).toEqual({ status: 200, told: undefined })
    expect((await meshgate('bridge', 'check', 'wa')).out).not.toContain(failed)
  }, 60_000)

  test('a gateway that was killed meanwhile tries again at its start', async () => {
    const database = join(folder(), 'bridge.db')
    const updating = meshgate('bridge', 'update', 'wa', ...from(), '--version', 'latest')
    await waitFor(() => readFileSync(database, 'utf8') === 'broken\n', {
      what: 'the try',
      deadlineMs: 20_000,
    })
    await gateway.kill()
    await using again = await spawnGateway({ directory: gateway.directory, env: settings })
    expect((await updating).exitCode).toBe(1)
    await running()
    expect(readFileSync(database, 'utf8')).toBe('logins')
    expect(await again.stop()).toBe(0)
  }, 60_000)
})

describe('without a running gateway', () => {
  test('restart says so; update is left to the next start', async () => {
    expect((await meshgate('bridge', 'restart', 'wa')).out).toBe(
      "meshgate: the gateway isn't running, and starts the wa bridge when it does",
    )
    const { out } = await meshgate('bridge', 'update', 'wa', ...from())
    expect(out).toEndWith(
      "The gateway runs v0.2607.0 when it starts, and goes back to v0.2608.0 if it doesn't become ready.",
    )
    expect((await meshgate('bridge', 'list')).out).toContain('v0.2608.0 (v0.2607.0 is tried)')
    for (const command of [['update'], ['add', '--force', '--url', 'http://127.0.0.1:1']]) {
      const [name = '', ...more] = command
      const refused = await meshgate('bridge', name, 'wa', ...more)
      expect([refused.exitCode, refused.out]).toEqual([1, expect.stringContaining('is being tried: wait')])
    }
  })

  test('remove takes the programs away as well', async () => {
    expect((await meshgate('bridge', 'remove', 'wa')).exitCode).toBe(0)
    expect(existsSync(join(folder(), 'bin'))).toBe(false)
  })
})
