/** A bridge's configuration from its example: changed and kept lines, in each of three layouts. */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { type BridgeSettings, bridgeConfigFile } from '../../../src/bridges/setup/config-file.ts'
import { encryptionIn } from '../../../src/bridges/setup/encryption.ts'
import { portIn } from '../../../src/bridges/setup/example.ts'
import { historySettings } from '../../../src/bridges/setup/history.ts'
import { knownNetwork } from '../../../src/bridges/setup/networks.ts'
import { GatewayError } from '../../../src/domain/errors.ts'

const textOf = (name: string) => readFileSync(join(import.meta.dir, 'fixtures', `${name}.yaml.txt`), 'utf8')
const example = (name: string) => ({ text: textOf(name), isInUse: false })

const SETTINGS: BridgeSettings = {
  serverName: 'gateway.example.org',
  homeserver: {
    address: 'http://127.0.0.1:8080',
    statusEndpoint: 'http://127.0.0.1:8080/_meshgate/bridge-status/net',
  },
  address: 'http://127.0.0.1:29318',
  listen: { hostname: '127.0.0.1', port: 29318 },
  asToken: 'as_secret',
  hsToken: 'hs_secret',
  puppetToken: 'as_puppets',
  database: { kind: 'sqlite', path: '/data/bridges/net/bridge.db' },
  secret: 'a provisioning secret',
  names: { id: 'other', botLocalpart: 'otherbot', usernameTemplate: 'other_{{.}}', force: false },
  preset: {},
  history: {},
  extra: {},
}

