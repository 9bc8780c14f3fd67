/** The environment: values and precedence of each variable, and that .env.example has them all. */

import { describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { ENV_SCHEMA } from '../../../src/config/env.ts'
import {
  ConfigError,
  childEnvironment,
  configFrom,
  type EnvSource,
  parseEnvironment,
  readEnvSource,
} from '../../../src/config/index.ts'
import { tempDir } from '../../support/temp-dir.ts'

const REQUIRED = { CLIENT_ID: 'admin', CLIENT_SECRET: 'long-enough', SECRET_KEY: 'sixteen-characters' }
const ROOT = join(import.meta.dir, '..', '..', '..')
const EXAMPLE = readFileSync(join(ROOT, '.env.example'), 'utf8')
const DEPLOY = join(ROOT, 'deploy')

const parse = (variables: EnvSource = {}) => parseEnvironment({ ...REQUIRED, ...variables })
const configOf = (variables: EnvSource = {}) => configFrom(parse(variables), '/srv/meshgate')

describe('a wrong value is told in one line that begins with its name', () => {
  test.each([
    ['PORT', '65536', 'expected a whole number from 0 to 65535'],
    ['PORT', '80.5', 'expected a whole number from 0 to 65535'],
    ['PORT', '-1', 'expected a whole number from 0 to 65535'],
    ['PORT', 'http', 'expected a whole number from 0 to 65535'],
    ['APP_MODE', 'prod', 'expected development or production'],
    ['CLIENT_ID', 'has space', 'expected 1 to 64 letters, digits, dots, dashes or underscores'],
    ['CLIENT_ID', 'a:b', 'expected 1 to 64 letters, digits, dots, dashes or underscores'],
    ['CLIENT_ID', '..', 'expected 1 to 64 letters, digits, dots, dashes or underscores (not just . or ..)'],
    ['CLIENT_SECRET', 'short', 'expected at least 8 characters'],
    ['SECRET_KEY', 'fifteen-letters', 'expected at least 16 characters'],
    ['ALLOW_INSECURE_SERVER', 'yes', 'expected true or false'],
    ['PUBLIC_URL', 'gateway.example.com', 'expected an http:// or https:// address'],
    ['PUBLIC_URL', 'ftp://example.com', 'expected an http:// or https:// address'],
    ['PUBLIC_URL', 'https://example.com/?a=b', 'without user, query and fragment'],
    ['MATRIX_HOMESERVER_URL', 'https://me:password@example.com', 'without user, query and fragment'],
    ['TRUSTED_PROXIES', '10.0.0.0/33', 'expected addresses or networks such as 10.0.0.0/8'],
    ['TRUSTED_PROXIES', '127.0.0.1,proxy', 'expected addresses or networks such as 10.0.0.0/8'],
    ['CORS_ORIGINS', 'https://app.example.com/', 'expected origins such as https://app.example.com, or *'],
    ['CORS_ORIGINS', 'app.example.com', 'expected origins such as https://app.example.com, or *'],
    ['AUTH_FAILURES_PER_ADDRESS', '0', 'expected a whole number from 1 to 1000000'],
    ['SECRET_KEY_PREVIOUS', 'short', 'expected at least 16 characters'],
    ['LOG_LEVEL', 'verbose', 'expected one of debug, info, warn, error, silent'],
    ['MATRIX_SERVER_NAME', 'https://example.com', 'expected a host name, optionally with a port'],
    ['MATRIX_SERVER_NAME', '.', 'expected a host name'],
    ['MATRIX_SERVER_NAME', 'a'.repeat(201), 'of at most 200 characters'],
    ['HOST', 'localhost:8080', 'expected an address of this machine such as 127.0.0.1, 0.0.0.0 or ::'],
    ['HOST', 'http://0.0.0.0', 'or its name, without a port'],
    ['HOST', '999.1.1.1', 'expected an address of this machine'],
    ['HOST', '127.0.0.1, ::1', 'expected an address of this machine'],
    ['BRIDGE_HOST', 'not a host', 'expected an address of this machine'],
    ['MATRIX_HOMESERVER_URL', 'synapse:8008', 'expected an http:// or https:// address'],
    ['SANDBOX', 'true', 'expected auto, on or off'],
    ['SEND_INTERVAL_MS', '8s', 'expected a whole number from 0 to 3600000'],
    ['SEND_JITTER', '1.5', 'expected a number from 0 to 1'],
    ['SEND_JITTER', '25%', 'expected a number from 0 to 1'],
    ['SEND_BURST', '0', 'expected a whole number from 1 to 1000'],
    ['WEBHOOK_TIMEOUT_MS', '10', 'expected a whole number from 1000 to 60000'],
    ['WEBHOOK_CONCURRENCY', '257', 'expected a whole number from 1 to 256'],
    ['WEBHOOK_ALLOW_PRIVATE', 'yes', 'expected true, false, or addresses or networks such as 10.0.0.0/8'],
    ['WEBHOOK_ALLOW_PRIVATE', '10.0.0.0/8,true', 'expected true, false, or addresses or networks'],
    ['WEBHOOK_ALLOW_PRIVATE', ',', 'expected true, false, or addresses or networks'],
    ['MEDIA_MAX_BYTES', '32MB', 'expected a whole number from 1 to 2147483647'],
    ['MEDIA_INLINE_MAX_BYTES', '99999999999', 'expected a whole number from 0 to 67108864'],
    ['MEDIA_URL_TTL_S', '5', 'expected a whole number from 60 to 31536000'],
    ['BRIDGES', 'what?,wa', '"what?" isn\'t a platform name'],
    ['BRIDGES', 'wa, signal,WA', '"wa" is there twice'],
  ])('%s=%s', (name, value, expected) => {
    const told = messageOf(() => parse({ [name]: value }))
    expect(told).toStartWith(`${name}: `)
    expect(told).toContain(expected)
    expect(told).not.toContain('\n')
  })

  test.each(Object.keys(REQUIRED))('%s missing or empty', name => {
    for (const value of [undefined, '', '  ']) {
      expect(messageOf(() => parse({ [name]: value }))).toStartWith(`${name}: is missing`)
    }
  })

  test.each([
    [{}, 'BRIDGE_WA_URL'],
    [{ BRIDGE_WA_URL: 'localhost:29318' }, 'BRIDGE_WA_URL'],
    [{ BRIDGE_WA_URL: 'http://localhost:29318' }, 'BRIDGE_WA_SECRET'],
    [
      { BRIDGE_WA_URL: 'http://localhost:29318', BRIDGE_WA_SECRET: 's', BRIDGE_WA_COMMAND: `wa 'x` },
      'BRIDGE_WA_COMMAND',
    ],
  ])('a bridge with %p', (variables, name) => {
    expect(messageOf(() => parse({ BRIDGES: 'wa', ...variables }))).toStartWith(`${name}: expected`)
  })
})

test('bridges are named in BRIDGES, whatever the spaces and case', () => {
  const { bridges } = parse({
    BRIDGES: ' WA, signal,',
    BRIDGE_WA_URL: 'http://wa:29318/',
    BRIDGE_WA_SECRET: 'one',
    BRIDGE_WA_COMMAND: `./mautrix-whatsapp --name 'my bridge'`,
    BRIDGE_SIGNAL_URL: 'http://signal:29328',
    BRIDGE_SIGNAL_BOT: '@signalbot:example.com',
  })
  expect(bridges).toEqual([
    {
      platform: 'wa',
      url: 'http://wa:29318',
      secret: 'one',
      bot: undefined,
      command: ['./mautrix-whatsapp', '--name', 'my bridge'],
    },
    {
      platform: 'signal',
      url: 'http://signal:29328',
      secret: '',
      bot: '@signalbot:example.com',
      command: null,
    },
  ])
})

describe('.env', () => {
  test('is read, and the environment wins over it', () => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), '# ours\nPORT=9000\nHOST="0.0.0.0"\nLOG_LEVEL=warn # loud enough\n')
    expect(readEnvSource(folder.path, { PORT: '9001', HOST: undefined })).toEqual({
      PORT: '9001',
      HOST: '0.0.0.0',
      LOG_LEVEL: 'warn',
    })
  })

  test.each([
    ['WEBHOOK_ALOW_PRIVATE', 'WEBHOOK_ALLOW_PRIVATE'],
    ['APP_MOD', 'APP_MODE'],
    ['PROT', 'PORT'],
    ['log_level', 'LOG_LEVEL'],
  ])('with %s: %s was meant', (name, meant) => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), `PORT=9000\n${name}=x\n`)
    expect(messageOf(() => readEnvSource(folder.path, {}))).toBe(
      `${name}: there is no such setting in .env; did you mean ${meant}?`,
    )
    // Other programs share the environment.
    expect(readEnvSource(folder.file('nowhere'), { [name]: 'x' })).toEqual({ [name]: 'x' })
  })

  test('leaves alone what is of others, and every setting there is', () => {
    using folder = tempDir()
    const ofCompose = readdirSync(DEPLOY)
      .filter(name => name.startsWith('compose'))
      .flatMap(name => [...readFileSync(join(DEPLOY, name), 'utf8').matchAll(/\$\{([A-Z_]+)/g)])
      .map(([, name = '']) => name)
    expect(ofCompose).toContain('POSTGRES_DB_PASSWORD')
    const bridges = ['BRIDGE_WA_URL', 'BRIDGE_SIGNAL_SECRET', 'BRIDGE_GM_BOT', 'BRIDGE_X_COMMAND']
    const others = ['PATH', 'HOME', 'TZ', 'COMPOSE_FILE', 'COMPOSE_PROJECT_NAME', 'NODE_ENV', 'DATABASE_URL']
    const names = [...ofCompose, ...bridges, ...others, ...Object.keys(ENV_SCHEMA.shape)]
    writeFileSync(folder.file('.env'), names.map(name => `${name}=x\n`).join(''))
    expect(Object.keys(readEnvSource(folder.path, {})).toSorted()).toEqual([...new Set(names)].toSorted())
  })

  test('may be missing', () => {
    using folder = tempDir()
    expect(readEnvSource(folder.path, { PORT: '9001' })).toEqual({ PORT: '9001' })
  })
})

