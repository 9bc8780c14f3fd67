/** Only addresses that are ours are changed in a bridge's configuration, and nothing else. */
import { describe, expect, test } from 'bun:test'
import { chownSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { type ListenerAddress, readdressBridge } from '../../../src/modules/bridges-attached/bridge-urls.ts'
import { tempDir } from '../../support/temp-dir.ts'

const TOKEN = 'the_as_token'
const HERE = 'http://127.0.0.1:29318'
const ELSEWHERE = 'http://whatsapp:29318'

function configOf(address: string, token = TOKEN): string {
  return [
    '# Mine.',
    'homeserver:',
    `    address: ${address} # where it is`,
    "    domain: 'localhost'",
    `    status_endpoint: '${address}/_meshgate/bridge-status/wa'`,
    '    empty:',
    '',
    '    # Of the next key.',
    '    software: standard',
    `appservice: {as_token: ${token}, address: http://127.0.0.1:8080}`,
    '',
  ].join('\n')
}

function listener(further: Partial<ListenerAddress> & { host?: string } = {}): ListenerAddress {
  const { host = '127.0.0.1', ...given } = further
  return {
    config: {
      http: { port: 8080, publicUrl: 'https://gw.example.com' },
      bridgeListener: { host, port: 8081 },
      matrix: { homeserverUrl: undefined },
    },
    url: 'http://127.0.0.1:8081',
    urlBefore: null,
    hasComeToMainPort: false,
    ...given,
  }
}

/** @returns what the configuration says then */
function readdressed(text: string, url: string, to: ListenerAddress): string {
  using folder = tempDir()
  const file = folder.file('config.yaml')
  writeFileSync(file, text, { mode: 0o600 })
  const isChanged = readdressBridge({ dir: folder.path, url, asToken: TOKEN }, to)
  const now = readFileSync(file, 'utf8')
  expect(isChanged).toBe(now !== text)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  return now
}

test('both addresses are changed, and no other character', () => {
  const now = readdressed(configOf('http://localhost:8080'), HERE, listener())
  expect(now).toBe(
    configOf('http://localhost:8080')
      .replace('http://localhost:8080 #', '"http://127.0.0.1:8081" #')
      .replace(/'http:.*wa'/, '"http://127.0.0.1:8081/_meshgate/bridge-status/wa"'),
  )
})

test('behind a link, the file stays where it is, and its owner’s', () => {
  using folder = tempDir()
  const file = folder.file('elsewhere.yaml')
  writeFileSync(file, configOf('http://127.0.0.1:8080'), { mode: 0o640 })
  // Only root can give a file away.
  const owner = process.getuid?.() === 0 ? 1_000 : statSync(file).uid
  chownSync(file, owner, statSync(file).gid)
  symlinkSync(file, folder.file('config.yaml'))
  expect(readdressBridge({ dir: folder.path, url: HERE, asToken: TOKEN }, listener())).toBe(true)
  expect(readFileSync(file, 'utf8')).toContain('http://127.0.0.1:8081')
  expect([statSync(file).uid, statSync(file).mode & 0o777]).toEqual([owner, 0o640])
  expect(readdirSync(folder.path).sort()).toEqual(['config.yaml', 'elsewhere.yaml'])
})

const came = { hasComeToMainPort: true }

describe('changed', () => {
  test.each<[string, string, string, ListenerAddress, string]>([
    ['the clients’ port of this machine', 'http://[::1]:8080', HERE, listener(), 'http://127.0.0.1:8081'],
    ['a port that wasn’t known yet', 'http://127.0.0.1:0', HERE, listener(), 'http://127.0.0.1:8081'],
    [
      'the port that bridges had before',
      'http://127.0.0.1:9000',
      HERE,
      listener({ urlBefore: 'http://127.0.0.1:9000' }),
      'http://127.0.0.1:8081',
    ],
    ['PUBLIC_URL, by a bridge here', 'https://gw.example.com', HERE, listener(), 'http://127.0.0.1:8081'],
    [
      'a name of ours, of a bridge that came by it',
      'http://meshgate:8080',
      ELSEWHERE,
      listener({ host: '0.0.0.0', ...came }),
      'http://meshgate:8081',
    ],
  ])('%s', (_, address, url, to, expected) => {
    expect(readdressed(configOf(address), url, to)).toContain(`address: "${expected}" #`)
  })
})

describe('left as it is', () => {
  test.each<[string, string, string, ListenerAddress]>([
    ['the right one', 'http://127.0.0.1:8081', HERE, listener()],
    ['another server here', 'http://127.0.0.1:8008', HERE, listener()],
    ['another machine’s', 'http://synapse:8008', ELSEWHERE, listener({ host: '0.0.0.0', ...came })],
    ['a name that nobody came by', 'http://meshgate:8080', ELSEWHERE, listener({ host: '0.0.0.0' })],
    ['a name, while we listen here alone', 'http://meshgate:8080', ELSEWHERE, listener(came)],
    ['PUBLIC_URL, by a bridge elsewhere', 'https://gw.example.com', ELSEWHERE, listener(came)],
    ['no address', 'here', HERE, listener()],
  ])('%s', (_, address, url, to) => {
    expect(readdressed(configOf(address), url, to)).toBe(configOf(address))
  })

  test.each([
    ['of another bridge', configOf('http://127.0.0.1:8080', 'another')],
    ['without a homeserver', `appservice: {as_token: ${TOKEN}}\n`],
    ['that is no YAML', 'homeserver: ['],
  ])('a file %s', (_, text) => {
    expect(readdressed(text, HERE, listener())).toBe(text)
  })

  test('no file at all', () => {
    using folder = tempDir()
    expect(readdressBridge({ dir: folder.path, url: HERE, asToken: TOKEN }, listener())).toBe(false)
  })
})
