/**
 * The way from one file to the first message, as a person goes it at two terminals: an empty
 * folder, an empty home, the test bridge behind a release page, and its network's phones.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import QRCode from 'qrcode'
import type { MessagePayload } from '../../src/domain/events.ts'
import { testBridge } from '../support/bridge-program.ts'
import { Account } from '../support/gateway-client.ts'
import { MESHGATE } from '../support/meshgate-program.ts'
import { PersonAtTerminal } from '../support/person-at-terminal.ts'
import { freePort } from '../support/program.ts'
import { forThisMachine, ReleaseServer } from '../support/release-server.ts'
import { installScript } from '../support/shell-session.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Testnet } from '../support/testnet.ts'
import type { TestnetPhone } from '../support/testnet-phone.ts'
import { examplesOf } from '../support/usage-guide.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

const ROOT = join(import.meta.dir, '..', '..')
/** The link and the first message as docs/deploy.md shows them. */
const [, PRINTED = ''] = examplesOf(readFileSync(join(ROOT, 'docs', 'deploy.md'), 'utf8'))
  .filter(({ language }) => language === 'console')
  .map(({ code }) => code)

const commandsOf = (transcript: string) =>
  [...transcript.matchAll(/^\$ (.+)$/gm)].map(([, line = '']) => line)

/** Without what differs from run to run, and the network's name. */
function normalised(text: string): string {
  return text
    .replaceAll(/\/link\/\S+/g, '/link/…')
    .replaceAll(/\bmt_\S+/g, 'mt_…')
    .replaceAll(/\bmsg_\w+/g, 'msg_…')
    .replaceAll('Testnet', 'WhatsApp')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
    .join('\n')
}