describe('.env, whoever wrote it', () => {
  const read = (text: string | Buffer) => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), text)
    return readEnvSource(folder.path, {})
  }

  test.each([
    ['CLIENT_SECRET=abc#def', 'abc#def'],
    ['CLIENT_SECRET=#abc#', '#abc#'],
    ['export CLIENT_SECRET = abc#def # the secret', 'abc#def'],
    ['CLIENT_SECRET=abc #def', 'abc'],
    ['CLIENT_SECRET=abc\t# def', 'abc'],
    ['CLIENT_SECRET= # none', ''],
    ["CLIENT_SECRET='abc#d\"ef' # the secret", 'abc#d"ef'],
    ['CLIENT_SECRET="abc#def"#', undefined],
    [`CLIENT_SECRET=a'b#c`, `a'b#c`],
    [`CLIENT_SECRET=a'"b#c`, `a'"b#c`],
    ['CLIENT_SECRET="abc"\r\nPORT=1', 'abc'],
    ['\ufeffCLIENT_SECRET=abc', 'abc'],
    ['CLIENT_SECRET="two\nlines"', 'two\nlines'],
  ])('%j is %j', (text, value) => {
    if (value === undefined)
      expect(() => read(text)).toThrow('CLIENT_SECRET: has text behind its closing quote')
    else expect(read(text).CLIENT_SECRET).toBe(value)
  })

  test.each<[string | Buffer, string]>([
    ['CLIENT_SECRET="abc"def', 'CLIENT_SECRET: has text behind its closing quote'],
    ['CLIENT_SECRET="abc', 'CLIENT_SECRET: begins with a " that nothing closes'],
    [`CLIENT_SECRET=a'"\`b#c`, 'CLIENT_SECRET: has # and every kind of quotes'],
    [Buffer.from('\ufeffPORT=1', 'utf16le'), '.env: '],
    [Buffer.from('CLIENT_SECRET=caf\xe9', 'latin1'), '.env: '],
  ])('%j is refused', (text, says) => {
    expect(messageOf(() => read(text))).toStartWith(says)
  })

  test('what others have in it is theirs', () => {
    expect(read('POSTGRES_PASSWORD="abc"def\nOTHER="x\n')).toMatchObject({ POSTGRES_PASSWORD: 'abc' })
  })

  test.each([
    'PORT 9000',
    'PORT:9000',
    'set PORT=9000',
    'setenv PORT 9000',
    '$env:PORT=9000',
    'declare -x PORT=9000',
    'EXPORT PORT=9000',
    // Lines copied from web pages, lists and JSON.
    '\u00a0PORT=9000',
    '\u200bPORT=9000',
    'PORT\u00a0=9000',
    '- PORT=9000',
    '"PORT"=9000',
  ])('%j would set nothing in silence, so it is refused by name', line => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), `LOG_LEVEL=warn\n${line}\n`)
    expect(messageOf(() => readEnvSource(folder.path, {}))).toBe(
      'PORT: expected a line that begins with PORT=',
    )
  })

  test('a comment, a text of several lines and a line that is there twice are no such lines', () => {
    using folder = tempDir()
    const lines = [
      '# PORT 9000',
      ' #PORT=1',
      'export PORT=9001',
      'set PORT=9000',
      'NOTE="a\nHOSTS: b"',
      'EDITOR vi',
    ]
    writeFileSync(folder.file('.env'), lines.join('\n'))
    expect(readEnvSource(folder.path, {}).PORT).toBe('9001')
  })

  test('an empty variable of the environment leaves what is in the file', () => {
    using folder = tempDir()
    writeFileSync(folder.file('.env'), 'CLIENT_SECRET=of-the-file\n')
    expect(readEnvSource(folder.path, { CLIENT_SECRET: '', PORT: ' ' })).toEqual({
      CLIENT_SECRET: 'of-the-file',
    })
  })
})

