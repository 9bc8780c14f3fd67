/** Each command's answer and exit code; an expected failure is one line without a stack. */

import { describe, expect, test } from 'bun:test'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import manifest from '../../../package.json' with { type: 'json' }
import { runCommandLine } from '../../../src/cli/run.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const SETTINGS = { CLIENT_ID: 'admin', CLIENT_SECRET: 'long-enough', SECRET_KEY: 'sixteen-characters' }

interface Outcome {
  exitCode: number
  out: string[]
  err: string[]
}

async function meshgate(
  folder: TempDir,
  args: string[],
  environment: Record<string, string> = SETTINGS,
): Promise<Outcome> {
  const out: string[] = []
  const err: string[] = []
  const exitCode = await runCommandLine(args, {
    directory: folder.path,
    environment,
    print: line => out.push(...line.split('\n')),
    complain: line => err.push(...line.split('\n')),
  })
  return { exitCode, out, err }
}

describe('the program', () => {
  test('tells its version', async () => {
    using folder = tempDir()
    expect(await meshgate(folder, ['--version'])).toEqual({ exitCode: 0, out: [manifest.version], err: [] })
  })

  test('lists its commands', async () => {
    using folder = tempDir()
    const { exitCode, out } = await meshgate(folder, ['--help'])
    expect(exitCode).toBe(0)
    for (const name of [
      'serve',
      'setup',
      'migrate',
      'credentials',
      'bridge',
      'doctor',
      'registration',
      'healthcheck',
    ]) {
      expect(out.some(line => line.trimStart().startsWith(`${name} `))).toBe(true)
    }
  })

  test.each([
    [['credentails'], "unknown command 'credentails' (Did you mean credentials?)"],
    [['migrate', 'sideways'], "unknown command 'sideways'"],
    [['serve', '--fast'], "unknown option '--fast'"],
    [['credentials', 'create'], "missing required argument 'client-id'"],
    [['credentials', 'create', 'bob', '--role', 'king'], 'Allowed choices are super_admin, user'],
  ])('refuses %p in one line', async (args, message) => {
    using folder = tempDir()
    const { exitCode, out, err } = await meshgate(folder, args)
    expect(exitCode).toBe(1)
    expect(out).toEqual([])
    expect(err).toHaveLength(1)
    expect(err[0]).toStartWith('meshgate: ')
    expect(err[0]).toContain(message)
  })
})

describe('expected failures are one line on standard error', () => {
  test.each([
    [
      'a wrong setting',
      { ...SETTINGS, SECRET_KEY: 'short' },
      'meshgate: SECRET_KEY: expected at least 16 characters',
    ],
    ['no settings', {}, 'meshgate: CLIENT_ID: is missing and '],
    [
      'a data folder that cannot be made',
      { ...SETTINGS, DATA_DIR: '/dev/null/data' },
      'meshgate: DATA_DIR: /dev/null/data ',
    ],
  ])('%s', async (_, environment, message) => {
    using folder = tempDir()
    const { exitCode, out, err } = await meshgate(folder, ['migrate', 'status'], environment)
    expect(exitCode).toBe(1)
    expect(out).toEqual([])
    expect(err).toHaveLength(1)
    expect(err[0]).toStartWith(message)
  })

  test('without settings: where they are looked for, and what writes them', async () => {
    using folder = tempDir()
    const { err } = await meshgate(folder, ['migrate', 'status'], {})
    expect(err).toEqual([
      `meshgate: CLIENT_ID: is missing and ${folder.path} has no .env: run this in the gateway's folder, or \`meshgate setup\` writes a .env with one`,
    ])
  })

  test('a file that is no database', async () => {
    using folder = tempDir()
    writeFileSync(folder.file('meshgate.db'), 'this is no database, whatever its name says'.repeat(100))
    const { exitCode, err } = await meshgate(folder, ['migrate', 'up'], {
      ...SETTINGS,
      DATA_DIR: folder.path,
    })
    expect(exitCode).toBe(1)
    expect(err).toEqual([`meshgate: DATA_DIR: ${folder.file('meshgate.db')}: file is not a database`])
  })
})

