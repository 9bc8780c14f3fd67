/** The Makefile in a new clone: its list, the guide's commands, and where it gets Bun. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

const ROOT = join(import.meta.dir, '..', '..')
/** Files of a clone that these tasks need. */
const CLONED = [
  'Makefile',
  '.bun-version',
  'package.json',
  'bun.lock',
  'bunfig.toml',
  'tsconfig.json',
  'scripts',
  'src',
  'migrations',
]
const MAKE = 'make --no-print-directory'

function clone(): TempDir {
  const folder = tempDir()
  for (const name of CLONED) cpSync(join(ROOT, name), folder.file(name), { recursive: true })
  return folder
}

/** Links to our dependencies, marked as installed, so that nothing is fetched. */
function linkDependencies(folder: TempDir): void {
  mkdirSync(folder.file('node_modules'))
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name !== '.installed')
      symlinkSync(join(ROOT, 'node_modules', name), folder.file(`node_modules/${name}`))
  }
  writeFileSync(folder.file('node_modules/.installed'), '')
}

/** Puts a shell script into a folder of the PATH. */
function program(folder: TempDir, name: string, script: string): void {
  const file = folder.file(join('bin', name))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

function environment(folder: TempDir, path = `${folder.file('bin')}:/usr/bin:/bin`) {
  return { PATH: path, HOME: folder.path, PORT: '0', LOG_LEVEL: 'warn' }
}

function sh(folder: TempDir, command: string, path?: string) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['/bin/sh', '-c', command], {
    cwd: folder.path,
    env: environment(folder, path),
    stdin: 'ignore',
  })
  return { exitCode, out: stdout.toString(), err: stderr.toString() }
}

test('make alone lists every task with what it does', () => {
  const makefile = readFileSync(join(ROOT, 'Makefile'), 'utf8')
  const phony = /^\.PHONY: (.*)$/m.exec(makefile)?.[1]?.split(' ') ?? []
  const { exitCode, stdout } = Bun.spawnSync(['make', '--no-print-directory'], { cwd: ROOT })
  expect(exitCode).toBe(0)
  const listed = stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map(line => /^ {2}make ([a-z0-9-]+) +\S.*$/.exec(line)?.[1] ?? line)
  // These two only prepare other tasks.
  expect(listed.toSorted()).toEqual(phony.filter(name => !['bun', 'deps'].includes(name)).toSorted())
})

describe('the usage guide’s prerequisites', () => {
  let folder: TempDir

  beforeAll(() => {
    folder = clone()
    linkDependencies(folder)
    mkdirSync(folder.file('bin'))
    symlinkSync(process.execPath, folder.file('bin/bun'))
  })

  afterAll(() => folder[Symbol.dispose]())

  test('set up, and again without touching .env', () => {
    const { exitCode, out } = sh(folder, `${MAKE} setup && ${MAKE} migrate-up`)
    expect([exitCode, out]).toEqual([0, expect.stringContaining('applied migration 1')])
    const before = readFileSync(folder.file('.env'), 'utf8')
    expect(statSync(folder.file('.env')).mode & 0o777).toBe(0o600)
    expect(sh(folder, `${MAKE} setup`).out).toContain('kept ')
    expect(readFileSync(folder.file('.env'), 'utf8')).toBe(before)
  })

  test('get the credentials from .env as printed', () => {
    const { out } = sh(
      folder,
      `CLIENT_ID=$(grep '^CLIENT_ID=' .env | cut -d'=' -f2)
      CLIENT_SECRET=$(grep '^CLIENT_SECRET=' .env | cut -d'=' -f2)
      echo "$CLIENT_ID:$CLIENT_SECRET"`,
    )
    expect(out).toMatch(/^admin-[\w-]{8}:[\w-]{43}\n$/)
  })

  test('run the gateway in the foreground, until it is interrupted', async () => {
    const child = Bun.spawn([...MAKE.split(' '), 'run'], {
      cwd: folder.path,
      env: environment(folder),
      stdio: ['ignore', 'pipe', 'inherit'],
      // A process group of its own gets the interrupt as from a terminal.
      detached: true,
    })
    let said = ''
    const reading = (async () => {
      for await (const chunk of child.stdout) said += new TextDecoder().decode(chunk)
    })()
    const url = await waitFor(() => /is ready at (\S+)/.exec(said)?.[1], {
      what: 'a gateway that is ready',
      deadlineMs: 30_000,
    })
    expect((await fetch(`${url}/health`)).status).toBe(200)
    process.kill(-child.pid, 'SIGINT')
    await child.exited
    await reading
    expect(
      await fetch(`${url}/health`).then(
        response => response.status,
        () => 'gone',
      ),
    ).toBe('gone')
  })
})