describe('what came along from the file or shell of a variable is refused by name', () => {
  test.each([
    ['PORT', '8080\r', 'PORT: ends in a carriage return'],
    ['CLIENT_SECRET', 'long-enough\r', 'CLIENT_SECRET: ends in a carriage return'],
    ['DATA_DIR', '/data\r', 'DATA_DIR: ends in a carriage return'],
    ['SECRET_KEY', 'sixteen\ncharacters', 'SECRET_KEY: has a line break'],
    ['CLIENT_SECRET', '"long-enough"', 'CLIENT_SECRET: is in quotes'],
    ['HOST', "'0.0.0.0'", 'HOST: is in quotes'],
    ['BRIDGE_WA_SECRET', '"one"', 'BRIDGE_WA_SECRET: is in quotes'],
  ])('%s=%j', (name, value, says) => {
    expect(messageOf(() => parse({ [name]: value }))).toStartWith(says)
  })

  test('but for the key before, which may have been taken so, and quotes within', () => {
    expect(parse({ SECRET_KEY_PREVIOUS: '"sixteen-characters"' }).SECRET_KEY_PREVIOUS).toBe(
      '"sixteen-characters"',
    )
    expect(parse({ CLIENT_SECRET: 'long"enough"' }).CLIENT_SECRET).toBe('long"enough"')
    // Other programs' variables may be anything.
    expect(() => parse({ PS1: '"$ "', LINES: '1\n2' })).not.toThrow()
  })
})