describe('setup', () => {
  test('writes settings that the program accepts, readable by their owner alone', async () => {
    using folder = tempDir()
    expect((await meshgate(folder, ['setup'])).exitCode).toBe(0)
    const file = folder.file('.env')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect((await meshgate(folder, ['migrate', 'status'], {})).exitCode).toBe(0)
  })

  test('writes values that grep and cut find whole', async () => {
    using folder = tempDir()
    await meshgate(folder, ['setup'])
    const cut = (name: string) =>
      Bun.spawnSync(['sh', '-c', `grep '^${name}=' .env | cut -d'=' -f2`], { cwd: folder.path })
        .stdout.toString()
        .trim()
    expect(cut('CLIENT_ID')).toMatch(/^admin-[A-Za-z0-9_-]{8}$/)
    expect(cut('CLIENT_SECRET')).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(cut('SECRET_KEY')).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  test('never touches a .env that is there, and shows no secret', async () => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), 'CLIENT_ID=mine\n')
    const { exitCode, out } = await meshgate(folder, ['setup'])
    expect(exitCode).toBe(0)
    expect(out).toEqual([`kept ${folder.file('.env')} as it is`])
    expect(readFileSync(folder.file('.env'), 'utf8')).toBe('CLIENT_ID=mine\n')
  })

  test('fills in what is empty in a copy of .env.example, and what has a value stays', async () => {
    using folder = tempDir()
    const file = folder.file('.env')
    const before =
      '# CLIENT_ID=\r\nPORT=9000\r\nCLIENT_ID=mine\r\nCLIENT_SECRET=""  # secret\r\n\r\nSECRET_KEY=\r\n'
    writeFileSync(file, before)
    const refusal = await meshgate(folder, ['migrate', 'status'], {})
    expect(refusal.err).toEqual([
      `meshgate: CLIENT_SECRET: is empty in ${file}; \`meshgate setup\` fills it in`,
    ])
    const { out } = await meshgate(folder, ['setup'])
    expect(out).toEqual([`filled in CLIENT_SECRET, SECRET_KEY, which were empty in ${file}`])
    const after = readFileSync(file, 'utf8')
    const secret = /[\w-]{43}/
    expect(after.split('\r\n')).toEqual([
      '# CLIENT_ID=',
      'PORT=9000',
      'CLIENT_ID=mine',
      expect.stringMatching(new RegExp(`^CLIENT_SECRET=${secret.source}$`)),
      '',
      expect.stringMatching(new RegExp(`^SECRET_KEY=${secret.source}$`)),
      '',
    ])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect((await meshgate(folder, ['migrate', 'status'], {})).exitCode).toBe(0)
    expect((await meshgate(folder, ['setup'])).out).toEqual([`kept ${file} as it is`])
    expect(readFileSync(file, 'utf8')).toBe(after)
  })

  test('fills in the last of several, which counts, where a link leads', async () => {
    using folder = tempDir()
    const [file, target] = [folder.file('.env'), folder.file('settings')]
    writeFileSync(
      target,
      'CLIENT_ID=mine\nSECRET_KEY=sixteen-characters\nCLIENT_SECRET=old\nCLIENT_SECRET=\n',
    )
    symlinkSync(target, file)
    const { out } = await meshgate(folder, ['setup'], {})
    expect(out).toEqual([`filled in CLIENT_SECRET, which was empty in ${file}`])
    expect(lstatSync(file).isSymbolicLink()).toBe(true)
    expect(readFileSync(target, 'utf8')).toMatch(/\nCLIENT_SECRET=old\nCLIENT_SECRET=[\w-]{43}\n$/)
    expect((await meshgate(folder, ['migrate', 'status'], {})).exitCode).toBe(0)
  })

  test('makes no other key for a database that is there', async () => {
    using folder = tempDir()
    const file = folder.file('.env')
    expect((await meshgate(folder, ['migrate', 'up'])).exitCode).toBe(0)
    const lost = `meshgate: SECRET_KEY: is missing, and ${folder.file('data/meshgate.db')} was written with one`
    expect((await meshgate(folder, ['setup'], {})).err[0]).toStartWith(lost)
    expect(existsSync(file)).toBe(false)
    const empty = 'CLIENT_ID=mine\nCLIENT_SECRET=\nSECRET_KEY=\n'
    writeFileSync(file, empty)
    for (const command of ['setup', 'serve'])
      expect((await meshgate(folder, [command], {})).err[0]).toStartWith(lost)
    expect(readFileSync(file, 'utf8')).toBe(empty)
    writeFileSync(file, `${empty}SECRET_KEY=sixteen-characters\n`)
    expect((await meshgate(folder, ['setup'], {})).out).toEqual([
      `filled in CLIENT_SECRET, which was empty in ${file}`,
    ])
  })

  test('what a .env lacks is told with where to add it', async () => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), 'CLIENT_ID=mine\n')
    const { err } = await meshgate(folder, ['migrate', 'status'], {})
    expect(err).toEqual([
      `meshgate: CLIENT_SECRET: is missing in ${folder.file('.env')}; add it there, such as of: openssl rand -base64 32`,
    ])
  })

  test('makes other secrets each time', async () => {
    using one = tempDir()
    using two = tempDir()
    await meshgate(one, ['setup'])
    await meshgate(two, ['setup'])
    const secrets = [one, two].flatMap(folder =>
      [...readFileSync(folder.file('.env'), 'utf8').matchAll(/^[A-Z_]+=(.*)$/gm)].map(match => match[1]),
    )
    expect(new Set(secrets).size).toBe(6)
  })
})

