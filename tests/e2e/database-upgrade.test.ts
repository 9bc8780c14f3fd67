/**
 * A database that an earlier version left behind (migration 29) goes on as if nothing
 * had happened: what waited is sent once and in order, and the newer migrations can be taken back.
 */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { migrations } from '../../migrations/index.ts'
import { migrateDown, migrateUp } from '../../src/db/migrate.ts'
import type { MessageView } from '../../src/domain/views/message.ts'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(120_000)

const EARLIER = 29
const ROWS = join(import.meta.dir, 'fixtures', `database-${EARLIER}.sql`)
/** The earlier version's settings and what it gave to its clients. */
const ENV = {
  SECRET_KEY: 'a secret key of an earlier version',
  CLIENT_ID: 'admin',
  CLIENT_SECRET: 'the secret of an earlier version',
  SANDBOX: 'on',
  SEND_INTERVAL_MS: '0',
  // The rows grow older from run to run.
  RETENTION_DAYS: '36500',
}
const TOKEN = 'mt_16wbaKSTNt1tCRT78I85PcM-OxonGlwYmxw6P3ZIQJc'
const DEVICE = '491519477760'
const FRIEND = '491516987191'
const WAITING = 11

let folder: TempDir
let file: string
beforeEach(() => {
  folder = tempDir()
  const data = join(folder.path, 'data')
  file = join(data, 'meshgate.db')
  mkdirSync(join(data, 'media', '1B'), { recursive: true })
  writeFileSync(join(data, 'media', '1B', 'file_Y-gz92FaJM-XbDInV9ChNw1B'), 'a b c d e')
  using database = new Database(file, { create: true, strict: true })
  migrateUp(database, 0, migrations.slice(0, EARLIER))
  database.run(readFileSync(ROWS, 'utf8'))
})
afterEach(() => folder[Symbol.dispose]())

const run = () => spawnGateway({ directory: folder.path, env: ENV })

/** Texts for each phone, in order, apart from what was cancelled. */
function textsByNumber(): Map<string, string[]> {
  using database = new Database(file, { strict: true })
  const texts = new Map<string, string[]>()
  const rows = database
    .query<{ recipient: string; text: string }, []>(
      "SELECT recipient, text FROM messages WHERE status <> 'cancelled' ORDER BY seq",
    )
    .all()
  for (const { recipient, text } of rows) {
    const number = recipient.replace('+', '')
    texts.set(number, [...(texts.get(number) ?? []), text])
  }
  return texts
}

/** Messages that aren't settled, by columns that the earlier version has, too. */
function waitingRows(): unknown[] {
  using database = new Database(file, { strict: true })
  return database
    .query(
      "SELECT id, lane, text, status FROM messages WHERE status IN ('queued', 'sending', 'submitted') ORDER BY seq",
    )
    .all()
}

test('what waited is sent once, in the order of each chat, and its file with it', async () => {
  const written = textsByNumber()
  expect(written.size).toBe(12)
  await using gateway = await run()
  const client = new GatewayClient(gateway)
  const account = client.accountOf(TOKEN)
  const all = async () => (await account.api.get<MessageView[]>('/api/v1/messages?limit=100')).body
  const before = await all()
  expect(before).toHaveLength(18)
  await waitFor(async () => (await all()).every(({ status }) => !['queued', 'sending'].includes(status)), {
    what: 'all messages to be settled',
    deadlineMs: 60_000,
  })
  const statuses: string[] = (await all()).map(({ status }) => status)
  expect(statuses.toSorted()).toEqual(['cancelled', ...Array<string>(17).fill('delivered')])
  for (const [number, texts] of written) {
    expect((await client.phone(number).received()).map(({ text }) => text)).toEqual(texts)
  }
  const phone = client.phone(FRIEND)
  await phone.waitForMessage(({ file }) => file?.name === 'a.bin')
  await account.send(DEVICE, { contact: `+${FRIEND}`, text: 'after the upgrade' })
  await phone.waitForText('after the upgrade')
})

test('taken back, the earlier version finds what waited, and can go up again', async () => {
  const before = waitingRows()
  expect(before).toHaveLength(WAITING)
  {
    using database = new Database(file, { strict: true })
    migrateUp(database, 1_000)
    for (let step = EARLIER; step < migrations.length; step += 1) migrateDown(database)
    const left = database.query('SELECT max(version) AS version FROM schema_migrations').get()
    expect(left).toEqual({ version: EARLIER })
    expect(database.query('PRAGMA foreign_key_check').all()).toEqual([])
    expect(database.query('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    migrateUp(database, 2_000)
  }
  expect(waitingRows()).toEqual(before)
  await using gateway = await run()
  const account = new GatewayClient(gateway).accountOf(TOKEN)
  await waitFor(() => waitingRows().length === 0, { what: 'what waited to be sent', deadlineMs: 60_000 })
  expect((await account.devices()).map(({ device_id, state }) => [device_id, state])).toEqual([
    [DEVICE, 'connected'],
  ])
})