describe('bridgev2', () => {
  const file = bridgeConfigFile(example('bridgev2'), SETTINGS)

  test('everything that attaching needs is set', () => {
    expect(parse(file.text)).toEqual({
      network: { os_name: 'A bridge', proxy: null },
      bridge: {
        // A random prefix, so that no message is taken for a command.
        command_prefix: expect.stringMatching(/^![0-9a-f]{16}$/),
        personal_filtering_spaces: false,
        bridge_matrix_leave: true,
        deduplicate_matrix_messages: true,
        split_portals: true,
        bridge_status_notices: 'none',
        only_bridge_tags: ['m.favourite', 'm.lowpriority'],
        cleanup_on_logout: { enabled: false },
        permissions: { 'gateway.example.org': 'user' },
      },
      double_puppet: {
        servers: { 'anotherserver.example.org': 'https://matrix.anotherserver.example.org' },
        allow_discovery: false,
        secrets: { 'gateway.example.org': 'as_token:as_puppets' },
      },
      database: {
        type: 'sqlite3-fk-wal',
        uri: 'file:/data/bridges/net/bridge.db?_txlock=immediate',
        max_open_conns: 5,
      },
      homeserver: {
        address: 'http://127.0.0.1:8080',
        domain: 'gateway.example.org',
        software: 'standard',
        status_endpoint: 'http://127.0.0.1:8080/_meshgate/bridge-status/net',
        message_send_checkpoint_endpoint: 'http://127.0.0.1:8080/_meshgate/bridge-status/net',
        async_media: false,
      },
      appservice: {
        address: 'http://127.0.0.1:29318',
        hostname: '127.0.0.1',
        port: 29318,
        id: 'net',
        bot: { username: 'netbot', displayname: 'Net bridge bot' },
        ephemeral_events: true,
        as_token: 'as_secret',
        hs_token: 'hs_secret',
        username_template: 'net_{{.}}',
      },
      matrix: { message_status_events: true, delivery_receipts: false, message_error_notices: false },
      provisioning: { shared_secret: 'a provisioning secret', allow_matrix_auth: false },
      encryption: { allow: false, default: false },
      logging: { min_level: 'info', writers: [{ type: 'stdout', format: 'pretty' }] },
    })
  })

  test('the example’s names count, not ours', () => {
    expect(file).toMatchObject({
      layout: 'bridgev2',
      id: 'net',
      botLocalpart: 'netbot',
      usernameTemplate: 'net_{{.}}',
      aliasTemplate: undefined,
      hasProvisioning: true,
    })
  })

  test('every comment stays, above the key that it is about', () => {
    const comments = (text: string) => text.split('\n').filter(line => line.trimStart().startsWith('#'))
    expect(comments(file.text)).toEqual(comments(textOf('bridgev2')))
    expect(file.text).toContain('    # Where the data goes.\n    uri: file:/data')
    expect(file.text).toContain(
      '    # Where fates of messages are reported.\n    message_send_checkpoint_endpoint:',
    )
  })

  test('lines that need no change have none', () => {
    const kept = new Set(file.text.split('\n'))
    const gone = textOf('bridgev2')
      .split('\n')
      .filter(line => !kept.has(line))
    // Changed values, and the lines below permissions and logging.
    expect(gone.map(line => line.trim().split(':')[0])).toEqual([
      'command_prefix',
      'personal_filtering_spaces',
      'bridge_matrix_leave',
      'deduplicate_matrix_messages',
      'split_portals',
      'bridge_status_notices',
      '"*"',
      '"example.com"',
      '"@admin',
      'type',
      'uri',
      'address',
      'domain',
      'status_endpoint',
      'message_send_checkpoint_endpoint',
      'address',
      'port',
      'as_token',
      'hs_token',
      'message_status_events',
      'message_error_notices',
      'shared_secret',
      'allow_matrix_auth',
      'example.com',
      'min_level',
      'format',
      '- type',
      'format',
      'filename',
    ])
  })

  test('a bridge that reports nothing has no status endpoint', () => {
    const homeserver = { address: 'http://127.0.0.1:8080', statusEndpoint: null }
    const { text } = bridgeConfigFile(example('bridgev2'), { ...SETTINGS, homeserver })
    const { status_endpoint, message_send_checkpoint_endpoint } = parse(text).homeserver
    expect([status_endpoint, message_send_checkpoint_endpoint]).toEqual([null, null])
  })

  test('PostgreSQL', () => {
    const uri = 'postgres://wa:secret@db/wa'
    const { text } = bridgeConfigFile(example('bridgev2'), {
      ...SETTINGS,
      database: { kind: 'postgres', uri },
    })
    expect(parse(text).database).toEqual({ type: 'postgres', uri, max_open_conns: 5 })
  })

  test('further keys win, and are values of YAML; names among them count', () => {
    const extra = {
      'network.os_name': '12345',
      'network.proxy': '"0123"',
      'bridge.only_bridge_tags': '[1, two]',
      'bridge.permissions.@me:example.org': 'admin',
      'logging.min_level': 'debug',
      'appservice.bot.username': 'mybot',
    }
    const { text, botLocalpart } = bridgeConfigFile(example('bridgev2'), { ...SETTINGS, extra })
    expect(parse(text).network).toEqual({ os_name: 12345, proxy: '0123' })
    expect(parse(text).bridge.only_bridge_tags).toEqual([1, 'two'])
    expect(parse(text).bridge.permissions['@me:example.org']).toBe('admin')
    expect(parse(text).logging.min_level).toBe('debug')
    expect(parse(text).appservice.bot.username).toBe('mybot')
    expect(botLocalpart).toBe('mybot')
  })

  test.each([
    ['network.os_nmae', '; did you mean network.os_name?'],
    ['telegram.proxy', '; did you mean network.proxy?'],
    ['commandprefix', '; did you mean bridge.command_prefix?'],
    ['network.api_id', ''],
    ['network.os_name.deeper', ''],
    ['nothing', ''],
  ])('%s is no key of the example, and refused', (key, hint) => {
    const make = () => bridgeConfigFile(example('bridgev2'), { ...SETTINGS, extra: { [key]: '1' } })
    expect(make).toThrow(
      new GatewayError('bad_request', `--set: ${key}: the bridge has no such setting${hint}`),
    )
  })

  test.each(['foo', 'netwrk.x', 'bridge.permission'])(
    '%s is refused for a configuration in use, too, where the example is known',
    key => {
      const inUse = { text: bridgeConfigFile(null, SETTINGS).text, isInUse: true }
      const make = (example: string | null) =>
        bridgeConfigFile({ ...inUse, example }, { ...SETTINGS, extra: { [key]: '1' } })
      expect(() => make(textOf('bridgev2'))).toThrow(`--set: ${key}: the bridge has no such setting`)
      expect(parse(make(null).text)).toBeDefined()
    },
  )

  test('a name that the operator chose stays one word, whatever ours are', () => {
    const extra = { 'bridge.permissions.@me:example.org': 'admin' }
    const settings = { ...SETTINGS, serverName: 'localhost' }
    const first = bridgeConfigFile(example('bridgev2'), { ...settings, extra })
    const again = { text: first.text, isInUse: true, example: textOf('bridgev2') }
    for (const { text } of [first, bridgeConfigFile(again, { ...settings, extra })])
      expect(parse(text).bridge.permissions).toMatchObject({ '@me:example.org': 'admin' })
  })

  test.each([
    ['appservice.port', 'port: 4', 'port: 29999'],
    ['an address alone', '', 'port: 29999'],
  ])('says by %s where the bridge listens', (_, port, line) => {
    const text = textOf('bridgev2').replace(line, port)
    expect(portIn(text)).toBe(port === '' ? 29_999 : 4)
    expect(portIn(text.replace(/port: \d+/, '').replace(/http:.*:29999/, 'x'))).toBeNull()
  })

  test('names can be forced on a program that serves several networks', () => {
    const names = { ...SETTINGS.names, force: true }
    const { text, id } = bridgeConfigFile(example('bridgev2'), { ...SETTINGS, names })
    expect(id).toBe('other')
    expect(parse(text).appservice).toMatchObject({
      id: 'other',
      bot: { username: 'otherbot' },
      username_template: 'other_{{.}}',
    })
  })
})