test('migrate goes up, tells where it is, and goes down', async () => {
  using folder = tempDir()
  const before = await meshgate(folder, ['migrate', 'status'])
  expect(before.out[1]).toMatch(/^1 +gateway +not applied$/)
  const up = await meshgate(folder, ['migrate', 'up'])
  expect(up.out[0]).toBe('applied migration 1 (gateway)')
  expect((await meshgate(folder, ['migrate', 'up'])).out).toEqual(['the database is up to date'])
  const after = await meshgate(folder, ['migrate', 'status'])
  expect(after.out[1]).toMatch(/^1 +gateway +\d{4}-\d\d-\d\dT/)
  for (const _ of up.out) {
    expect((await meshgate(folder, ['migrate', 'down'])).out[0]).toStartWith('reverted migration ')
  }
  expect((await meshgate(folder, ['migrate', 'down'])).out).toEqual(['there is no migration to revert'])
  expect(statSync(folder.file('data')).mode & 0o777).toBe(0o700)
})

describe('credentials', () => {
  test('are made and listed; a secret is shown once', async () => {
    using folder = tempDir()
    const made = await meshgate(folder, [
      'credentials',
      'create',
      'shop',
      '--scopes',
      'tokens:read:*',
      'tokens:write:create',
      '--description',
      'the web shop',
    ])
    expect(made.exitCode).toBe(0)
    const secret = secretIn(made)
    const { out } = await meshgate(folder, ['credentials', 'list'])
    expect(out[0]).toMatch(/^client id +role +active +scopes +created +description$/)
    expect(out[1]).toMatch(/^shop +user +yes +tokens:read:\* tokens:write:create +\S+ +the web shop$/)
    expect(out.join('\n')).not.toContain(secret)
  })

  test('get another secret', async () => {
    using folder = tempDir()
    const first = secretIn(await meshgate(folder, ['credentials', 'create', 'shop']))
    const second = secretIn(await meshgate(folder, ['credentials', 'reset-secret', 'shop']))
    expect(second).not.toBe(first)
  })

  test.each([
    [['create', 'shop'], 'client_id: shop is taken'],
    [['create', 'sh op'], 'client_id: expected 1 to 64 letters'],
    [['create', 'other', '--scopes', 'Everything!'], 'scopes: "Everything!" is not a scope'],
    [['reset-secret', 'nobody'], 'There is no credential nobody'],
    [['reset-secret', 'admin'], 'CLIENT_SECRET: admin is the credential of the settings'],
  ])('%p is refused in one line', async (args, message) => {
    using folder = tempDir()
    await meshgate(folder, ['credentials', 'create', 'shop'])
    const { exitCode, out, err } = await meshgate(folder, ['credentials', ...args])
    expect(exitCode).toBe(1)
    expect(out).toEqual([])
    expect(err).toHaveLength(1)
    expect(err[0]).toStartWith(`meshgate: ${message}`)
  })

  function secretIn({ out }: Outcome): string {
    const secret = /^client secret +(\S{43})$/.exec(out[1] ?? '')?.[1]
    if (!secret) throw new Error(`no secret in ${out.join('|')}`)
    return secret
  }
})

