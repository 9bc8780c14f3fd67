/**
 * The listener for bridges and homeservers: when it opens, what it serves, what the clients' port
 * still serves, and how older configurations are changed.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { runCommand } from '../support/command-line.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { freePort } from '../support/program.ts'
import { rawRequest } from '../support/raw-request.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const stack: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of stack.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

const URL_OF_NO_BRIDGE = 'http://127.0.0.1:1'

/** Removed after the test. */
function tempFolder(): string {
  const folder = tempDir()
  stack.push({ [Symbol.asyncDispose]: async () => folder[Symbol.dispose]() })
  return folder.path
}

/** A folder with settings to run the program in. */
function deployment(env: Record<string, string> = {}) {
  const folder = tempFolder()
  const [port, bridgePort] = [freePort(), freePort()]
  const settings = {
    PORT: String(port),
    BRIDGE_PORT: String(bridgePort),
    CLIENT_ID: 'admin',
    CLIENT_SECRET: 'a secret of the tests',
    SECRET_KEY: 'a secret key of the tests',
    LOG_LEVEL: 'info',
    ...env,
  }
  const configFile = join(folder, 'data', 'bridges', 'wa', 'config.yaml')
  return {
    folder,
    mainUrl: `http://127.0.0.1:${port}`,
    bridgeUrl: `http://127.0.0.1:${bridgePort}`,
    configFile,
    /** The bridge's configuration. */
    config: () => parse(readFileSync(configFile, 'utf8')),
    meshgate: (...args: string[]) => runCommand(folder, args, settings),
    async start(): Promise<GatewayProcess> {
      const gateway = await spawnGateway({ directory: folder, env: settings })
      stack.push(gateway)
      return gateway
    },
  }
}
type Site = ReturnType<typeof deployment>

/** @returns the status; 0 when the port is closed */
async function statusOf(url: string, token?: string, init: RequestInit = {}): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(url, { ...init, headers }).catch(() => null)
  return response?.status ?? 0
}

const versions = (url: string, token?: string) => statusOf(`${url}/_matrix/client/versions`, token)
const report = (url: string, token: string) =>
  statusOf(`${url}/_meshgate/bridge-status/wa`, token, { method: 'POST', body: '{}' })
const tokenOf = (site: Site): string => site.config().appservice.as_token

/** Writes the configuration as versions before the listener did. */
function leadToMainPort(site: Site): void {
  const text = readFileSync(site.configFile, 'utf8')
  writeFileSync(site.configFile, `# Ours.\n${text.replaceAll(site.bridgeUrl, site.mainUrl)}`)
}

describe('the listener', () => {
  test('opens with the first bridge, while the gateway runs, and is the only place for what bridges ask', async () => {
    const site = deployment()
    const gateway = await site.start()
    expect([await versions(site.mainUrl), await versions(site.bridgeUrl)]).toEqual([404, 0])
    // Without bridges this is a path like any other.
    const elsewhere = { headers: ['Host: elsewhere.example.com'] }
    expect((await rawRequest(site.mainUrl, '/_matrix/client/versions', elsewhere)).status).toBe(421)
    expect((await site.meshgate('bridge', 'add', 'wa', '--url', URL_OF_NO_BRIDGE)).exitCode).toBe(0)
    expect(site.config().homeserver).toMatchObject({
      address: site.bridgeUrl,
      status_endpoint: `${site.bridgeUrl}/_meshgate/bridge-status/wa`,
    })
    await waitFor(async () => (await versions(site.bridgeUrl)) === 200)
    const token = tokenOf(site)
    await waitFor(async () => (await report(site.bridgeUrl, token)) === 200)
    for (const path of ['/health', '/ready', '/metrics', '/api/v1/devices', '/docs/json', '/sandbox', '/'])
      expect([path, await statusOf(site.bridgeUrl + path)]).toEqual([path, 404])
    expect([await versions(site.mainUrl), await versions(site.mainUrl, 'another')]).toEqual([404, 404])
    expect(await report(site.mainUrl, 'another')).toBe(404)
    expect(await statusOf(`${site.mainUrl}/sandbox`)).toBe(200)
    expect(await gateway.stop()).toBe(0)
    const again = await site.start()
    expect(again.output()).toContain(`for bridges  ${site.bridgeUrl}`)
    expect(await versions(site.bridgeUrl)).toBe(200)
  })

  test('on a port that is taken: the start says so by the setting’s name, and so does the log of a gateway that runs', async () => {
    using taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('not ours') })
    const site = deployment({ BRIDGE_PORT: String(taken.port) })
    const gateway = await site.start()
    const told = `BRIDGE_PORT: 127.0.0.1:${taken.port} is in use; stop what listens there, or set another BRIDGE_PORT`
    await site.meshgate('bridge', 'add', 'wa', '--url', URL_OF_NO_BRIDGE)
    await waitFor(() => gateway.output().includes(told))
    expect(await gateway.stop()).toBe(0)
    const { exitCode, err } = await site.meshgate('serve')
    expect({ exitCode, err: err.trim().split('\n').at(-1) }).toEqual({
      exitCode: 1,
      err: `meshgate: ${told}`,
    })
    expect(await site.meshgate('doctor').then(({ out }) => out)).not.toContain('this is unexpected')
  })

  test('serves a bridge that the gateway runs until it has ended, which may have something to hand over', async () => {
    const port = freePort()
    const url = `http://127.0.0.1:${port}`
    const program = join(tempFolder(), 'bridge.ts')
    const told = `${program}.told`
    const site = deployment({
      BRIDGES: 'wa',
      BRIDGE_WA_URL: url,
      BRIDGE_WA_SECRET: 'a secret of the bridge',
      BRIDGE_WA_COMMAND: `${process.execPath} ${program}`,
    })
    const asked = JSON.stringify(`${site.bridgeUrl}/_matrix/client/versions`)
    writeFileSync(
      program,
      `Bun.serve({ port: ${port}, hostname: '127.0.0.1', fetch: () => Response.json({}) })
       process.on('SIGTERM', async () => {
         const answer = await fetch(${asked}).catch(error => ({ status: error.code }))
         await Bun.write(${JSON.stringify(told)}, String(answer.status))
         process.exit()
       })`,
    )
    await site.meshgate('bridge', 'add', 'wa', '--url', url)
    const gateway = await site.start()
    await waitFor(async () => (await statusOf(url)) === 200)
    expect(await gateway.stop()).toBe(0)
    expect(readFileSync(told, 'utf8')).toBe('200')
  })

  test('on any port that is free: configurations that we wrote lead there, after each start', async () => {
    const site = deployment({ BRIDGE_PORT: '0' })
    await site.meshgate('bridge', 'add', 'wa', '--url', URL_OF_NO_BRIDGE)
    for (let turn = 0; turn < 2; turn += 1) {
      const gateway = await site.start()
      const url = /for bridges +(http:\/\/127\.0\.0\.1:\d+)/.exec(gateway.output())?.[1] ?? ''
      expect(site.config().homeserver).toMatchObject({
        address: url,
        status_endpoint: `${url}/_meshgate/bridge-status/wa`,
      })
      expect(await report(url, tokenOf(site))).toBe(200)
      await gateway.stop()
    }
  })
})