test('without an example: our settings alone, under our names', () => {
  const file = bridgeConfigFile(null, SETTINGS)
  expect(file).toMatchObject({ layout: 'bridgev2', id: 'other', hasProvisioning: true })
  expect(parse(file.text)).toMatchObject({
    homeserver: { address: 'http://127.0.0.1:8080', domain: 'gateway.example.org', software: 'standard' },
    appservice: { id: 'other', bot: { username: 'otherbot' }, username_template: 'other_{{.}}' },
    provisioning: { shared_secret: 'a provisioning secret' },
    matrix: { message_status_events: true },
    double_puppet: { secrets: { 'gateway.example.org': 'as_token:as_puppets' } },
    bridge: { permissions: { 'gateway.example.org': 'user' } },
  })
})

test('the layout of bridges in Go from before', () => {
  const file = bridgeConfigFile(example('legacy-go'), SETTINGS)
  expect(file).toMatchObject({
    layout: 'legacy-go',
    id: 'old',
    usernameTemplate: 'old_{{.}}',
    hasProvisioning: true,
  })
  const config = parse(file.text)
  expect(config.appservice).toEqual({
    address: 'http://127.0.0.1:29318',
    hostname: '127.0.0.1',
    port: 29318,
    database: { type: 'sqlite3-fk-wal', uri: 'file:/data/bridges/net/bridge.db?_txlock=immediate' },
    id: 'old',
    bot: { username: 'oldbot' },
    ephemeral_events: true,
    as_token: 'as_secret',
    hs_token: 'hs_secret',
  })
  expect(config.bridge).toEqual({
    username_template: 'old_{{.}}',
    delivery_receipts: false,
    message_status_events: true,
    message_error_notices: false,
    login_shared_secret_map: { 'gateway.example.org': 'as_token:as_puppets' },
    provisioning: { prefix: '/_matrix/provision', shared_secret: 'a provisioning secret' },
    permissions: { 'gateway.example.org': 'user' },
  })
  // Nothing is added that this layout doesn't have.
  expect(Object.keys(config)).toEqual(['homeserver', 'appservice', 'bridge', 'logging'])
})

