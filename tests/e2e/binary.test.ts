/**
 * Runs the binary alone in an empty folder, without this project's environment: a file that should
 * be embedded, but is read from disk at run time, fails here.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { type Account, formWith, GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { BUILT_BINARY } from '../support/meshgate-program.ts'
import { samplesOf } from '../support/metrics.ts'
import { RECORDING } from '../support/recording.ts'
import { watchSocket } from '../support/socket-watcher.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(60_000)

const ROOT = join(import.meta.dir, '..', '..')
/** `meshgate serve` promises to stop within this time after SIGTERM. */
const STOP_LIMIT_MS = 10_000

/** A folder with the binary alone. */
const shelf = tempDir()
const binary = shelf.file('meshgate')

beforeAll(() => {
  if (BUILT_BINARY !== undefined) return copyFileSync(BUILT_BINARY, binary)
  const outfile = shelf.file('built')
  const build = Bun.spawnSync([process.execPath, 'scripts/build.ts', '--outfile', outfile], { cwd: ROOT })
  if (!build.success) throw new Error(`the build failed: ${build.stdout}${build.stderr}`)
  copyFileSync(outfile, binary)
}, 120_000)

afterAll(() => shelf[Symbol.dispose]())

interface Outcome {
  exitCode: number
  out: string
  err: string
}

/** Runs a command to its end. */
function run(folder: TempDir, args: string[], env: Record<string, string> = {}): Outcome {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...args], {
    cwd: folder.path,
    env: { PATH: '/usr/bin:/bin', HOME: folder.path, ...env },
    stdin: 'ignore',
    timeout: 30_000,
  })
  return { exitCode, out: stdout.toString(), err: stderr.toString() }
}

const serve = (directory?: string, env: Record<string, string> = {}): Promise<GatewayProcess> =>
  spawnGateway({
    command: [binary],
    env,
    deadlineMs: 30_000,
    ...(directory === undefined ? {} : { directory }),
  })

describe('commands', () => {
  test('tells its version and its commands', () => {
    using folder = tempDir()
    expect(run(folder, ['--version'])).toEqual({ exitCode: 0, out: `${manifest.version}\n`, err: '' })
    const help = run(folder, ['--help'])
    expect(help.exitCode).toBe(0)
    expect(help.out).toContain('credentials')
  })

  test('sets up, migrates up and down, and makes a credential', () => {
    using folder = tempDir()
    expect(run(folder, ['migrate', 'up'])).toEqual({
      exitCode: 1,
      out: '',
      err: expect.stringMatching(
        /^meshgate: CLIENT_ID: is missing and .* or `meshgate setup` writes a \.env with one\n$/,
      ),
    })
    expect(run(folder, ['setup']).out).toStartWith('wrote ')
    expect(statSync(folder.file('.env')).mode & 0o777).toBe(0o600)
    expect(run(folder, ['migrate', 'status']).out).toContain('not applied')
    expect(run(folder, ['migrate', 'up']).out).toContain('applied migration 1 (gateway)')
    expect(run(folder, ['migrate', 'status']).out).not.toContain('not applied')
    expect(run(folder, ['migrate', 'down']).out).toStartWith('reverted migration ')
    expect(run(folder, ['credentials', 'create', 'shop']).out).toContain('client secret')
    expect(run(folder, ['credentials', 'list']).out).toContain('shop')
    expect(readdirSync(folder.path).toSorted()).toEqual(['.env', 'data'])
  })

  test.each([
    [['--nope'], {}, 'meshgate: unknown option'],
    [['serve'], { SECRET_KEY: 'short' }, 'meshgate: SECRET_KEY: expected at least 16 characters'],
    [['serve'], { APP_MODE: 'production' }, 'meshgate: TLS_CERT_FILE: production needs TLS'],
    [['serve'], { DATA_DIR: '/dev/null/data' }, 'meshgate: '],
  ])('%p with %p fails in one line', (args, env, message) => {
    using folder = tempDir()
    const settings = {
      CLIENT_ID: 'admin',
      CLIENT_SECRET: 'x'.repeat(20),
      SECRET_KEY: 'y'.repeat(20),
      PORT: '0',
    }
    const { exitCode, out, err } = run(folder, args, { ...settings, ...env })
    expect(exitCode).toBe(1)
    expect(out).toBe('')
    expect(err).toStartWith(message)
    expect(err.trimEnd().split('\n')).toHaveLength(1)
  })

  test('reads no bunfig.toml or package.json that lies around', () => {
    using folder = tempDir()
    writeFileSync(folder.file('bunfig.toml'), 'preload = ["./gone.ts"]\n')
    writeFileSync(folder.file('package.json'), '{ not json')
    expect(run(folder, ['--version']).exitCode).toBe(0)
  })
})

