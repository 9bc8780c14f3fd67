/**
 * The least cost of a durable accept with Bun and SQLite: one server, one table, an insert for each
 * request, and a commit for each turn of the event loop. It authenticates nobody and sends nothing.
 */
import { Database } from 'bun:sqlite'
import { readTask } from '../child.ts'

interface Waiting {
  contact: string
  text: string
  resolve(id: number): void
}

const { databaseFile } = readTask<{ databaseFile: string }>()
const database = new Database(databaseFile, { create: true })
// The program's own pragmas, so that only the programs differ.
for (const pragma of [
  'journal_mode = WAL',
  'synchronous = FULL',
  'cache_size = -32768',
  'wal_autocheckpoint = 4096',
]) {
  database.run(`PRAGMA ${pragma}`)
}
database.run(
  'CREATE TABLE message (id INTEGER PRIMARY KEY, contact TEXT NOT NULL, text TEXT NOT NULL, created_at INTEGER NOT NULL)',
)
const insert = database.prepare('INSERT INTO message (contact, text, created_at) VALUES (?, ?, ?)')
let queue: Waiting[] = []

function accept(contact: string, text: string): Promise<number> {
  return new Promise(resolve => {
    if (queue.length === 0) setImmediate(commit)
    queue.push({ contact, text, resolve })
  })
}

function commit(): void {
  const batch = queue
  queue = []
  database.run('BEGIN IMMEDIATE')
  const ids = batch.map(({ contact, text }) => Number(insert.run(contact, text, Date.now()).lastInsertRowid))
  database.run('COMMIT')
  for (const [index, { resolve }] of batch.entries()) resolve(ids[index] ?? 0)
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  async fetch(request) {
    const { contact, text } = (await request.json()) as { contact: string; text: string }
    const id = await accept(contact, text)
    return Response.json({ message: 'Message queued successfully', messages: [{ id, to: contact }] })
  },
})
console.log(server.url.origin)
