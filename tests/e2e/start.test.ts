/** Refused starts, with one line that names the setting, and starts after a kill. */

import { Database } from 'bun:sqlite'
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { MESHGATE } from '../support/meshgate-program.ts'
import { selfSigned } from '../support/self-signed.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

const DEADLINE_MS = 20_000

/** Runs the program to its end. */
function meshgate(folder: TempDir, args: string[], env: Record<string, string> = {}) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...MESHGATE, ...args], {
    cwd: folder.path,
    env: { PATH: '/usr/bin:/bin', HOME: folder.path, PORT: '0', LOG_LEVEL: 'warn', ...env },
    stdin: 'ignore',
    timeout: 30_000,
  })
  return { exitCode, out: stdout.toString(), err: stderr.toString() }
}

const refused = (message: string) => ({ exitCode: 1, out: '', err: `meshgate: ${message}\n` })
const start = (folder: TempDir, env: Record<string, string> = {}): Promise<GatewayProcess> =>
  spawnGateway({ directory: folder.path, env })

test('a copy of .env.example is enough: what is empty is filled in', async () => {
  using folder = tempDir()
  copyFileSync(join(import.meta.dir, '..', '..', '.env.example'), folder.file('.env'))
  await using gateway = await start(folder)
  expect(gateway.output()).toContain('(written now)')
  expect((await new GatewayClient(gateway).account()).token).toStartWith('mt_')
  expect(await gateway.stop()).toBe(0)
  expect(meshgate(folder, ['setup']).out).toBe(`kept ${folder.file('.env')} as it is\n`)
})

describe('one process on a folder', () => {
  test('a second gateway is refused, until the first is gone, even by kill -9', async () => {
    using folder = tempDir()
    const inUse = refused(`DATA_DIR: ${folder.file('data')} is in use by another meshgate`)
    await using first = await start(folder)
    expect(meshgate(folder, ['serve'])).toEqual(inUse)
    await first.kill()
    await using second = await start(folder)
    expect(meshgate(folder, [])).toEqual(inUse)
    expect(await second.stop()).toBe(0)
    await using third = await start(folder)
    expect((await fetch(`${third.url}/health`)).status).toBe(200)
  })

  test('its tables change only while no gateway runs', async () => {
    using folder = tempDir()
    const inUse = refused(`DATA_DIR: ${folder.file('data')} is in use by another meshgate`)
    await using gateway = await start(folder)
    expect(meshgate(folder, ['migrate', 'down'])).toEqual(inUse)
    expect(meshgate(folder, ['migrate', 'up'])).toEqual(inUse)
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(200)
    await gateway.stop()
    expect(meshgate(folder, ['migrate', 'down']).out).toStartWith('reverted migration ')
  })

  test('commands that only look, and credentials, work beside the gateway', async () => {
    using folder = tempDir()
    await using gateway = await start(folder)
    expect(meshgate(folder, ['migrate', 'status'])).toMatchObject({ exitCode: 0, err: '' })
    expect(meshgate(folder, ['credentials', 'create', 'shop'])).toMatchObject({ exitCode: 0, err: '' })
    expect(meshgate(folder, ['credentials', 'list']).out).toContain('\nshop ')
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(200)
  })
})