describe('healthcheck', () => {
  test.each([
    [200, 0],
    [503, 1],
  ])('asks the gateway of these settings: %i is exit code %i', async (status, expected) => {
    using folder = tempDir()
    const asked: string[] = []
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch(request) {
        asked.push(new URL(request.url).pathname)
        return new Response(null, { status })
      },
    })
    // As in a container: the gateway listens everywhere, and the check asks the loopback.
    const environment = { ...SETTINGS, HOST: '0.0.0.0', PORT: String(server.port) }
    const { exitCode, err } = await meshgate(folder, ['healthcheck'], environment)
    expect(exitCode).toBe(expected)
    expect(err).toHaveLength(expected)
    expect(asked).toEqual(['/health'])
    await server.stop(true)
  })

  test('tells that nobody answers', async () => {
    using folder = tempDir()
    const { exitCode, err } = await meshgate(folder, ['healthcheck'], { ...SETTINGS, PORT: '1' })
    expect(exitCode).toBe(1)
    expect(err).toHaveLength(1)
    expect(err[0]).toStartWith("meshgate: http://127.0.0.1:1/health doesn't answer")
    expect(existsSync(folder.file('data'))).toBe(false)
  })
})

/** An example configuration of a bridge. */
const FIXTURE = join(import.meta.dir, '..', 'bridges', 'fixtures', 'bridgev2.yaml.txt')