describe('a first start in an empty folder', () => {
  let gateway: GatewayProcess
  let client: GatewayClient
  let account: Account

  beforeAll(async () => {
    gateway = await serve()
    client = new GatewayClient(gateway)
    account = await client.account()
  })

  afterAll(() => gateway[Symbol.asyncDispose]())

  test('says where to go on, that the phones are simulated, and no secret', () => {
    const said = gateway.output()
    expect(said).toContain(`${gateway.url}/docs/index.html`)
    expect(said).toContain(`${gateway.url}/sandbox`)
    expect(said).toContain('no real messages')
    expect(said).toContain(join(gateway.directory, '.env'))
    for (const [, value] of readFileSync(join(gateway.directory, '.env'), 'utf8').matchAll(/^\w+=(.+)$/gm)) {
      expect(said).not.toContain(value ?? '')
    }
  })

  test('counts requests by their routes, which minifying must not hide', async () => {
    await account.devices()
    const metrics = samplesOf(await (await fetch(`${gateway.url}/metrics`)).text())
    const labels = { method: 'GET', route: '/api/v1/devices', status: '200' }
    expect(metrics.value('meshgate_http_request_seconds_count', labels)).toBeGreaterThan(0)
  })

  test('is backed up while it runs, and restored', () => {
    using folder = tempDir()
    const backup = folder.file('backup.tar.zst')
    const here = { path: gateway.directory } as TempDir
    expect(run(here, ['backup', backup])).toMatchObject({ exitCode: 0, err: '' })
    expect(run(here, ['restore', backup, '--data-dir', folder.file('data')])).toMatchObject({
      exitCode: 0,
      err: '',
    })
    expect(readdirSync(folder.file('data')).toSorted()).toEqual(['meshgate.db', 'meshgate.lock'])
  })

  test('keeps its files from others', () => {
    expect(statSync(join(gateway.directory, '.env')).mode & 0o777).toBe(0o600)
    expect(statSync(join(gateway.directory, 'data')).mode & 0o777).toBe(0o700)
  })

  test('is healthy, also by its own check', () => {
    using folder = tempDir()
    const { port } = new URL(gateway.url)
    const settings = { CLIENT_ID: 'a', CLIENT_SECRET: 'x'.repeat(20), SECRET_KEY: 'y'.repeat(20) }
    expect(run(folder, ['healthcheck'], { ...settings, PORT: port })).toEqual({
      exitCode: 0,
      out: 'ok\n',
      err: '',
    })
  })

  test('serves its pages and all they load from itself', async () => {
    for (const page of ['/docs/index.html', '/sandbox']) {
      const response = await fetch(gateway.url + page)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toStartWith('text/html')
      const html = await response.text()
      const loaded = [...html.matchAll(/<(?:script|link)\b[^>]*\b(?:src|href)="([^"]+)"/g)].map(
        match => match[1] ?? '',
      )
      expect(loaded.length).toBeGreaterThan(1)
      for (const address of loaded) {
        const url = new URL(address, gateway.url + page)
        expect(url.origin).toBe(gateway.url)
        const asset = await fetch(url)
        expect([address, asset.status]).toEqual([address, 200])
        expect((await asset.arrayBuffer()).byteLength).toBeGreaterThan(0)
      }
    }
    const openapi = await fetch(`${gateway.url}/docs/json`)
    expect(await openapi.json()).toMatchObject({ openapi: expect.stringMatching(/^3\./) })
  })

  test('links a phone, sends to it and delivers what it answers, text, file and recording', async () => {
    await using receiver = webhookReceiver()
    const phone = await client.newPhone()
    const contact = await client.newPhone()
    await account.link(phone.number)
    await account.addWebhook(receiver.url)

    const [accepted] = await account.send(phone.number, {
      contact: contact.number,
      text: 'Hello from one binary',
    })
    await contact.waitForText('Hello from one binary')
    await account.waitForStatus(accepted?.id ?? '', ['sent', 'delivered', 'read'])

    const file = { name: 'note.txt', type: 'text/plain', content: 'a file' }
    await account.send(phone.number, formWith({ platform: 'wa', contact: contact.number }, file))
    const arrived = await contact.waitForMessage(message => message.file !== null, 'the file')
    expect(arrived.file).toMatchObject({ name: 'note.txt', size: 6 })

    const recording = { name: 'note.ogg', content: RECORDING }
    await account.send(phone.number, formWith({ platform: 'wa', contact: contact.number }, recording))
    const heard = await contact.waitForMessage(message => message.type === 'voice', 'the recording')
    expect(heard.file?.duration_ms).toBe(2_000)

    await contact.send({ to: phone.number, text: 'Well received' })
    await receiver.waitForCount(1, 20_000)
    expect(receiver.received.some(request => request.text.includes('Well received'))).toBe(true)
  })

  test.skipIf(process.platform !== 'linux')(
    'runs as the process that was started, with many fetches allowed',
    () => {
      const environment = readFileSync(`/proc/${gateway.pid}/environ`, 'utf8')
      expect(environment).toContain('BUN_CONFIG_MAX_HTTP_REQUESTS=32768')
      expect(environment).toContain(`HOME=${gateway.directory}`)
    },
  )

  test('a second one on its port says so in one line', () => {
    using folder = tempDir()
    const { port } = new URL(gateway.url)
    const { exitCode, out, err } = run(folder, ['serve'], { PORT: port })
    expect([exitCode, out]).toEqual([1, ''])
    expect(err).toBe(
      `meshgate: PORT: 127.0.0.1:${port} is in use; stop what listens there, or set another PORT\n`,
    )
  })
})