describe('a start that cannot be is one line', () => {
  const wa = { BRIDGES: 'wa', BRIDGE_WA_URL: 'http://127.0.0.1:29318', BRIDGE_WA_SECRET: 'secret' }
  const passwd = '/etc/passwd'

  test.each<[Record<string, string>, string]>([
    [
      { TLS_CERT_FILE: passwd, TLS_KEY_FILE: passwd },
      `TLS_CERT_FILE: ${passwd} holds no certificate: expected a chain in PEM`,
    ],
    [{ TLS_CERT_FILE: '/nope', TLS_KEY_FILE: passwd }, "TLS_CERT_FILE: can't be read: ENOENT"],
    [{ HOST: 'not.a.host' }, "HOST: can't listen on not.a.host:0 ("],
    [{ HOST: '192.0.2.1' }, "HOST: can't listen on 192.0.2.1:0 ("],
    [{ DATA_DIR: '/dev/null' }, "DATA_DIR: /dev/null can't be used as a folder: EEXIST"],
    [{ DATA_DIR: '/dev/null/data' }, "DATA_DIR: /dev/null/data can't be used as a folder: ENOTDIR"],
    [{ ...wa, BRIDGES: 'wa,wa' }, 'BRIDGES: "wa" is there twice; expected each platform once'],
    [
      wa,
      "BRIDGES: the embedded homeserver doesn't know the wa bridge: attach it first with `meshgate bridge add wa",
    ],
  ])('%p', (env, message) => {
    using folder = tempDir()
    expectRefusal(meshgate(folder, ['serve'], env), message)
  })

  test('a key that is not the certificate’s', () => {
    using folder = tempDir()
    const [one, other] = [selfSigned(folder, 'one'), selfSigned(folder, 'other')]
    const mixed = { TLS_CERT_FILE: one.cert, TLS_KEY_FILE: other.key }
    expectRefusal(
      meshgate(folder, ['serve'], mixed),
      `TLS_KEY_FILE: ${other.key} isn't the key of the first certificate in ${one.cert}`,
    )
    const noKey = { TLS_CERT_FILE: one.cert, TLS_KEY_FILE: one.cert }
    expectRefusal(meshgate(folder, ['serve'], noKey), `TLS_KEY_FILE: ${one.cert} holds no private key`)
  })

  test.each<[string, (file: string) => void, string]>([
    ['no database', file => writeFileSync(file, 'words '.repeat(1_000)), 'file is not a database'],
    ['a folder', file => mkdirSync(file), 'unable to open database file'],
    ['damaged', damagedDatabase, 'malformed'],
  ])('a database file that is %s', (_, make, message) => {
    using folder = tempDir()
    const file = join(folder.path, 'data', 'meshgate.db')
    meshgate(folder, ['setup'])
    mkdirSync(folder.file('data'))
    make(file)
    const outcome = meshgate(folder, ['serve'])
    expectRefusal(outcome, `DATA_DIR: ${file}: `)
    expect(outcome.err).toContain(message)
  })

  test('a database that another program has locked', () => {
    using folder = tempDir()
    const file = join(folder.path, 'data', 'meshgate.db')
    meshgate(folder, ['setup'])
    meshgate(folder, ['migrate', 'up'])
    const other = new Database(file)
    other.run('BEGIN IMMEDIATE')
    expectRefusal(meshgate(folder, ['serve']), `DATA_DIR: ${file}: database is locked`)
    other.close()
  })

  test('another name of the homeserver', async () => {
    using folder = tempDir()
    await using first = await start(folder)
    await first.stop()
    expectRefusal(
      meshgate(folder, ['serve'], { MATRIX_SERVER_NAME: 'example.com' }),
      'MATRIX_SERVER_NAME: this database belongs to "localhost"; ',
    )
    await using again = await start(folder)
    expect((await fetch(`${again.url}/health`)).status).toBe(200)
  })

  function expectRefusal({ exitCode, err }: ReturnType<typeof meshgate>, message: string): void {
    expect(err).toStartWith(`meshgate: ${message}`)
    expect(err.trimEnd()).not.toContain('\n')
    expect(exitCode).toBe(1)
  }
})

test('a folder made before is closed to others, and so is what is in it', async () => {
  using folder = tempDir()
  const data = folder.file('data')
  mkdirSync(data)
  chmodSync(data, 0o755)
  writeFileSync(join(data, 'meshgate.db'), '')
  chmodSync(join(data, 'meshgate.db'), 0o644)
  await using gateway = await start(folder)
  await new GatewayClient(gateway).account()
  expect(statSync(data).mode & 0o777).toBe(0o700)
  const open = readdirSync(data, { recursive: true })
    .map(String)
    .filter(name => (statSync(join(data, name)).mode & 0o077) !== 0)
  expect(open).toEqual([])
})

