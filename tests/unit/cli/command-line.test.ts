/** The command line: what each command answers, its exit code, and that an expected failure is one line without a stack. */

import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
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
    for (const name of ['serve', 'setup', 'migrate', 'credentials', 'healthcheck']) {
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
    ['no settings', {}, 'meshgate: CLIENT_ID: is missing; `meshgate setup` writes a .env with one'],
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
    // As in a container: it listens everywhere, and is asked on the loopback.
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
