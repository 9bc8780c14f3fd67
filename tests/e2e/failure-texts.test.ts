/** The table of failures in docs/deploy.md: each text is what a person sees when it fails so. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommandLine } from '../../src/cli/run.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { MESHGATE } from '../support/meshgate-program.ts'
import { freePort } from '../support/program.ts'
import { forThisMachine, type Release, ReleaseServer, type Trouble } from '../support/release-server.ts'
import { asks, displays, ScriptedBridge } from '../support/scripted-bridge.ts'
import { tempDir } from '../support/temp-dir.ts'

setDefaultTimeout(60_000)

const ROOT = join(import.meta.dir, '..', '..')
const GUIDE = readFileSync(join(ROOT, 'docs', 'deploy.md'), 'utf8')
const [, TABLE = ''] = /## What you may see instead\n(.*?)\n## /s.exec(GUIDE) ?? []
/** The first column, without the backticks. */
const SEEN = [...TABLE.matchAll(/^\| `([^`]+)` /gm)].map(([, text = '']) => text)

const FAKE = join(ROOT, 'tests', 'support', 'fake-bridge.ts')
const program = (before = '') =>
  Buffer.from(
    `#!/bin/sh\ncase "$*" in *"-e "*) ;; *) ${before || ':'} ;; esac\nexec ${process.execPath} ${FAKE} "$@"\n`,
  )
const release = (tag: string, bytes: Uint8Array, name = 'signal'): Release => ({
  repository: `mautrix/${name}`,
  tag,
  files: forThisMachine(`mautrix-${name}`, bytes),
})

const folder = tempDir()
const settings = { PORT: String(freePort()), BRIDGE_PORT: String(freePort()) }
const bridge = new ScriptedBridge()
let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await spawnGateway({ env: settings })
  const running = ['--command', `${process.execPath} ${FAKE}`, '--url', `http://127.0.0.1:${freePort()}`]
  await meshgate('bridge', 'add', 'wa', ...running)
  await meshgate('bridge', 'add', 'scripted', '--url', bridge.url)
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  bridge[Symbol.dispose]()
  folder[Symbol.dispose]()
})

async function meshgate(...args: string[]): Promise<string> {
  const lines: string[] = []
  await runCommandLine(args, {
    directory: gateway.directory,
    environment: { ...settings, PATH: process.env.PATH },
    print: line => lines.push(line),
    complain: line => lines.push(line),
  })
  return lines.join('\n')
}

/** A second gateway, which can't start. */
function second(directory: string, env: Record<string, string>): string {
  mkdirSync(directory, { recursive: true })
  const { stderr } = Bun.spawnSync([...MESHGATE, 'serve'], {
    cwd: directory,
    env: { PATH: '/usr/bin:/bin', HOME: directory, ...env },
    timeout: 20_000,
  })
  return stderr.toString()
}

/** `bridge add signal` from a release page. */
async function adding(releases: Release[], trouble: Trouble = {}, ...more: string[]): Promise<string> {
  await using page = new ReleaseServer(releases)
  page.trouble = trouble
  return await meshgate('bridge', 'add', 'signal', '--from', page.url, ...more)
}

const signal = () => [release('v0.2608.0', program())]
const network = { status: 500, errcode: 'M_UNKNOWN' }
const linking = (...args: string[]) => meshgate('link', 'scripted', ...args)
const phoneFirst = () => {
  bridge.startRefusal = null
  bridge.first = asks('phone', { id: 'phone', type: 'phone_number', name: 'Phone' })
}