describe('bridge add', () => {
  const SYNAPSE = {
    MATRIX_HOMESERVER_URL: 'http://synapse:8008',
    MATRIX_AS_TOKEN: 'as',
    MATRIX_HS_TOKEN: 'hs',
  }
  const add = (folder: TempDir, args: string[], environment = SETTINGS) =>
    meshgate(folder, ['bridge', 'add', ...args], {
      PATH: '/usr/bin:/bin',
      ...environment,
      PORT: '8080',
    } as typeof SETTINGS)

  test('is told of again by an unverified restore, as the gateway will run its program', async () => {
    using folder = tempDir()
    await add(folder, ['wa', '--command', 'true', '--example', FIXTURE])
    await meshgate(folder, ['backup', 'backup.tar.zst'])
    const restore = ['restore', 'backup.tar.zst', '--data-dir']
    expect((await meshgate(folder, [...restore, 'one'])).err).toEqual([])
    expect((await meshgate(folder, [...restore, 'two', '--unverified'])).err).toEqual([
      'the gateway will run for the wa bridge: /usr/bin/true',
    ])
  })

  test.each([
    [['WhatsApp'], 'platform: "WhatsApp" isn\'t a platform name'],
    [['Net', '--url', 'http://127.0.0.1:1'], 'platform: "Net" isn\'t a platform name'],
    [['net'], '--url: expected the address of the bridge'],
    [['wattsapp'], 'no bridge is known to fetch for "wattsapp"; did you mean whatsapp?'],
    [['wa', '--url', 'localhost:29318'], '--url: "localhost:29318": expected an http:// or https:// address'],
    [['wa', '--url', 'http://me:password@127.0.0.1:1'], 'without user, query and fragment'],
    [
      ['wa', '--url', 'http://127.0.0.1:0'],
      '--url: "http://127.0.0.1:0": expected an http:// or https:// address',
    ],
    [['wa', '--homeserver-url', 'here'], '--homeserver-url: "here": expected'],
    [['wa', '--url', 'http://whatsapp:29318'], "--homeserver-url: the bridge isn't on this machine"],
    [['wa', '--set', 'network'], '--set: "network": expected key=value'],
    [
      ['wa', '--url', 'http://127.0.0.1:1', '--set', 'network.x=['],
      '--set: network.x: expected a YAML value',
    ],
    [['wa', '--command', "'"], "--command: the quote ' isn't closed"],
    [['wa', '--command', '/nowhere/bridge'], '--command: /nowhere/bridge: there is no such file; put it'],
    [
      ['wa', '--command', 'mautrix-whatsapp'],
      'no folder of the PATH has it; get it from https://github.com/mautrix/whatsapp/releases and put it',
    ],
    [['net', '--command', 'cat'], '--command: /usr/bin/cat gave no example'],
    [['net', '--command', 'env A=b cat'], '--command: /usr/bin/env gave no example'],
    [['wa', '--command', '/usr', '--example', FIXTURE], '--command: /usr is a folder'],
    [['wa', '--example', FIXTURE, '--set', 'network.os_nmae=x'], 'did you mean network.os_name?'],
    [
      ['wa', '--command', 'false'],
      '--command: /usr/bin/false gave no example configuration (`-e`): it ended with 1',
    ],
    [['wa', '--example', 'none.yaml'], "none.yaml can't be read"],
  ])('%p is refused in one line, and nothing is left behind', async (args, message) => {
    using folder = tempDir()
    const { exitCode, err } = await add(folder, args)
    expect({ exitCode, lines: err.length }).toEqual({ exitCode: 1, lines: 1 })
    expect(err[0]).toContain(message)
    expect(existsSync(folder.file('data/bridges'))).toBe(false)
  })

  test('a program is kept by its path, and said to be there where it only isn’t executable', async () => {
    using folder = tempDir()
    const file = folder.file('mautrix-whatsapp')
    const tried = (...command: string[]) =>
      add(folder, ['wa', '--command', ...command, '--example', FIXTURE], {
        ...SETTINGS,
        PATH: `${folder.path}:/usr/bin`,
      } as typeof SETTINGS)
    writeFileSync(file, '#!/bin/sh\n', { mode: 0o644 })
    for (const command of ['mautrix-whatsapp', './mautrix-whatsapp', `env A=b mautrix-whatsapp`])
      expect((await tried(command)).err[0]).toContain(`--command: ${file} isn't executable: chmod +x ${file}`)
    chmodSync(file, 0o755)
    const { out } = await tried('env A=b mautrix-whatsapp --x')
    expect(out.join('\n')).toContain(`The gateway runs /usr/bin/env A=b ${file} --x by itself`)
  })

  test.each([
    ['writes', `cp '${FIXTURE}' "$3"`],
    ['prints', `cat '${FIXTURE}'`],
  ])('the address is that of the example that the program %s', async (_, script) => {
    using folder = tempDir()
    writeFileSync(folder.file('bridge'), `#!/bin/sh\n[ "$1" = -e ] && ${script}\n`, { mode: 0o755 })
    const { out, err } = await add(folder, ['net', '--command', './bridge'])
    expect(err).toEqual([])
    expect(out[0]).toBe('attached the net bridge at http://127.0.0.1:29999')
    const { appservice } = parse(readFileSync(folder.file('data/bridges/net/config.yaml'), 'utf8'))
    expect(appservice).toMatchObject({
      address: 'http://127.0.0.1:29999',
      port: 29_999,
      hostname: '127.0.0.1',
    })
  })

  test("each of Telegram's two bridges is told where its keys go", async () => {
    for (const [fixture, keys] of [
      [FIXTURE, 'network.api_id and network.api_hash'],
      [FIXTURE.replace('bridgev2', 'legacy-python'), 'telegram.api_id and telegram.api_hash'],
    ] as const) {
      using folder = tempDir()
      const { out } = await add(folder, ['telegram', '--example', fixture])
      expect(out.join('\n')).toContain(`Set ${keys} (from https://my.telegram.org/apps)`)
    }
  })

  test('with an external homeserver the lines to add are printed', async () => {
    using folder = tempDir()
    const synapse = { ...SETTINGS, ...SYNAPSE }
    const { exitCode, out } = await add(folder, ['telegram', '--url', 'http://127.0.0.1:29317'], synapse)
    expect(exitCode).toBe(0)
    const registration = folder.file('data/bridges/telegram/registration.yaml')
    expect(out.slice(out.findIndex(line => line.includes('app_service_config_files')))[1]?.trim()).toBe(
      `- ${registration}`,
    )
    expect(out.join('\n')).toContain(
      'Set network.api_id and network.api_hash (from https://my.telegram.org/apps)',
    )
    expect(readFileSync(folder.file('data/bridges/telegram/config.yaml'), 'utf8')).toContain(
      'address: http://synapse:8008',
    )
  })

  test.each<[how: string, args: string[], homeserver: object, enabled: boolean | undefined]>([
    ['on at the embedded homeserver', [], {}, true],
    ['off where it is not wanted', ['--history', 'off'], {}, false],
    ['left alone at another homeserver', [], SYNAPSE, undefined],
  ])('history is %s', async (_, args, homeserver, enabled) => {
    using folder = tempDir()
    const url = ['--url', 'http://127.0.0.1:29318']
    const { exitCode } = await add(folder, ['wa', ...url, ...args], { ...SETTINGS, ...homeserver })
    expect(exitCode).toBe(0)
    const { backfill } = parse(readFileSync(folder.file('data/bridges/wa/config.yaml'), 'utf8'))
    expect(backfill?.enabled).toBe(enabled)
  })

  test('history stays as it is when something else is changed', async () => {
    using folder = tempDir()
    const url = ['--url', 'http://127.0.0.1:29318']
    const enabled = () =>
      parse(readFileSync(folder.file('data/bridges/wa/config.yaml'), 'utf8')).backfill.enabled
    await add(folder, ['wa', ...url, '--history', 'off'])
    await add(folder, ['wa', '--force', '--set', 'network.os_name=x'])
    expect(enabled()).toBe(false)
    await add(folder, ['wa', '--force', '--history', 'on'])
    expect(enabled()).toBe(true)
  })

  test.each([
    ['maybe', {}, '--history: expected on or off, got "maybe"'],
    ['on', SYNAPSE, '--history: only the embedded homeserver takes messages from before a link'],
  ])('--history %s is refused', async (history, homeserver, message) => {
    using folder = tempDir()
    const args = ['wa', '--url', 'http://127.0.0.1:29318', '--history', history]
    const { exitCode, err } = await add(folder, args, { ...SETTINGS, ...homeserver })
    expect(exitCode).toBe(1)
    expect(err[0]).toContain(message)
    expect(existsSync(folder.file('data/bridges/wa'))).toBe(false)
  })

  test('--force changes what is given, and keeps the rest', async () => {
    using folder = tempDir()
    const config = () => parse(readFileSync(folder.file('data/bridges/telegram/config.yaml'), 'utf8'))
    const first = ['--url', 'http://telegram:29317', '--homeserver-url', 'http://meshgate:8081']
    const { out } = await add(folder, ['telegram', ...first, '--database', 'postgres://db/telegram'])
    const command = /meshgate bridge add telegram --force (.*)$/.exec(
      out.find(line => line.startsWith('1.')) ?? '',
    )
    expect(command?.[1]).toBe('--set network.api_id=… --set network.api_hash=…')
    const before = config()
    const second = await add(folder, [
      'telegram',
      '--force',
      '--set',
      'network.api_id=7',
      '--set',
      'network.api_hash=x',
    ])
    expect({ exitCode: second.exitCode, err: second.err }).toEqual({ exitCode: 0, err: [] })
    expect(second.out[0]).toBe('attached the telegram bridge at http://telegram:29317')
    expect(second.out.join()).not.toContain('--force')
    expect(config()).toEqual({ ...before, network: { api_id: 7, api_hash: 'x' } })
  })

  test('files that are there aren’t overwritten', async () => {
    using folder = tempDir()
    mkdirSync(folder.file('mine'))
    writeFileSync(folder.file('mine/config.yaml'), 'mine: true\n')
    const { exitCode, err } = await add(folder, ['wa', '--dir', 'mine', '--url', 'http://127.0.0.1:29318'])
    expect(exitCode).toBe(1)
    expect(err[0]).toContain('mine/config.yaml exists; --force writes it anew')
    expect(readFileSync(folder.file('mine/config.yaml'), 'utf8')).toBe('mine: true\n')
    expect((await meshgate(folder, ['bridge', 'list'])).out).toHaveLength(1)
  })

  test('the address of another bridge is refused: one program serves one platform', async () => {
    using folder = tempDir()
    expect((await add(folder, ['wa', '--url', 'http://127.0.0.1:29318'])).exitCode).toBe(0)
    const { exitCode, err } = await add(folder, ['net', '--url', 'http://127.0.0.1:29318/'])
    expect(exitCode).toBe(1)
    expect(err[0]).toBe(
      'meshgate: --url: the wa bridge is at http://127.0.0.1:29318; each bridge needs its own',
    )
    expect(existsSync(folder.file('data/bridges/net'))).toBe(false)
    expect((await add(folder, ['wa', '--force'])).exitCode).toBe(0)
  })

  test('removing takes the folder too, with what the gateway noted there of its program', async () => {
    using folder = tempDir()
    expect((await add(folder, ['wa', '--url', 'http://127.0.0.1:29318'])).exitCode).toBe(0)
    writeFileSync(folder.file('data/bridges/wa/process.json'), '{}')
    expect((await meshgate(folder, ['bridge', 'remove', 'wa'])).exitCode).toBe(0)
    expect(readdirSync(folder.file('data/bridges'))).toEqual([])
  })

  test('removing leaves what isn’t ours', async () => {
    using folder = tempDir()
    expect((await add(folder, ['wa', '--dir', 'mine', '--url', 'http://127.0.0.1:29318'])).exitCode).toBe(0)
    writeFileSync(folder.file('mine/notes.txt'), '')
    const { out } = await meshgate(folder, ['bridge', 'remove', 'wa'])
    expect(out).toEqual(['took the wa bridge away'])
    expect(readdirSync(folder.file('mine'))).toEqual(['notes.txt'])
  })
})

