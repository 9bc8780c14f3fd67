/** A bridge's registration is the one its own `-g` would write, but for the random parts. */
import { expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { parse } from 'yaml'
import { type BridgeSettings, bridgeConfigFile } from '../../../src/bridges/setup/config-file.ts'
import { exampleFromProgram } from '../../../src/bridges/setup/program.ts'
import { bridgeNamespaces, registrationYaml } from '../../../src/bridges/setup/registration.ts'
import { testBridge, whatsappBridges } from '../../support/bridge-program.ts'
import { tempDir } from '../../support/temp-dir.ts'

test.each([
  ['whatsapp_{{.}}', '^@whatsapp_.*:gw\\.example\\.org$'],
  ['telegram_{userid}', '^@telegram_.*:gw\\.example\\.org$'],
  ['a.b_{{ . }}_c', '^@a\\.b_.*_c:gw\\.example\\.org$'],
])('ghosts by the template %p', (template, regex) => {
  expect(bridgeNamespaces('gw.example.org', 'x.bot', template)).toEqual({
    users: [
      { regex: '^@x\\.bot:gw\\.example\\.org$', exclusive: true },
      { regex, exclusive: true },
    ],
  })
})

test('aliases, in bridges that have some', () => {
  const { aliases } = bridgeNamespaces('example.org', 'bot', 'x_{userid}', 'x_{groupname}')
  expect(aliases).toEqual([{ regex: '^#x_.*:example\\.org$', exclusive: true }])
})

const PROGRAMS = [whatsappBridges.oldest, whatsappBridges.current, testBridge]

const SETTINGS: BridgeSettings = {
  serverName: 'gw.example.org',
  homeserver: { address: 'http://127.0.0.1:8080', statusEndpoint: null },
  address: 'http://127.0.0.1:29318',
  listen: { hostname: '127.0.0.1', port: 29318 },
  asToken: 'as_secret',
  hsToken: 'hs_secret',
  puppetToken: 'as_puppets',
  database: { kind: 'sqlite', path: '/nowhere/bridge.db' },
  secret: 'a provisioning secret',
  names: { id: 'other', botLocalpart: 'otherbot', usernameTemplate: 'other_{{.}}', force: false },
  preset: {},
  history: {},
  extra: {},
}

test.skipIf(PROGRAMS.includes(null)).each(PROGRAMS.map(program => [program]))(
  'of %p is its own, and its configuration takes everything we set',
  async program => {
    using folder = tempDir()
    const file = bridgeConfigFile(
      { text: await exampleFromProgram([program ?? ''], {}), isInUse: false },
      SETTINGS,
    )
    writeFileSync(folder.file('config.yaml'), file.text)
    const args = ['-g', '-c', folder.file('config.yaml'), '-r', folder.file('registration.yaml')]
    const { success, stderr } = Bun.spawnSync([program ?? '', ...args])
    expect(success ? '' : stderr.toString()).toBe('')

    const theirs = parse(readFileSync(folder.file('registration.yaml'), 'utf8'))
    const { as_token: asToken, hs_token: hsToken, sender_localpart: senderLocalpart } = theirs
    const { id, botLocalpart, usernameTemplate } = file
    const namespaces = bridgeNamespaces('gw.example.org', botLocalpart, usernameTemplate)
    const ours = { id, url: SETTINGS.address, asToken, hsToken, senderLocalpart, namespaces }
    expect(parse(registrationYaml(ours))).toEqual(theirs)

    // The bridge has rewritten the file from its example and our values.
    const understood = parse(readFileSync(folder.file('config.yaml'), 'utf8'))
    const set = parse(file.text)
    set.appservice.as_token = asToken
    set.appservice.hs_token = hsToken
    for (const section of [
      'homeserver',
      'appservice',
      'database',
      'matrix',
      'double_puppet',
      'logging',
      'bridge',
    ])
      expect(understood[section]).toEqual(set[section])
    expect(understood.provisioning.shared_secret).toBe('a provisioning secret')
  },
)

test.skipIf(!whatsappBridges.current)(
  'our settings alone are enough: the bridge completes them from its example',
  async () => {
    using folder = tempDir()
    const names = {
      id: 'whatsapp',
      botLocalpart: 'whatsappbot',
      usernameTemplate: 'whatsapp_{{.}}',
      force: false,
    }
    const { text } = bridgeConfigFile(null, { ...SETTINGS, names })
    writeFileSync(folder.file('config.yaml'), text)
    const args = ['-g', '-c', folder.file('config.yaml'), '-r', folder.file('registration.yaml')]
    expect(Bun.spawnSync([whatsappBridges.current ?? '', ...args]).success).toBe(true)
    const completed = parse(readFileSync(folder.file('config.yaml'), 'utf8'))
    expect(completed).toMatchObject({
      network: { os_name: 'Mautrix-WhatsApp bridge' },
      homeserver: { address: 'http://127.0.0.1:8080', domain: 'gw.example.org' },
      appservice: { id: 'whatsapp', port: 29318, bot: { username: 'whatsappbot' } },
      bridge: { permissions: { 'gw.example.org': 'user' }, split_portals: true },
      matrix: { message_status_events: true },
      database: { type: 'sqlite3-fk-wal' },
      provisioning: { shared_secret: 'a provisioning secret' },
    })
  },
)