describe('Bun', () => {
  const wanted = readFileSync(join(ROOT, '.bun-version'), 'utf8').trim()
  /** npm puts a platform's binary here. */
  const fromNpm = `mkdir -p .tools/node_modules/@oven/bun-any/bin
    cd .tools/node_modules/@oven/bun-any/bin
    printf '#!/bin/sh\\necho ${wanted}\\n' > bun
    chmod +x bun`
  const install = 'sh scripts/install-bun.sh'

  /** A PATH without this machine's Bun and npm: the script's tools, and `bin`. */
  function bare(folder: TempDir): string {
    const tools = folder.file('tools')
    mkdirSync(tools)
    for (const name of ['sh', 'cat', 'dirname', 'grep', 'sort', 'head', 'mkdir', 'ln', 'uname', 'chmod']) {
      symlinkSync(Bun.which(name, { PATH: '/usr/bin:/bin' }) ?? '', join(tools, name))
    }
    return `${folder.file('bin')}:${tools}`
  }

  test.each([wanted, '1.99.0', '2.0.0'])('%s on the PATH is used', version => {
    using folder = clone()
    program(folder, 'bun', `echo ${version}`)
    program(folder, 'npm', 'exit 1')
    expect(sh(folder, install, bare(folder)).exitCode).toBe(0)
    expect(readlinkSync(folder.file('.tools/bun'))).toBe(folder.file('bin/bun'))
  })

  test.each([
    ['one that is too old', 'echo 1.2.9'],
    ['the stub of its npm package', 'echo "postinstall did not run"; exit 1'],
  ])('%s is not used, but fetched by npm, once', (_, script) => {
    using folder = clone()
    const path = bare(folder)
    program(folder, 'bun', script)
    program(folder, 'npm', fromNpm)
    expect(sh(folder, install, path).exitCode).toBe(0)
    expect(readlinkSync(folder.file('.tools/bun'))).toBe('node_modules/@oven/bun-any/bin/bun')
    program(folder, 'npm', 'echo npm was asked again; exit 1')
    expect(sh(folder, install, path)).toEqual({ exitCode: 0, out: '', err: '' })
  })

  test('npm keeps the settings of the machine, with its registry and CA', () => {
    using folder = clone()
    const path = bare(folder)
    const asked = 'if [ "$1" = config ]; then echo /machine/npmrc; exit 0; fi'
    program(folder, 'npm', `${asked}\necho "$npm_config_globalconfig" > told\n${fromNpm}`)
    expect(sh(folder, install, path).exitCode).toBe(0)
    expect(readFileSync(folder.file('told'), 'utf8')).toBe('/machine/npmrc\n')
  })

  test('installs the dependencies with the settings that npm has for the machine', () => {
    using folder = clone()
    const registry = 'http://registry.example/'
    writeFileSync(folder.file('machine'), `registry=${registry}\n`)
    const settings = `cafile) echo /ca.pem;; registry) echo ${registry};; globalconfig) echo machine;; *) echo null;;`
    program(folder, 'npm', `case "$3" in ${settings} esac`)
    const told = 'echo "$* $NODE_EXTRA_CA_CERTS $BUN_CONFIG_REGISTRY $HTTPS_PROXY"'
    program(folder, '../.tools/bun', told)
    const command = 'sh scripts/install-deps.sh'
    const args = 'install --frozen-lockfile'
    const all = `${args} /ca.pem ${registry} \n`
    expect(sh(folder, command)).toEqual({ exitCode: 0, out: all, err: '' })
    writeFileSync(folder.file('machine'), 'cafile=/ca.pem\n')
    expect(sh(folder, command).out).toBe(`${args} /ca.pem  \n`)
    writeFileSync(folder.file('machine'), `registry=${registry}\n`)
    const own = `NODE_EXTRA_CA_CERTS=own.pem BUN_CONFIG_REGISTRY=own https_proxy=proxy ${command}`
    expect(sh(folder, own).out).toBe(`${args} own.pem own proxy\n`)
    writeFileSync(folder.file('.npmrc'), 'registry=http://mine.example/\n')
    expect(sh(folder, command).out).toBe(`${args} /ca.pem  \n`)
  })

  test('without it and without npm one line says what to install', () => {
    using folder = clone()
    const { exitCode, out, err } = sh(folder, install, bare(folder))
    expect([exitCode, out]).toEqual([1, ''])
    expect(err).toBe(
      `Bun ${wanted} or newer, or Node.js with npm (which fetches Bun), is needed: install one of them and try again.\n`,
    )
  })

  test('a platform that npm has no Bun for is told', () => {
    using folder = clone()
    program(folder, 'npm', 'exit 0')
    const { exitCode, err } = sh(folder, install, bare(folder))
    expect(exitCode).toBe(1)
    expect(err).toContain('install Bun yourself')
  })
})
