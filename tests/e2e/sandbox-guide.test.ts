/** Runs every command of docs/sandbox.md in order, and its scene, on a new gateway. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Account, GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { type ShellSession, shellSession } from '../support/shell-session.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type Example, examplesOf } from '../support/usage-guide.ts'

setDefaultTimeout(60_000)

const DEVICE = '237123456789'
const EXAMPLES = examplesOf(readFileSync(join(import.meta.dir, '..', '..', 'docs', 'sandbox.md'), 'utf8'))
/** Examples that are refused, by their heading. */
const REFUSED: Record<string, number> = { Errors: 404 }

const folder = tempDir()
/** Ids of the newest message that is about no other, and of the newest group. */
const ids = { message: '', group: '' }
let gateway: GatewayProcess
let account: Account
let shell: ShellSession

beforeAll(async () => {
  gateway = await spawnGateway()
  account = await new GatewayClient(gateway).account()
  await account.link(DEVICE)
  writeFileSync(join(gateway.directory, 'photo.jpg'), new Uint8Array([0xff, 0xd8, 0xff, 0xe0]))
  writeFileSync(folder.file('.curlrc'), 'silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
  shell = shellSession({ cwd: gateway.directory, home: folder.path, path: process.env.PATH ?? '' })
})
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

for (const [index, example] of EXAMPLES.entries()) if (example.language === 'bash') runs(example, index)

function runs({ heading, code }: Example, index: number): void {
  test(`${heading}: ${code.split('\n')[0]}`, async () => {
    const typed = code
      .replaceAll('localhost:8080', new URL(gateway.url).host)
      .replace('{message}', ids.message)
      .replace('{group}', ids.group)
    const { output } = await shell.run(typed)
    const [, body = '', status = ''] = /^(.*)\n(\d{3})$/s.exec(output) ?? []
    const wanted = REFUSED[heading]
    expect(`${status} ${body}`).toMatch(wanted === undefined ? /^20[01] / : new RegExp(`^${wanted} `))
    const answer = JSON.parse(body)
    if (answer.type !== undefined && answer.edits === null && answer.reaction === null)
      ids.message = answer.id
    if (answer.invite_code !== undefined) ids.group = answer.id
    const next = EXAMPLES[index + 1]
    if (next?.language !== 'json' || next.heading !== heading) return
    const printed = JSON.parse(next.code)
    expect(answer).toMatchObject(printed)
    if (!Array.isArray(printed))
      expect(Object.keys(answer).filter(key => key in printed)).toEqual(Object.keys(printed))
  })
}

test('the scene goes as it should', async () => {
  const program = EXAMPLES.find(({ language }) => language === 'js')?.code ?? ''
  writeFileSync(folder.file('scene.mjs'), program)
  const scene = Bun.spawn([process.execPath, folder.file('scene.mjs')], {
    env: { TOKEN: account.token, GATEWAY: gateway.url },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [said, complaint] = await Promise.all([scene.stdout.text(), scene.stderr.text()])
  expect({ said, complaint }).toEqual({ said: 'the scene went as it should\n', complaint: '' })
})