describe('.env.example', () => {
  const names = [...EXAMPLE.matchAll(/^([A-Z_]+)=/gm)].map(match => match[1] ?? '')
  const values = parseEnv(EXAMPLE)

  test('has every variable of the program, once, and no other', () => {
    expect(names.toSorted()).toEqual(Object.keys(ENV_SCHEMA.shape).toSorted())
  })

  test('shows the defaults', () => {
    expect(parse({ ...values, ...REQUIRED })).toEqual(parse())
  })

  test('explains each on the line above it', () => {
    const lines = EXAMPLE.split('\n')
    const unexplained = names.filter(name => {
      const above = lines[lines.findIndex(line => line.startsWith(`${name}=`)) - 1] ?? ''
      return !/^# .*[a-z]/.test(above)
    })
    expect(unexplained).toEqual([])
  })

  test('copied as it is, tells what is missing', () => {
    expect(messageOf(() => parseEnvironment({ ...values }))).toStartWith('CLIENT_ID: is missing')
  })
})

describe('settings that contradict each other', () => {
  test.each([
    [{ TLS_CERT_FILE: 'cert.pem' }, 'TLS_KEY_FILE'],
    [{ TLS_KEY_FILE: 'key.pem' }, 'TLS_CERT_FILE'],
    [{ MATRIX_HOMESERVER_URL: 'http://synapse:8008' }, 'MATRIX_AS_TOKEN'],
    [{ MATRIX_HOMESERVER_URL: 'http://synapse:8008', MATRIX_AS_TOKEN: 'a' }, 'MATRIX_HS_TOKEN'],
    [{ MATRIX_HOMESERVER_URL: 'http://synapse:8008', MATRIX_HS_TOKEN: 'h' }, 'MATRIX_AS_TOKEN'],
    [{ MATRIX_HOMESERVER_URL: 'http://synapse:8008', MAS_URL: 'https://mas' }, 'ADMIN_CLIENT_ID'],
    [
      { MATRIX_HOMESERVER_URL: 'http://synapse:8008', MAS_URL: 'https://mas', ADMIN_CLIENT_ID: 'c' },
      'ADMIN_CLIENT_SECRET',
    ],
    [
      { MATRIX_HOMESERVER_URL: 'http://synapse:8008', ADMIN_CLIENT_ID: 'c', ADMIN_CLIENT_SECRET: 's' },
      'MAS_URL',
    ],
    [
      {
        MATRIX_HOMESERVER_URL: 'http://synapse:8008',
        MATRIX_AS_TOKEN: 'a',
        MATRIX_HS_TOKEN: 'h',
        MATRIX_REGISTRATION_SHARED_SECRET: 's',
      },
      'MATRIX_REGISTRATION_SHARED_SECRET',
    ],
    [
      {
        MATRIX_HOMESERVER_URL: 'http://synapse:8008',
        MATRIX_REGISTRATION_SHARED_SECRET: 's',
        ADMIN_CLIENT_ID: 'c',
      },
      'ADMIN_CLIENT_ID',
    ],
    [{ MATRIX_REGISTRATION_SHARED_SECRET: 's' }, 'MATRIX_REGISTRATION_SHARED_SECRET'],
    [{ MAS_URL: 'https://mas' }, 'MAS_URL'],
    [
      {
        MATRIX_HOMESERVER_URL: 'http://synapse:8008',
        MATRIX_AS_TOKEN: 'a',
        MATRIX_HS_TOKEN: 'h',
        SANDBOX: 'on',
      },
      'SANDBOX',
    ],
    [{ APP_MODE: 'production' }, 'TLS_CERT_FILE'],
    [{ APP_MODE: 'production', ALLOW_INSECURE_SERVER: 'true' }, 'CLIENT_SECRET'],
  ])('%p: %s is named', (variables, name) => {
    expect(messageOf(() => configOf(variables))).toStartWith(`${name}: `)
  })
})