test('the layout of bridges in Python', () => {
  const file = bridgeConfigFile(example('legacy-python'), SETTINGS)
  expect(file).toMatchObject({
    layout: 'legacy-python',
    id: 'snake',
    botLocalpart: 'snakebot',
    usernameTemplate: 'snake_{userid}',
    aliasTemplate: 'snake_{groupname}',
  })
  const config = parse(file.text)
  expect(config.appservice).toMatchObject({
    database: 'sqlite:/data/bridges/net/bridge.db',
    provisioning: { enabled: true, shared_secret: 'a provisioning secret' },
    bot_username: 'snakebot',
  })
  expect(config.bridge).toMatchObject({
    delivery_error_reports: false,
    permissions: { 'gateway.example.org': 'full' },
  })
  expect(config.bridge.message_status_events).toBeUndefined()
  // At DEBUG these bridges log message texts.
  expect(config.logging).toEqual({
    version: 1,
    loggers: { mau: { level: 'INFO' }, telethon: { level: 'WARNING' } },
    root: { level: 'INFO', handlers: ['console'] },
  })
})

test('a bridge without a provisioning API is told from others', () => {
  const text = textOf('legacy-go').replace(/ {4}provisioning:\n.*\n.*\n/, '')
  expect(bridgeConfigFile({ text, isInUse: false }, SETTINGS).hasProvisioning).toBe(false)
})

test.each([
  ['a: [', 'expected the example configuration of a mautrix bridge'],
  ['just text', 'it has no section "homeserver"'],
  ['homeserver: {}\nappservice: {}\n', 'it has no section "bridge"'],
])('%p is refused', (text, message) => {
  const make = () => bridgeConfigFile({ text, isInUse: false }, SETTINGS)
  expect(make).toThrow(GatewayError)
  expect(make).toThrow(message)
})

describe('end-to-end encryption', () => {
  const REFUSED = "expected false, as the gateway can't read chats that are end-to-end encrypted"

  test.each(['allow', 'default', 'require'])('that a setting turns on (%s) is refused', key => {
    const extra = { [`encryption.${key}`]: 'true' }
    expect(() => bridgeConfigFile(null, { ...SETTINGS, extra })).toThrow(`encryption.${key}: ${REFUSED}`)
    const text = textOf('bridgev2').replace('encryption:\n', `encryption:\n    ${key}: true\n`)
    const on = key === 'require' ? text : textOf('bridgev2').replace(`    ${key}: false`, `    ${key}: true`)
    for (const isInUse of [false, true])
      expect(() => bridgeConfigFile({ text: on, isInUse }, SETTINGS)).toThrow(`encryption.${key}: ${REFUSED}`)
    expect(encryptionIn(on)).toBe(`encryption.${key}`)
  })

  test.each(['yes', 'on', '"true"', '1'])('also as %s, which many bridges take for true', value => {
    expect(encryptionIn(`bridge:\n  encryption:\n    default: ${value}`)).toBe('bridge.encryption.default')
    const extra = { 'encryption.allow': value }
    expect(() => bridgeConfigFile(null, { ...SETTINGS, extra })).toThrow(`encryption.allow: ${REFUSED}`)
  })

  test('is off in what we write', () => {
    expect(encryptionIn('encryption:\n  allow: false\n  default:')).toBeNull()
    expect(encryptionIn(bridgeConfigFile(example('bridgev2'), SETTINGS).text)).toBeNull()
    expect(encryptionIn(bridgeConfigFile(null, SETTINGS).text)).toBeNull()
    expect(encryptionIn('not: [yaml')).toBeNull()
  })
})

test('a template without a place for the id is refused: it would claim no ghost', () => {
  const extra = { 'appservice.username_template': 'net' }
  expect(() => bridgeConfigFile(example('bridgev2'), { ...SETTINGS, extra })).toThrow(
    'appservice.username_template: "net" has no place for the network\'s id',
  )
})