test('production takes its settings from the environment, writes no .env and has no sandbox', async () => {
  await using gateway = await serve(undefined, {
    APP_MODE: 'production',
    ALLOW_INSECURE_SERVER: 'true',
    CLIENT_ID: 'operator',
    CLIENT_SECRET: 'sesame of the operator',
    SECRET_KEY: 'a sealing key of the tests',
  })
  expect(gateway.output()).toContain('CLIENT_ID and CLIENT_SECRET of the environment')
  expect(gateway.output()).not.toContain('sandbox')
  expect(readdirSync(gateway.directory)).toEqual(['data'])
  expect((await fetch(`${gateway.url}/sandbox`)).status).toBe(404)
  await new GatewayClient(gateway).account()
})

describe('stopping', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it in time with exit code 0', async signal => {
    await using gateway = await serve()
    const started = performance.now()
    expect(await gateway.signal(signal)).toBe(0)
    expect(performance.now() - started).toBeLessThan(STOP_LIMIT_MS)
    expect(existsSync(join(gateway.directory, 'data', 'meshgate.db-wal'))).toBe(false)
  })

  test('somebody who watches a QR code does not hold it up', async () => {
    await using gateway = await serve()
    const account = await new GatewayClient(gateway).account()
    await using socket = watchSocket(await account.addDevice('wa'))
    await socket.waitForText(0)
    const started = performance.now()
    expect(await gateway.stop()).toBe(0)
    expect(performance.now() - started).toBeLessThan(STOP_LIMIT_MS)
  })

  test('after a stop and after a kill it starts again with what it had', async () => {
    using folder = tempDir()
    let token: string
    {
      await using gateway = await serve(folder.path)
      const account = await new GatewayClient(gateway).account()
      token = account.token
      await account.link('237123456789')
      expect(await gateway.stop()).toBe(0)
    }
    for (let round = 0; round < 2; round += 1) {
      await using gateway = await serve(folder.path)
      const devices = await new GatewayClient(gateway).accountOf(token).devices()
      expect(devices.map(device => device.device_id)).toEqual(['237123456789'])
      await gateway.kill()
    }
  })
})