describe('registration', () => {
  const EXTERNAL = { ...SETTINGS, MATRIX_SERVER_NAME: 'example.org', PUBLIC_URL: 'https://gw.example.org' }

  test('of the settings', async () => {
    using folder = tempDir()
    const settings = { ...EXTERNAL, MATRIX_AS_TOKEN: 'as', MATRIX_HS_TOKEN: 'hs' }
    const { exitCode, out } = await meshgate(folder, ['registration'], settings)
    expect(exitCode).toBe(0)
    expect(parse(out.join('\n'))).toEqual({
      id: 'meshgate',
      url: 'http://127.0.0.1:8081',
      as_token: 'as',
      hs_token: 'hs',
      sender_localpart: 'meshgate',
      rate_limited: false,
      namespaces: { users: [{ regex: '@mg[a-z0-9]{10}:example\\.org', exclusive: true }] },
      'de.sorunome.msc2409.push_ephemeral': true,
      receive_ephemeral: true,
    })
  })

  test('--generate makes the settings too', async () => {
    using folder = tempDir()
    const command = ['registration', '--generate', '--url', 'http://meshgate:8081/']
    const { out } = await meshgate(folder, command, EXTERNAL)
    const { url, as_token, hs_token } = parse(out.join('\n'))
    expect(url).toBe('http://meshgate:8081')
    expect(out).toContain(`# MATRIX_AS_TOKEN=${as_token}`)
    expect(out).toContain(`# MATRIX_HS_TOKEN=${hs_token}`)
    expect(as_token).not.toBe(hs_token)
  })

  test('says that an address with the clients’ port may be wrong, beside what can be the file', async () => {
    using folder = tempDir()
    const command = ['registration', '--generate', '--url', 'http://meshgate:8080']
    const { out, err } = await meshgate(folder, command, { ...EXTERNAL, PORT: '8080' } as typeof SETTINGS)
    expect(parse(out.join('\n'))).toMatchObject({ url: 'http://meshgate:8080' })
    expect(err).toEqual([expect.stringContaining('leads to BRIDGE_PORT (8081)')])
  })

  test.each<[string[], Record<string, string>, string]>([
    [[], {}, 'MATRIX_AS_TOKEN: is missing; --generate makes tokens'],
    [['--generate', '--url', 'here'], {}, '--url: "here": expected'],
    [['--generate'], { MATRIX_HOMESERVER_URL: 'http://synapse:8008' }, '--url: expected how the homeserver'],
    [['--generate'], { BRIDGE_PORT: '0' }, '--url: expected how the homeserver reaches BRIDGE_PORT'],
  ])('%p with %p is refused', async (args, further, message) => {
    using folder = tempDir()
    const { exitCode, err } = await meshgate(folder, ['registration', ...args], { ...EXTERNAL, ...further })
    expect(exitCode).toBe(1)
    expect(err[0]).toContain(message)
  })
})

