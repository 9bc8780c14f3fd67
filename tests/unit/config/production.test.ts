/** Production refuses weak settings at the start, and takes those of a careful operator. */
import { describe, expect, test } from 'bun:test'
import { ConfigError, configFrom, type EnvSource, parseEnvironment } from '../../../src/config/index.ts'
import { randomToken } from '../../../src/lib/tokens.ts'

const STRONG = {
  APP_MODE: 'production',
  CLIENT_ID: 'admin-of-the-gateway',
  CLIENT_SECRET: 'ZXd4cR1nT0kPq7Ls',
  SECRET_KEY: 'b8fJ2mVx0QeY5uHa',
  ALLOW_INSECURE_SERVER: 'true',
}

function refusalOf(variables: EnvSource): string | null {
  try {
    configFrom(parseEnvironment({ ...STRONG, ...variables }), '/srv/meshgate')
    return null
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
}

test('without TLS it starts only when that is said', () => {
  expect(refusalOf({ ALLOW_INSECURE_SERVER: 'false' })).toStartWith('TLS_CERT_FILE: ')
  expect(refusalOf({})).toBeNull()
})

describe.each(['CLIENT_SECRET', 'SECRET_KEY', 'METRICS_TOKEN'])('%s', name => {
  test.each([
    ['short', 'fifteen-letters'],
    ['one character', 'a'.repeat(64)],
    ['a few, again and again', 'abc123'.repeat(8)],
    ['a placeholder', 'please-change-me-1'],
    ['an example', 'EXAMPLE-value-01234'],
    ['a password', 'Password1234567890'],
    ['what it is called', `your-${'secret'}-key-9f`],
    ['a row of the keyboard', 'qwertyuiopasdfghjkl'],
    ['digits in a row', '1234567890123456'],
  ])('%s is refused', (_what, value) => {
    const refusal = refusalOf({ [name]: value })
    expect(refusal).toStartWith(`${name}: expected `)
    expect(refusal).not.toContain(value)
  })

  test('what random generators make is taken', () => {
    for (let turn = 0; turn < 300; turn += 1) {
      const bytes = crypto.getRandomValues(Buffer.alloc(16))
      for (const value of [bytes.toString('hex'), bytes.toString('base64'), randomToken('', 12)]) {
        expect(refusalOf({ [name]: value })).toBeNull()
      }
    }
  })
})

test('a secret that is another setting too is refused', () => {
  expect(refusalOf({ SECRET_KEY: STRONG.CLIENT_SECRET })).toStartWith('SECRET_KEY: ')
  expect(refusalOf({ CLIENT_SECRET: STRONG.CLIENT_ID })).toStartWith('CLIENT_SECRET: ')
})

test('development takes them', () => {
  const refusal = refusalOf({
    APP_MODE: 'development',
    CLIENT_SECRET: 'changeme',
    SECRET_KEY: 'a'.repeat(16),
  })
  expect(refusal).toBeNull()
})