describe.skipIf(!testBridge)('from one file to the first message', () => {
  const machine = tempDir()
  const folder = machine.file('meshgate')
  const ports = { gateway: freePort(), bridges: freePort(), bridge: freePort(), network: freePort() }
  const settings = { PORT: String(ports.gateway), BRIDGE_PORT: String(ports.bridges), SEND_INTERVAL_MS: '0' }
  const testnet = new Testnet(`http://127.0.0.1:${ports.network}`)
  const url = `http://127.0.0.1:${ports.gateway}`
  let releases: ReleaseServer
  let gateway: PersonAtTerminal

  /** The environment of a machine on which nobody has done anything yet. */
  const machineOf = () => ({
    cwd: folder,
    env: { PATH: `${machine.file('bin')}:/usr/bin:/bin`, HOME: machine.file('home'), ...settings },
  })
  const person = (...command: string[]) => new PersonAtTerminal(command, machineOf())

  beforeAll(() => {
    for (const name of ['meshgate', 'home']) mkdirSync(machine.file(name))
    installScript(machine.file('bin'), 'meshgate', MESHGATE)
    const program = `#!/bin/sh\nexport TESTBRIDGE_CONTROL=127.0.0.1:${ports.network}\nexec '${testBridge}' "$@"\n`
    const files = forThisMachine('mautrix-whatsapp', Buffer.from(program))
    releases = new ReleaseServer([{ repository: 'mautrix/whatsapp', tag: 'v0.2607.0', files }])
    gateway = person('meshgate')
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await releases[Symbol.asyncDispose]()
    machine[Symbol.dispose]()
  })

  /** An account by the token that the command printed. */
  const accountOf = ({ shown }: PersonAtTerminal) => {
    const { CLIENT_ID = '', CLIENT_SECRET = '' } = parseEnv(readFileSync(join(folder, '.env'), 'utf8'))
    const [, token = ''] = /^token (mt_\S+)$/m.exec(shown) ?? []
    return new Account({ url, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }, token)
  }

  test('the first run says where everything is, and offers a phone', async () => {
    await gateway.reads(/is ready at http:\S+/)
    await gateway.reads(/credentials {2}CLIENT_ID and CLIENT_SECRET in \S+\.env \(written now\)/)
    await gateway.reads(/Link a phone now\?/)
    gateway.types('')
  })

  test('bridge add fetches the program, and the gateway runs it', async () => {
    const address = `http://127.0.0.1:${ports.bridge}`
    await using adding = person('meshgate', 'bridge', 'add', 'wa', '--from', releases.url, '--url', address)
    expect([await adding.ends(), adding.shown]).toEqual([
      0,
      expect.stringContaining('attached the wa bridge'),
    ])
    expect(adding.shown).toContain('Link a phone: meshgate link wa')
    // At once: it waits for the bridge, and shows no simulated phone's code.
    await using linking = person('meshgate', 'link', 'wa')
    await linking.reads(/Scan the QR code/)
    expect(linking.shown).not.toContain('/sandbox/link/')
    linking.interrupts()
    expect(await linking.ends()).toBe(1)
    await waitFor(() => testnet.newPhone().catch(() => null), { what: 'the bridge', deadlineMs: 30_000 })
    await using checking = person('meshgate', 'bridge', 'check', 'wa')
    expect([await checking.ends(), checking.shown]).toEqual([0, expect.stringContaining('login by')])
    // Bun itself, which runs the sources, keeps a cache there.
    expect(readdirSync(machine.file('home')).filter(name => name !== '.bun')).toEqual([])
  })

  test('while the network is out of reach, link says so, and what it may be', async () => {
    await testnet.change({ down: true })
    await using linking = person('meshgate', 'link', 'wa')
    expect(await linking.ends()).toBe(1)
    expect(linking.shown).toContain(
      "the wa bridge can't start a login, most likely as it can't reach its network",
    )
    await testnet.change({ down: false })
  })

  test('link draws the code, then a token sends, as docs/deploy.md shows; what comes in reaches a webhook', async () => {
    const phone = await testnet.newPhone({ name: 'Ada' })
    const friend = await testnet.newPhone()
    const [link = '', send = ''] = commandsOf(PRINTED)
    await using linking = person(...link.split(' '))
    await linking.reads(/Or open this in a browser here \(.*\): http:\S+/)
    const code = await waitFor(async () => (await testnet.pairings()).at(-1)?.code, { what: 'the login' })
    const drawn = Bun.stripANSI(
      await QRCode.toString(code, { type: 'terminal', small: true, errorCorrectionLevel: 'L' }),
    ).trim()
    await waitFor(() => linking.shown.includes(drawn), { what: 'the code in the terminal' })
    await phone.confirm(code)
    expect(await linking.ends()).toBe(0)
    const account = accountOf(linking)
    const { stdout, exitCode } = Bun.spawnSync(['bash', '-c', here(send, phone, friend)], {
      env: { PATH: process.env.PATH ?? '', TOKEN: account.token },
    })
    expect(exitCode).toBe(0)
    await friend.waitForText('Hello')
    const told = `$ ${link}\n${linking.shown.replace(drawn, '')}$ ${send}\n${stdout}`
    expect(normalised(here(told, phone, friend))).toBe(normalised(here(PRINTED, phone, friend)))
    await using receiver = webhookReceiver()
    await account.addWebhook(receiver.url)
    await friend.send({ to: phone.id, text: 'and back' })
    const [received] = await receiver.waitForCount(1)
    expect(received?.json as MessagePayload).toMatchObject({ message: 'and back', device_id: phone.number })
  })

  /** With this machine's port and phones in place of the printed ones. */
  const here = (text: string, phone: TestnetPhone, friend: TestnetPhone) =>
    text
      .replaceAll(':8080', `:${ports.gateway}`)
      .replaceAll('237123456789', phone.number)
      .replaceAll('237612345678', friend.number)

  test('a pairing code: link asks for the number, and for a passkey where the account has one', async () => {
    const phone = await testnet.newPhone({ passkey: true })
    await using linking = person('meshgate', 'link', 'wa', '--flow', 'code')
    await linking.reads(/Phone number/i)
    linking.types(phone.number)
    const [, code = ''] = await linking.reads(/^ {2}(\S+)\n\n/m)
    await phone.confirm(code)
    const [, question = ''] = await linking.reads(/parseRequestOptionsFromJSON\((\{.*\})\) \}\)\)\)/)
    await linking.reads(/Passkey/)
    linking.types('no JSON')
    // It is asked for again.
    await linking.reads(
      /credential: expected the JSON that navigator\.credentials\.get\(\) gave\n.*\n.*Passkey/,
    )
    linking.types(JSON.stringify(await phone.passkey(JSON.parse(question))))
    expect([await linking.ends(), linking.shown]).toEqual([
      0,
      expect.stringContaining(`linked wa ${phone.number}`),
    ])
  })

  test('cookies of a web login are pasted at once, as the browser copied them', async () => {
    const phone = await testnet.newPhone()
    await using linking = person('meshgate', 'link', 'wa', '--flow', 'cookies')
    await linking.reads(/then Copy as cURL \(bash\)/)
    await linking.reads(/Cookies \(.*, then Enter twice/)
    const { session, csrf } = phone.cookies
    linking.types(
      `curl 'https://testnet.example/' \\\r  -b 'testnet_session=${session}; testnet_csrf=${csrf}'\r`,
    )
    expect([await linking.ends(), linking.shown.slice(-300)]).toEqual([
      0,
      expect.stringContaining(`linked wa ${phone.number}`),
    ])
  })

  test('a window that is too low for the code says so', async () => {
    await using linking = new PersonAtTerminal(['meshgate', 'link', 'wa'], { ...machineOf(), rows: 10 })
    await linking.reads(/This window is too low for the code, which has \d+ lines/)
    linking.interrupts()
    expect(await linking.ends()).toBe(1)
  })

  test('Ctrl-C at a question gives up, and leaves no token', async () => {
    await using linking = person('meshgate', 'link', 'wa', '--flow', 'choose')
    await linking.reads(/Method/)
    await linking.reads(/the page at the address above shows it/)
    linking.interrupts()
    expect(await linking.ends()).toBe(1)
    expect(linking.shown).toContain('not linked: the link was cancelled')
    expect(linking.shown).not.toContain('mt_')
  })
})