describe('doctor', () => {
  test('before the first start: what there is to say, and nothing is made', async () => {
    using folder = tempDir()
    const { exitCode, out } = await meshgate(folder, ['doctor'])
    expect(exitCode).toBe(0)
    expect(out[0]).toBe(`ok       settings             development, ${folder.file('data')}`)
    expect(out.at(-1)).toBe('well enough: 1 warning')
    expect(existsSync(folder.file('data'))).toBe(false)
  })

  test('as JSON, with a failure', async () => {
    using folder = tempDir()
    const { exitCode, out } = await meshgate(folder, ['doctor', '--json'], {
      ...SETTINGS,
      SECRET_KEY: 'short',
    })
    expect(exitCode).toBe(1)
    expect(JSON.parse(out.join('\n'))).toEqual([
      {
        subject: 'settings',
        state: 'failure',
        detail: 'SECRET_KEY: expected at least 16 characters',
        advice: expect.stringContaining('.env'),
      },
    ])
  })

  test('a misspelt setting in .env stops the doctor’s look at it, and a start', async () => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), 'APP_MOD=production\n')
    const { exitCode, out } = await meshgate(folder, ['doctor'])
    expect([exitCode, out[0]]).toEqual([
      1,
      expect.stringMatching(
        /^FAILURE +settings +APP_MOD: there is no such setting in \.env; did you mean APP_MODE\?/,
      ),
    ])
    const serve = await meshgate(folder, ['serve'])
    expect([serve.exitCode, serve.err]).toEqual([1, [expect.stringContaining('did you mean APP_MODE?')]])
    expect(existsSync(folder.file('data'))).toBe(false)
  })

  test('another SECRET_KEY than the bridges were attached under', async () => {
    using folder = tempDir()
    await meshgate(folder, ['bridge', 'add', 'wa', '--url', 'http://127.0.0.1:29318'], {
      ...SETTINGS,
      PORT: '8080',
    } as typeof SETTINGS)
    const other = { ...SETTINGS, SECRET_KEY: 'another sixteen characters' }
    const { exitCode, out } = await meshgate(folder, ['doctor'], other)
    expect(exitCode).toBe(1)
    expect(out.find(line => line.startsWith('FAILURE'))).toContain(
      "SECRET_KEY           doesn't open what is in the database",
    )
  })
})
