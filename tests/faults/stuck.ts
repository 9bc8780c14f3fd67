/** What must be empty once all is over: rows of queues, as the database has them. */
import { Database } from 'bun:sqlite'
import type { MessageFate } from './count.ts'

/** How many rows each query finds; what is 0 everywhere is over. */
const QUERIES = {
  'messages not settled': `select count(*) from messages where status in ('queued', 'sending', 'submitted')`,
  'outbox lanes': 'select count(*) from outbox_lanes',
  'deliveries not settled': `select count(*) from deliveries where status = 'pending'`,
  'deliveries given up': `select count(*) from deliveries where status = 'dead'`,
  'delivery lanes': 'select count(*) from delivery_lanes',
  leases:
    'select (select count(*) from outbox_lanes where lease_id is not null) + (select count(*) from delivery_lanes where lease_id is not null)',
  'held events': 'select count(*) from held_events',
  'chats not joined': `select count(*) from chats where membership in ('invited', 'joining')`,
  "the sandbox's deliveries": 'select count(*) from sandbox_delivery',
} as const
export type StuckRows = Record<keyof typeof QUERIES, number>

/** Reads from beside the program, which goes on. */
export function stuckRows(databaseFile: string): StuckRows {
  return read(databaseFile, database => {
    const count = (query: string) =>
      Number(database.query<Record<string, number>, []>(query).values()[0]?.[0] ?? 0)
    return Object.fromEntries(
      Object.entries(QUERIES).map(([name, query]) => [name, count(query)]),
    ) as StuckRows
  })
}

/** Those of messages alone: deliveries may wait for hours, for an endpoint or for a file. */
export function messageRows(databaseFile: string): Partial<StuckRows> {
  const {
    'deliveries not settled': _deliveries,
    'delivery lanes': _lanes,
    leases: _leases,
    ...rest
  } = stuckRows(databaseFile)
  return rest
}

/** Texts of the messages that the gateway knows to have come in. */
export function storedTexts(databaseFile: string): Set<string> {
  const query = `select payload ->> '$.message' as text from inbox_events where name = 'message.received'`
  return read(databaseFile, database => {
    const rows = database.query<{ text: string }, []>(query).all()
    return new Set(rows.map(({ text }) => text))
  })
}

export function isEmpty(rows: Partial<StuckRows>): boolean {
  return Object.values(rows).every(count => count === 0)
}

/** What became of each message, by its id. */
export function messageFates(databaseFile: string): Map<string, MessageFate> {
  return read(databaseFile, database => {
    const rows = database
      .query<MessageFate & { id: string }, []>('select id, status, reason, resends from messages')
      .all()
    return new Map(rows.map(({ id, ...fate }) => [id, fate]))
  })
}

function read<T>(databaseFile: string, look: (database: Database) => T): T {
  const database = new Database(databaseFile, { readonly: true })
  try {
    database.run('PRAGMA busy_timeout = 5000')
    return look(database)
  } finally {
    database.close()
  }
}