/** Makes each failure, and returns what is printed. */
const PROVOKED: Record<string, () => Promise<string> | string> = {
  'CLIENT_ID: is missing and … has no .env': () => {
    const { stderr } = Bun.spawnSync([...MESHGATE, 'link', 'wa'], { cwd: folder.path, env: {} })
    return stderr.toString()
  },
  'PORT: … is in use': () => second(folder.file('other'), { ...settings, BRIDGE_PORT: '0' }),
  'DATA_DIR: … is in use by another meshgate': () =>
    second(gateway.directory, { PORT: '0', BRIDGE_PORT: '0' }),
  "… can't be reached: …; on a machine without internet": () =>
    meshgate('bridge', 'add', 'signal', '--from', 'http://127.0.0.1:1'),
  'the release page takes no more requests': () =>
    adding(signal(), {
      api: () =>
        Response.json(
          { message: 'API rate limit exceeded' },
          { status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1800000000' } },
        ),
    }),
  '… has no release …': () => adding(signal(), {}, '--version', 'v9.9.9'),
  '… is not released for … on …': () =>
    adding([{ ...release('v0.2608.0', program()), files: { 'mautrix-signal-riscv': program() } }]),
  'the download broke off': () => adding(signal(), { storage: () => new Response('#!') }),
  'its SHA-256 is …, expected …: nothing was kept': () =>
    adding(signal(), { digest: () => `sha256:${'0'.repeat(64)}` }),
  'a released file never changes, so nothing was kept': async () => {
    await adding([release('v0.2608.0', Buffer.from('hello'))])
    return await adding([release('v0.2608.0', program())])
  },
  'gave no example configuration': () => {
    const file = folder.file('no-program')
    writeFileSync(file, 'hello')
    return meshgate('bridge', 'add', 'signal', '--from', file)
  },
  'expected the address of the bridge': () => meshgate('bridge', 'add', 'unheard'),
  '… has a bridge already': () => meshgate('bridge', 'add', 'wa'),
  "doesn't answer at …; not running": async () => {
    const example = join(ROOT, 'tests/unit/bridges/fixtures/bridgev2.yaml.txt')
    const url = `http://127.0.0.1:${freePort()}`
    const ends = ['--command', '/bin/false', '--example', example, '--url', url]
    await meshgate(
      'bridge',
      'add',
      'slack',
      ...ends,
      '--set',
      'appservice.id=slack',
      '--set',
      'appservice.bot.username=slackbot',
      '--set',
      'appservice.username_template=slack_{{.}}',
    )
    return await meshgate('bridge', 'check', 'slack')
  },
  "… didn't become ready: …; the bridge runs … again": async () => {
    await using page = new ReleaseServer([release('v0.2607.0', program('exit 3'), 'whatsapp')])
    return await meshgate('bridge', 'update', 'wa', '--from', page.url)
  },
  'platform: … is unknown': () => meshgate('link', 'nothing'),
  "the gateway at … doesn't answer": () => linking('--url', 'http://127.0.0.1:1', '--token', 'mt_x'),
  "can't start a login, most likely as it can't reach its network": () => {
    bridge.startRefusal = { ...network, error: 'Internal error starting login' }
    return linking()
  },
  "doesn't say whether the input is wrong or its network is": () => {
    phoneFirst()
    bridge.outcomes.set('phone', () => ({ ...network, error: 'Internal error in login step' }))
    return linking('--input', 'phone=+237612345678')
  },
  'not linked: … timed out': () => {
    bridge.startRefusal = null
    bridge.first = displays('qr', 'qr', '2@abc')
    bridge.outcomes.set('qr', () => ({ ...network, error: 'Entering code or scanning QR timed out' }))
    return linking()
  },
  'the login asks for something, and there is no terminal': () => {
    phoneFirst()
    return linking()
  },
}

test('each failure of the table is made here', () => {
  expect(SEEN.length).toBeGreaterThan(15)
  expect(Object.keys(PROVOKED)).toEqual(SEEN)
})

test.each(SEEN)('%s', async seen => {
  const printed = (await PROVOKED[seen]?.()) ?? ''
  const pattern = seen.split('…').map(RegExp.escape).join('.+')
  expect(printed).toMatch(new RegExp(pattern))
})