describe('a configuration in use', () => {
  const text = textOf('bridgev2')
    .replace('domain: example.com', 'domain: gateway.example.org')
    .replace('"example.com": user', '"gateway.example.org": commands')
    .replace('id: net', 'id: mine')
    .replace('os_name: A bridge', 'os_name: My bridge')

  test('keeps what isn’t given: addresses, database, logging, names and the operator’s changes', () => {
    const kept = { ...SETTINGS, homeserver: null, database: null }
    const config = parse(bridgeConfigFile({ text, isInUse: true }, kept).text)
    const before = parse(text)
    for (const section of ['network', 'database', 'homeserver', 'logging'])
      expect(config[section]).toEqual(before[section])
    expect(config.appservice).toMatchObject({ id: 'mine', as_token: 'as_secret', port: 29_318 })
    expect(config.bridge.permissions).toEqual({ 'gateway.example.org': 'commands' })
  })

  test('takes what is', () => {
    const extra = { 'network.os_name': 'Another' }
    const config = parse(bridgeConfigFile({ text, isInUse: true }, { ...SETTINGS, extra }).text)
    expect(config.homeserver.address).toBe('http://127.0.0.1:8080')
    expect(config.database.type).toBe('sqlite3-fk-wal')
    expect(config.network.os_name).toBe('Another')
  })
})

test.each(['legacy-go', 'legacy-python'])('%s: names come without a mark, too', name => {
  const template = "bridge:\n    displayname_template: '{{.Name}} (TG)'\n"
  const text = example(name).text.replace(/^bridge:\n/m, template)
  const { bridge } = parse(bridgeConfigFile({ text, isInUse: false }, SETTINGS).text)
  expect(bridge.displayname_template).toBe('{{.Name}}')
})

test('what a gateway needs of today’s bridges is set where they have it, and names come without a mark', () => {
  const text = example('bridgev2').text.replace(
    'network:\n',
    `network:
    displayname_template: '{{or .PushName .Phone}} (WA)'
    use_whatsapp_retry_store: false
`,
  )
  const preset = { 'network.use_whatsapp_retry_store': true, 'network.unheard_of': 1 }
  const { network, bridge } = parse(bridgeConfigFile({ text, isInUse: false }, { ...SETTINGS, preset }).text)
  expect(network).toMatchObject({
    displayname_template: '{{or .PushName .Phone}}',
    use_whatsapp_retry_store: true,
  })
  expect(network).not.toHaveProperty('unheard_of')
  // This one has no such key: the bridge would drop it.
  expect(bridge).not.toHaveProperty('phone_numbers_in_profile')
})

describe('history', () => {
  const BACKFILL = `backfill:
    enabled: false
    max_initial_messages: 20
    queue:
        enabled: true
        manual: false
network:
    history_sync:
        backwards_on_demand: false
`
  const written = (wanted: boolean | null, text = BACKFILL, isInUse = false) => {
    const history = historySettings(wanted, knownNetwork('wa'))
    const base = { text: `${textOf('bridgev2').replace(/^network:$[\s\S]*?^(?=\w)/m, '')}${text}`, isInUse }
    const { backfill, network } = parse(bridgeConfigFile(base, { ...SETTINGS, history }).text)
    return { backfill, network }
  }
  const ON = { enabled: true, max_initial_messages: 50, queue: { enabled: false, manual: true } }

  test('is bounded, and what is older waits until somebody asks', () => {
    expect(written(true)).toEqual({
      backfill: ON,
      network: { history_sync: { backwards_on_demand: true } },
    })
  })

  test('stays as the configuration has it, unless it is asked for', () => {
    expect(written(null, BACKFILL, true).backfill).toMatchObject({ enabled: false, max_initial_messages: 20 })
    expect(written(true, BACKFILL, true).backfill).toEqual(ON)
    expect(written(false, BACKFILL.replace('enabled: false', 'enabled: true'), true).backfill.enabled).toBe(
      false,
    )
  })

  test('is no setting of an older bridge that has none', () => {
    expect(written(true, 'backfill: { enabled: false }').backfill).toEqual({ enabled: true })
  })
})