describe('production', () => {
  const strong = { APP_MODE: 'production', CLIENT_SECRET: 'ZXd4cR1nT0kPq7Ls', SECRET_KEY: 'b8fJ2mVx0QeY5uHa' }

  test('starts with TLS, or behind a proxy, with long secrets', () => {
    expect(configOf({ ...strong, ALLOW_INSECURE_SERVER: 'true' }).config.http.tls).toBeUndefined()
    expect(configOf({ ...strong, TLS_CERT_FILE: 'c', TLS_KEY_FILE: 'k' }).config.http.tls).toEqual({
      certFile: 'c',
      keyFile: 'k',
    })
  })

  test('has the sandbox only when it is asked for', () => {
    const production = { ...strong, ALLOW_INSECURE_SERVER: 'true' }
    expect(configOf(production).config.sandbox).toEqual([])
    expect(configOf({ ...production, SANDBOX: 'on' }).config.sandbox).toEqual(['wa', 'signal', 'telegram'])
  })
})

describe('the sandbox', () => {
  const all: string[] = ['wa', 'signal', 'telegram']
  const synapse = { MATRIX_HOMESERVER_URL: 'http://synapse:8008', MATRIX_AS_TOKEN: 'a', MATRIX_HS_TOKEN: 'h' }

  test.each([
    [{}, all],
    [{ SANDBOX: 'off' }, []],
    [synapse, []],
  ])('with %p plays %p', (variables, platforms) => {
    expect<string[]>([...configOf(variables).config.sandbox]).toEqual(platforms)
  })
})