describe('what a killed process leaves behind', () => {
  test('is removed at the next start; files of messages stay', async () => {
    using folder = tempDir()
    const first = await start(folder)
    await using account = await linked(first)
    await account.send('whole.bin')
    await first.kill()
    const data = folder.file('data')
    const kept = filesIn(data)
    expect(kept).toHaveLength(3)
    for (const path of [
      'media/aa/file_aaaaaaaaaaaaaaaaaaaaaaaa.part',
      'media/aa/file_aaaaaaaaaaaaaaaaaaaaaaaa',
      'homeserver-media/abc.defghi.tmp',
      'sandbox-media/0b0e7b0c-4d3f-4f0e-9a52-7f6a4a1c1f11.tmp',
    ]) {
      mkdirSync(join(data, path, '..'), { recursive: true })
      writeFileSync(join(data, path), 'left behind')
    }
    await using _second = await start(folder)
    await waitFor(() => filesIn(data).length <= kept.length, {
      what: 'the remnants to be gone',
      deadlineMs: DEADLINE_MS,
    })
    expect(filesIn(data)).toEqual(kept)
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)('%s in the middle of an upload', async signal => {
    using folder = tempDir()
    const data = folder.file('data')
    const first = await start(folder)
    await using account = await linked(first)
    using upload = account.slowUpload()
    await waitFor(() => filesIn(data).some(name => name.endsWith('.part')), {
      what: 'the beginning of the file',
      deadlineMs: DEADLINE_MS,
    })
    await first.signal(signal)
    await upload.ended
    await using _second = await start(folder)
    expect(filesIn(data)).toEqual([])
  })
})

/** A linked device to send files from. */
async function linked(gateway: GatewayProcess) {
  const client = new GatewayClient(gateway)
  const account = await client.account()
  const device = await account.link('237123456789')
  const url = `${gateway.url}/api/v1/devices/${device}/message`
  const headers = { Authorization: `Bearer ${account.token}` }
  const closing = new AbortController()
  return {
    async send(name: string) {
      const form = new FormData()
      form.set('contact', '1234567890')
      form.set('platform', 'wa')
      form.set('file', new Blob(['content']), name)
      expect((await fetch(url, { method: 'POST', headers, body: form })).status).toBe(200)
      await client.phone('1234567890').waitForMessage(({ file }) => file?.name === name)
    },
    /** Sends the beginning of a file and nothing more. */
    slowUpload() {
      const head = [
        '--b\r\nContent-Disposition: form-data; name="contact"\r\n\r\n1234567890\r\n',
        '--b\r\nContent-Disposition: form-data; name="platform"\r\n\r\nwa\r\n',
        '--b\r\nContent-Disposition: form-data; name="file"; filename="slow.bin"\r\n\r\n',
      ].join('')
      const body = new ReadableStream({
        start: controller => controller.enqueue(Buffer.from(head + 'x'.repeat(200_000))),
      })
      const ended = fetch(url, {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'multipart/form-data; boundary=b' },
        body,
        signal: closing.signal,
      }).then(
        () => undefined,
        () => undefined,
      )
      return { ended, [Symbol.dispose]: () => closing.abort() }
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await gateway[Symbol.asyncDispose]()
    },
  }
}

function filesIn(data: string): string[] {
  return ['media', 'homeserver-media', 'sandbox-media']
    .map(name => join(data, name))
    .filter(path => existsSync(path))
    .flatMap(path =>
      readdirSync(path, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath, entry.name)),
    )
    .toSorted()
}

/** A file with a database's header and a wrong rest. */
function damagedDatabase(file: string): void {
  const database = new Database(file, { create: true })
  for (let table = 0; table < 50; table++) database.run(`CREATE TABLE t${table} (a TEXT, b TEXT, c TEXT)`)
  database.close()
  writeFileSync(file, readFileSync(file).fill(0xff, 100))
}

test('a start makes the key of the feed: when the feed is first read the disk may be full', async () => {
  using folder = tempDir()
  await using gateway = await start(folder)
  const keys = () => {
    using database = new Database(join(gateway.directory, 'data', 'meshgate.db'), { readonly: true })
    return database.query("SELECT 1 FROM settings WHERE name = 'feed_cursor_key'").all().length
  }
  await waitFor(() => keys() === 1, { what: 'the key', deadlineMs: DEADLINE_MS })
})
