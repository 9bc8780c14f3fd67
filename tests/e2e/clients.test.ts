/**
 * Clients that generators make from openapi.json compile, and each sends a text and a file to a
 * running gateway; one also sends the other kinds of messages, reacts and searches. Redocly finds
 * nothing wrong with the document.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, existsSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Account, Phone } from '../support/gateway-client.ts'
import { tempDir } from '../support/temp-dir.ts'
import { testGateway } from '../support/test-gateway.ts'

setDefaultTimeout(120_000)

const ROOT = join(import.meta.dir, '..', '..')
const DOCUMENT = join(ROOT, 'openapi.json')
const PROGRAMS = join(import.meta.dir, 'clients')
/** Installed by scripts/install-e2e-tools.sh. */
const PACKAGES = join(ROOT, '.tools', 'clients', 'node_modules')
const PYTHON = join(ROOT, '.tools', 'python-client', 'bin')
const withPackages = test.skipIf(!existsSync(PACKAGES))
const withPython = test.skipIf(!existsSync(PYTHON))
const FILE_NAME = 'greeting.txt'

const folder = tempDir()
const stack = new AsyncDisposableStack()
let account: Account
let device: string
let person: Phone

beforeAll(async () => {
  const { client } = stack.use(await testGateway())
  ;({ account, device } = await client.linkedAccount())
  person = await client.newPhone()
  cpSync(PROGRAMS, folder.path, { recursive: true })
  if (existsSync(PACKAGES)) symlinkSync(PACKAGES, folder.file('node_modules'))
})
afterAll(async () => {
  await stack.disposeAsync()
  folder[Symbol.dispose]()
})

withPackages('redocly finds nothing wrong', async () => {
  const output = await succeeds(npm('redocly', 'lint', '--config', 'redocly.yaml', DOCUMENT))
  expect(output).not.toMatch(/warning|error/i)
})

withPackages('a client of openapi-typescript and openapi-fetch', async () => {
  await succeeds(npm('openapi-typescript', DOCUMENT, '-o', 'generated/schema.ts'))
  await compiles('openapi-fetch')
  await sends('openapi-fetch', [process.execPath, 'openapi-fetch.ts'])
})

withPackages('a client of @hey-api/openapi-ts', async () => {
  await succeeds(npm('openapi-ts', '-i', DOCUMENT, '-o', 'generated/hey'))
  await compiles('hey-api')
  await sends('hey-api', [process.execPath, 'hey-api.ts'])
  const shown = (part: string) => person.waitForMessage(each => JSON.stringify(each).includes(part), part)
  for (const part of ['"by hey-api"', 'When, hey-api?', 'is mentioned by hey-api', '👍']) await shown(part)
})

withPython('a client of openapi-python-client', async () => {
  const python = join(PYTHON, 'python')
  const options = ['--path', DOCUMENT, '--output-path', 'meshgate', '--meta', 'none']
  const output = await succeeds([python, '-m', 'openapi_python_client', 'generate', ...options])
  // It leaves out what it can't make, with a warning.
  expect(output).toBe('Generating meshgate\n')
  await succeeds([python, '-m', 'compileall', '-q', 'meshgate'])
  await sends('python', [python, 'python.py'])
})

/** Runs a program of the folder `clients`, and expects what it sent on the person's phone. */
async function sends(name: string, command: string[]): Promise<void> {
  const output = await succeeds(command, {
    GATEWAY_URL: account.address.url,
    TOKEN: account.token,
    DEVICE: device,
    CONTACT: person.number,
    FILE_NAME,
  })
  expect(output.match(/msg_\w+/g)).toBeArrayOfSize(2)
  await person.waitForText(`a text by ${name}`)
  const { file } = await person.waitForText(`a file by ${name}`)
  expect(file).toMatchObject({ name: FILE_NAME, size: 'hello'.length })
}

/** Expects that TypeScript compiles the program and the client that it uses. */
async function compiles(name: string): Promise<void> {
  const project = { extends: './tsconfig.json', files: [`${name}.ts`] }
  writeFileSync(folder.file(`tsconfig.${name}.json`), JSON.stringify(project))
  expect(await succeeds(npm('tsc', '-p', `tsconfig.${name}.json`))).toBe('')
}

function npm(command: string, ...words: string[]): string[] {
  return [process.execPath, '--bun', join(PACKAGES, '.bin', command), ...words]
}

/** @returns what the command printed */
async function succeeds(command: string[], env: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn(command, {
    cwd: folder.path,
    env: { PATH: `${PYTHON}:/usr/bin:/bin`, HOME: folder.path, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  const output = `${stdout}${stderr}`
  expect([await child.exited, output]).toEqual([0, output])
  return output
}