describe('a bridge from before there was the listener', () => {
  test('has its configuration changed, if we wrote it, and nothing else in it', async () => {
    const site = deployment()
    await site.meshgate('bridge', 'add', 'wa', '--url', URL_OF_NO_BRIDGE)
    const now = readFileSync(site.configFile, 'utf8')
    leadToMainPort(site)
    await site.start()
    expect(readFileSync(site.configFile, 'utf8')).toBe(
      `# Ours.\n${now.replaceAll(/(address|status_endpoint|checkpoint_endpoint): (http:\S+)/g, (line, key, url) => (url.startsWith(site.bridgeUrl) ? `${key}: "${url}"` : line))}`,
    )
  })

  test('is served at the clients’ port, too, which the log and the doctor tell until it comes to its own', async () => {
    const site = deployment()
    using bridge = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => Response.json({}) })
    await site.meshgate('bridge', 'add', 'wa', '--url', `http://127.0.0.1:${bridge.port}`)
    const token = tokenOf(site)
    const gateway = await site.start()
    for (let turn = 0; turn < 2; turn += 1) expect(await versions(site.mainUrl, token)).toBe(200)
    expect(await report(site.mainUrl, token)).toBe(200)
    expect([await versions(site.mainUrl), await versions(site.mainUrl, 'another')]).toEqual([404, 404])
    const lines = () =>
      gateway
        .output()
        .split('\n')
        .filter(line => line.includes('a bridge comes to PORT'))
    expect(lines()).toHaveLength(1)
    const doctor = async () => (await site.meshgate('doctor')).out
    expect(await doctor()).toMatch(
      /^warning +wa bridge +comes to PORT, where this version serves it for the last/m,
    )
    expect(await report(site.bridgeUrl, token)).toBe(200)
    expect(await doctor()).not.toContain('comes to PORT')
    // An old configuration put back brings the warning back.
    expect(await report(site.mainUrl, token)).toBe(200)
    expect(await doctor()).toContain('comes to PORT')
  })

  test('that comes there by a name of ours has its configuration changed then', async () => {
    const site = deployment({ BRIDGE_HOST: '0.0.0.0' })
    const urlAt = (url: string) => `http://meshgate:${new URL(url).port}`
    const to = ['--url', 'http://whatsapp:29318', '--homeserver-url', urlAt(site.mainUrl)]
    const { out } = await site.meshgate('bridge', 'add', 'wa', ...to)
    expect(out).toContain(
      `See that ${urlAt(site.mainUrl)} leads to BRIDGE_PORT (${new URL(site.bridgeUrl).port})`,
    )
    await site.start()
    expect(site.config().homeserver.address).toBe(urlAt(site.mainUrl))
    expect(await versions(site.mainUrl, tokenOf(site))).toBe(200)
    expect(site.config().homeserver.address).toBe(urlAt(site.bridgeUrl))
  })
})

test('an external homeserver pushes there from the start, and where its registration is an old one to the clients’ port', async () => {
  using homeserver = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => Response.json({}) })
  const hsToken = 'the_hs_token'
  const site = deployment({
    MATRIX_HOMESERVER_URL: `http://127.0.0.1:${homeserver.port}`,
    MATRIX_AS_TOKEN: 'the_as_token',
    MATRIX_HS_TOKEN: hsToken,
  })
  const push = (url: string, token: string) =>
    statusOf(`${url}/_matrix/app/v1/transactions/${crypto.randomUUID()}`, token, {
      method: 'PUT',
      body: JSON.stringify({ events: [] }),
    })
  const gateway = await site.start()
  expect([await push(site.bridgeUrl, hsToken), await push(site.bridgeUrl, 'another')]).toEqual([200, 403])
  expect(gateway.output()).not.toContain('the homeserver comes to PORT')
  expect([await push(site.mainUrl, 'another'), await push(site.mainUrl, hsToken)]).toEqual([404, 200])
  await waitFor(() => gateway.output().includes('the homeserver comes to PORT'))
  // No homeserver of ours runs here for a bridge to ask.
  expect(await versions(site.bridgeUrl)).toBe(404)
})
