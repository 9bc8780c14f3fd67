/** `meshgate link`: a phone of the sandbox is linked from a terminal. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { runCommandLine } from '../../src/cli/run.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { MESHGATE } from '../support/meshgate-program.ts'
import { answers, freePort, startProgram } from '../support/program.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

let gateway: GatewayProcess
const settings = { PORT: String(freePort()), BRIDGE_PORT: '0' }

beforeAll(async () => {
  gateway = await spawnGateway({ env: settings })
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** Runs the command; `out` grows while it does. */
const linking = (...args: string[]) => linkingAt(gateway.directory, settings, ...args)

function linkingAt(directory: string, environment: Record<string, string>, ...args: string[]) {
  const out: string[] = []
  const done = runCommandLine(['link', ...args], {
    directory,
    environment,
    print: line => out.push(...line.split('\n')),
    complain: line => out.push(...line.split('\n')),
  })
  return { done, out }
}

/** Waits for a line. @returns it, from where the pattern begins */
const lineOf = (out: string[], pattern: RegExp) =>
  waitFor(() => out.map(line => pattern.exec(line)?.[0]).find(Boolean) ?? null, { what: String(pattern) })

test('the admin’s token is kept when the link fails, since no later one would be the host', async () => {
  const { done, out } = linking('nothing')
  expect(await done).toBe(1)
  expect(out).toEqual([
    expect.stringMatching(
      /^its new token stays; to try again with it: meshgate link nothing --token mt_\S{43}$/,
    ),
    expect.stringContaining('platform: "nothing" is unknown'),
  ])
})

test('draws the code, and prints device and token once the phone has scanned it', async () => {
  const { done, out } = linking('wa')
  const code = await lineOf(out, /http:\/\/\S+\/sandbox\/link\/\S+/)
  expect(out.join('\n')).toContain('▄▄▄▄▄')
  await fetch(code, { method: 'POST', body: JSON.stringify({ phone: '4915112345678' }) })
  expect(await done).toBe(0)
  expect(out.at(-2)).toBe('linked wa 4915112345678 (Lena Brandt)')
  const token = /^token (mt_\S{43})$/.exec(out.at(-1) ?? '')?.[1]
  const devices = await fetch(`${gateway.url}/api/v1/devices`, {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(await devices.json()).toMatchObject([{ device_id: '4915112345678', state: 'connected' }])
})

test('the token goes to a file of its owner’s where that is asked for, and no other is overwritten', async () => {
  const { done, out } = linking('wa', '--save', 'token.txt')
  const code = await lineOf(out, /http:\/\/\S+\/sandbox\/link\/\S+/)
  await fetch(code, { method: 'POST', body: JSON.stringify({ phone: '4915112345679' }) })
  expect(await done).toBe(0)
  const file = join(gateway.directory, 'token.txt')
  expect(out.at(-1)).toBe(`its token is in ${file}`)
  expect(readFileSync(file, 'utf8')).toMatch(/^mt_\S{43}\n$/)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const again = linking('wa', '--save', 'token.txt')
  expect(await again.done).toBe(1)
  expect(again.out).toEqual([`meshgate: --save: ${file} exists already`])
})

test('the page of the link does the same on another device', async () => {
  const { done, out } = linking('wa')
  const page = await lineOf(out, /http:\/\/\S+\/link\/[\w-]{22}$/)
  const text = await (await fetch(page)).text()
  const code = /href="(http:[^"]+\/sandbox\/link\/[^"]+)"/.exec(text)?.[1] ?? ''
  await fetch(code, { method: 'POST', body: JSON.stringify({ phone: '4915112345670' }) })
  expect(await done).toBe(0)
})

test('the page is for other devices where the gateway has a public address', async () => {
  using folder = tempDir()
  const port = freePort()
  const environment = { PORT: String(port), BRIDGE_PORT: '0', PUBLIC_URL: 'https://gateway.example.com' }
  await using _published = await startProgram({
    name: 'gateway',
    command: [...MESHGATE, 'serve'],
    cwd: folder.path,
    env: environment,
    isReady: () => answers(`http://127.0.0.1:${port}/health`),
  })
  const { done, out } = linkingAt(folder.path, environment, 'wa')
  await lineOf(out, /^Or open this on another device: https:\/\/gateway\.example\.com\/link\/[\w-]{22}$/)
  process.emit('SIGINT')
  expect(await done).toBe(1)
})

test('a pairing code, with the number given beforehand; without a terminal nothing else can be asked', async () => {
  const asking = linking('wa', '--flow', 'phone')
  expect(await asking.done).toBe(1)
  expect(asking.out.at(-1)).toBe(
    'meshgate: the login asks for something, and there is no terminal to ask at: give --input phone_number=…',
  )
  const { done, out } = linking('wa', '--flow', 'phone', '--input', 'phone_number=+49 1511 2345671')
  expect(await lineOf(out, /^ {2}[A-Z0-9]{4}-?[A-Z0-9]{4}$/)).toBeTruthy()
  process.emit('SIGINT')
  expect(await done).toBe(1)
  expect(out.at(-1)).toBe('meshgate: not linked: the link was cancelled')
})

test('a token that was made for a link which failed is gone', async () => {
  const { clientId, clientSecret } = gateway
  const tokens = async () => {
    const authorization = `Basic ${btoa(`${clientId}:${clientSecret}`)}`
    const response = await fetch(`${gateway.url}/api/v1/tokens`, { headers: { authorization } })
    return ((await response.json()) as { id: number }[]).map(({ id }) => id)
  }
  const before = await tokens()
  expect(await linking('wa', '--flow', 'fax').done).toBe(1)
  const { done, out } = linking('wa')
  await lineOf(out, /http:\/\/\S+\/sandbox\/link\/\S+/)
  expect(await tokens()).toHaveLength(before.length + 1)
  process.emit('SIGINT')
  expect(await done).toBe(1)
  expect(await tokens()).toEqual(before)
})

test('a file that can’t be written leaves the token to the terminal', async () => {
  const { done, out } = linking('wa', '--save', join('nowhere', 'token.txt'))
  const code = await lineOf(out, /http:\/\/\S+\/sandbox\/link\/\S+/)
  await fetch(code, { method: 'POST', body: JSON.stringify({ phone: '4915112345672' }) })
  expect(await done).toBe(0)
  expect(out.at(-2)).toStartWith('--save: ENOENT')
  expect(out.at(-1)).toMatch(/^token mt_\S{43}$/)
})

test.each([
  [['nothing'], 'platform: "nothing" is unknown'],
  [['wa', '--flow', 'fax'], 'flow: "fax" is unknown'],
  [['wa', '--token', 'mt_x'], 'This token is unknown'],
  [['wa', '--input', 'x'], '--input: "x": expected name=value'],
  [
    ['wa', '--url', 'http://127.0.0.1:1', '--token', 'mt_x'],
    "the gateway at http://127.0.0.1:1 doesn't answer",
  ],
])('%j is refused in one line', async (args, message) => {
  const { done, out } = linking(...args)
  expect(await done).toBe(1)
  expect(out).toHaveLength(1)
  expect(out[0]).toContain(message)
})