describe('the way to make users', () => {
  const MATRIX_HOMESERVER_URL = 'http://synapse:8008'
  const mas = {
    MATRIX_HOMESERVER_URL,
    MAS_URL: 'https://mas/',
    ADMIN_CLIENT_ID: 'c',
    ADMIN_CLIENT_SECRET: 's',
  }

  const client = { clientId: 'c', clientSecret: 's' }

  test.each([
    [{}, undefined],
    [
      { MATRIX_HOMESERVER_URL, MATRIX_AS_TOKEN: 'a', MATRIX_HS_TOKEN: 'h' },
      { kind: 'appservice', asToken: 'a', hsToken: 'h' },
    ],
    [
      { MATRIX_HOMESERVER_URL, MATRIX_REGISTRATION_SHARED_SECRET: 's' },
      { kind: 'shared_secret', sharedSecret: 's' },
    ],
    [mas, { kind: 'mas', url: 'https://mas', adminUrl: 'https://mas', ...client }],
    [
      { ...mas, MAS_ADMIN_URL: 'http://mas:8081' },
      { kind: 'mas', url: 'https://mas', adminUrl: 'http://mas:8081', ...client },
    ],
  ])('with %p', (variables, accounts) => {
    expect(configOf(variables).secrets.accounts).toEqual<unknown>(accounts)
  })

  test('what is missing, or too much, is told in one line', () => {
    expect(messageOf(() => configOf({ MATRIX_HOMESERVER_URL }))).toBe(
      'MATRIX_AS_TOKEN: with MATRIX_HOMESERVER_URL expected one way to make users: MATRIX_AS_TOKEN and MATRIX_HS_TOKEN, or MATRIX_REGISTRATION_SHARED_SECRET, or MAS_URL with ADMIN_CLIENT_ID and ADMIN_CLIENT_SECRET',
    )
    expect(messageOf(() => configOf({ ...mas, MATRIX_AS_TOKEN: 'a' }))).toBe(
      'MAS_URL: expected one way to make users, and MATRIX_AS_TOKEN is set too; empty one of them',
    )
  })
})

test('a relative DATA_DIR starts at the working directory', () => {
  expect(configOf().config.data.databaseFile).toBe('/srv/meshgate/data/meshgate.db')
  expect(configOf({ DATA_DIR: '/var/lib/meshgate' }).config.data.mediaDir).toBe('/var/lib/meshgate/media')
})

test('the configuration holds no secret', () => {
  const variables = {
    CLIENT_SECRET: 'hunter2-hunter2-hunter2',
    SECRET_KEY: 'hunter2-hunter2-hunter2',
    BRIDGES: 'wa',
    BRIDGE_WA_URL: 'http://wa:29318',
    BRIDGE_WA_SECRET: 'hunter2',
    MATRIX_HOMESERVER_URL: 'http://synapse:8008',
    MATRIX_AS_TOKEN: 'hunter2',
    MATRIX_HS_TOKEN: 'hunter2',
  }
  const mas = { MAS_URL: 'https://mas', ADMIN_CLIENT_ID: 'c', ADMIN_CLIENT_SECRET: 'hunter2' }
  for (const other of [{ MATRIX_REGISTRATION_SHARED_SECRET: 'hunter2' }, mas]) {
    const instead = { ...variables, MATRIX_AS_TOKEN: '', MATRIX_HS_TOKEN: '', ...other }
    expect(JSON.stringify(configOf(instead).config)).not.toContain('hunter2')
  }
  expect(JSON.stringify(configOf(variables).config)).not.toContain('hunter2')
})

test('a program of a bridge that is named by a path is found from anywhere', () => {
  const wa = { BRIDGES: 'wa', BRIDGE_WA_URL: 'http://localhost:29318', BRIDGE_WA_SECRET: 's' }
  const commandOf = (line: string) => configOf({ ...wa, BRIDGE_WA_COMMAND: line }).config.bridges[0]?.command
  expect(commandOf('./mautrix-whatsapp -n')).toEqual(['/srv/meshgate/mautrix-whatsapp', '-n'])
  expect(commandOf('/opt/mautrix-whatsapp')).toEqual(['/opt/mautrix-whatsapp'])
  expect(commandOf('mautrix-whatsapp')).toEqual(['mautrix-whatsapp'])
})

test('programs that we run get what is named, and so nothing of ours', () => {
  const environment = {
    PATH: '/bin',
    HTTPS_PROXY: 'http://proxy',
    LC_TIME: 'C',
    POSTGRES_PASSWORD: 's',
    SECRET_KEY_OLD: 's',
    NOTIFY_SOCKET: '/run/systemd/notify',
    SECRET_KEY: 's',
    CLIENT_SECRET: 's',
    MATRIX_AS_TOKEN: 's',
    BRIDGE_WA_SECRET: 's',
    EMPTY: undefined,
  }
  expect(childEnvironment(environment)).toEqual({ PATH: '/bin', HTTPS_PROXY: 'http://proxy', LC_TIME: 'C' })
})

/** @returns the ConfigError's message */
function messageOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
  throw new Error('nothing was refused')
}
