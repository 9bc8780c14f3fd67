/**
 * nginx and Caddy as docs/operations.md sets them up: clients reach what is theirs, and no spelling
 * of a path leads to what is kept in.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { freePort, startProgram } from '../support/program.ts'
import { rawRequest } from '../support/raw-request.ts'
import { selfSigned } from '../support/self-signed.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { examplesOf } from '../support/usage-guide.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

const ROOT = join(import.meta.dir, '..', '..')
const NAME = 'gateway.example.com'

interface Proxy {
  program: string
  /** Writes the proxy's configuration. @returns its command and its URL */
  prepare(folder: TempDir, gateway: TestGateway): { command: string[]; url: string }
}

const nginx: Proxy = {
  program: 'nginx',
  prepare(folder, gateway) {
    const port = freePort()
    const { cert, key } = selfSigned(folder, NAME)
    const printed = examplesOf(readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8'))
    const server = replaced(printed.find(({ language }) => language === 'nginx')?.code ?? '', {
      'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
      [`/etc/letsencrypt/live/${NAME}/fullchain.pem`]: cert,
      [`/etc/letsencrypt/live/${NAME}/privkey.pem`]: key,
      'http://127.0.0.1:8080': gateway.url.replace('localhost', '127.0.0.1'),
    })
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map(kind => `${kind}_temp_path ${folder.file('temporary')};`)
      .join('\n')
    // One process alone: a worker would outlive its killed master.
    writeFileSync(
      folder.file('nginx.conf'),
      `daemon off; master_process off; pid ${folder.file('pid')}; error_log stderr;\nevents {}\nhttp { access_log off;\n${temporary}\n${server}\n}`,
    )
    const command = ['nginx', '-p', folder.path, '-c', folder.file('nginx.conf'), '-e', 'stderr']
    return { command, url: `https://127.0.0.1:${port}` }
  },
}

const caddy: Proxy = {
  program: 'caddy',
  prepare(folder, gateway) {
    const port = freePort()
    const config = replaced(readFileSync(join(ROOT, 'deploy', 'Caddyfile'), 'utf8'), {
      '{$PUBLIC_HOST}': `http://:${port}`,
      'meshgate:8080': new URL(gateway.url).host,
    })
    writeFileSync(folder.file('Caddyfile'), `{\n\tadmin off\n}\n${config}`)
    const command = ['caddy', 'run', '--adapter', 'caddyfile', '--config', folder.file('Caddyfile')]
    return { command, url: `http://127.0.0.1:${port}` }
  },
}

/** Replaces parts for this machine; each must occur. */
function replaced(text: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce((changed, [before, after]) => {
    if (!changed.includes(before)) throw new Error(`expected ${before} in ${changed}`)
    return changed.replaceAll(before, after)
  }, text)
}

/** Paths open to clients, and paths that are kept in, each with a text of its answer. */
const ALLOWED = ['api', 'docs', 'health', 'ready']
const KEPT_IN = {
  sandbox: '<title>Sandbox phones</title>',
  '_matrix/client/versions': '"versions"',
  '_meshgate/bridge-status/wa': 'expected a POST',
  metrics: 'meshgate_build_info',
}

/** Spellings of a path that one reader may take for `allowed` and another for `kept`. */
function pathsAround(allowed: string, kept: string): string[] {
  const ups = [
    '..\\',
    '..\\\\',
    '.\\..\\',
    '../',
    './../',
    '%2e%2e/',
    '.%2e/',
    '%2E%2E%2f',
    '..%2f',
    '..%5c',
    '%2e%2e%5C',
    '..//',
    '/../',
    '//..//..//',
    '\\..\\..\\',
    '%5c..%5c..%5c',
    '..;/',
    '%252e%252e/',
    '..%252f',
    '%c0%ae%c0%ae/',
    '..%c0%af',
    '..%00/',
    '%0a../',
    'x/..\\..\\',
    'x/../../',
    'x%2f..%2f..%2f',
    '?/../../',
    '%3f/../../',
    '#/../../',
    '%23/../../',
  ]
  const down = [
    '/..%2f',
    '/%2e%2e/',
    '/..\\',
    '/../',
    '\\..\\',
    '/..%5c',
    '/%2e%2e%2f',
    '//../',
    '/x/..%2f..%2f',
  ]
  const first = kept.split('/')[0] ?? ''
  return [
    ...ups.flatMap(up => [`/${allowed}/${up}${kept}`, `/${allowed}${up}${kept}`]),
    ...ups.map(up => `/${allowed}/${up}${kept.replaceAll('/', '\\')}`),
    ...down.flatMap(back => [`/${kept}${back}${allowed}/x`, `/${first}${back}${allowed}/../${kept}`]),
    // Enough steps to lead back to the top.
    `/${kept}/..%2f..%2f..%2f..%2f${allowed}%2fx`,
    `/${kept}?/${allowed}/`,
    `/${kept}#/${allowed}/`,
    `/${kept}%20/${allowed}/`,
    `/${kept};/${allowed}/`,
    `/${kept}`,
    `//${kept}`,
    `/\\${kept}`,
    `\\${kept}`,
    `/.//${kept}`,
    `/%2e/${kept}`,
    `/${kept.toUpperCase()}`,
    `/%${first.charCodeAt(0).toString(16)}${kept.slice(1)}`,
    `http://${NAME}/${kept}`,
    `http://${NAME}/${allowed}/..\\${kept}`,
    `http://${NAME}\\${allowed}/../${kept}`,
    `http://${NAME}?/${allowed}/..\\${kept}`,
    `//${NAME}/${kept}`,
  ]
}

/** 0: the proxy closed the connection. Clients may see the 200 of /health and the 302 of /docs. */
const REFUSALS_AND_OURS = [0, 200, 302, 308, 400, 401, 404]

const EVERY_PATH = ALLOWED.flatMap(allowed =>
  Object.keys(KEPT_IN).flatMap(kept => pathsAround(allowed, kept)),
)

describe.each([nginx, caddy])('$program', ({ program, prepare }) => {
  const isHere = Bun.which(program, { PATH: `${process.env.PATH}:/usr/sbin` }) !== null

  describe.skipIf(!isHere)('in front of the gateway', () => {
    const stack = new AsyncDisposableStack()
    let gateway: TestGateway
    let url: string
    /** With a bridge's token the clients' port serves more than to strangers. */
    let bridgeToken: string

    beforeAll(async () => {
      gateway = stack.use(await testGateway({ PUBLIC_URL: `https://${NAME}` }))
      const told = await gateway.meshgateBridge('add', 'wa', '--url', 'http://127.0.0.1:1')
      const registration = /registration +(\S+)/.exec(told)?.[1] ?? ''
      bridgeToken = parse(readFileSync(registration, 'utf8')).as_token
      await waitFor(async () => (await askGateway('/_matrix/client/versions')).status === 200)
      const folder = stack.use(tempDir())
      mkdirSync(folder.file('temporary'))
      const prepared = prepare(folder, gateway)
      url = prepared.url
      stack.use(
        await startProgram({
          name: program,
          command: prepared.command,
          cwd: folder.path,
          env: { PATH: '/usr/sbin:/usr/bin:/bin' },
          isReady: async () => (await ask('/health').catch(() => null))?.status === 200,
        }),
      )
    })
    afterAll(() => stack.disposeAsync())

    const headers = () => [`Host: ${NAME}`, `Authorization: Bearer ${bridgeToken}`]
    const ask = (target: string) => rawRequest(url, target, { headers: headers() })
    const askGateway = (target: string) => rawRequest(gateway.url, target, { headers: headers() })

    test('clients get what is theirs', async () => {
      for (const [target, status] of [
        ['/health', 200],
        ['/ready', 200],
        ['/docs/index.html', 200],
        ['/api/v1/devices', 403],
        ['/api/v1/devices/%2B237123456789/contacts/a%2Fb%3Fc%20d', 403],
        ['/api/v1/messages?after=..%2F..%5C', 403],
      ] as const)
        expect([target, (await ask(target)).status]).toEqual([target, status])
    })

    test('what is kept in is there, and answers who comes past the proxy', async () => {
      for (const [kept, shown] of Object.entries(KEPT_IN))
        expect([kept, (await askGateway(`/${kept}`)).text]).toEqual([kept, expect.stringContaining(shown)])
    })

    test('no path gets round it', async () => {
      const found: [string, number][] = []
      for (const target of EVERY_PATH) {
        const { status, text } = await ask(target)
        const isIn = Object.values(KEPT_IN).some(shown => text.includes(shown))
        if (isIn || !REFUSALS_AND_OURS.includes(status)) found.push([target, status])
      }
      expect(found).toEqual([])
    })
  })
})
