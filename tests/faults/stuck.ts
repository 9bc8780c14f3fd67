/** Counts queue rows that must be gone at the end. */
import { Database } from 'bun:sqlite'
import type { MessageFate } from './count.ts'

/** Each query counts rows; at the end all must be 0. */
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

/** Reads while the program runs. */
export function stuckRows(databaseFile: string): StuckRows {
  return read(databaseFile, database => {
    const count = (query: string) =>
      Number(database.query<Record<string, number>, []>(query).values()[0]?.[0] ?? 0)
    return Object.fromEntries(
      Object.entries(QUERIES).map(([name, query]) => [name, count(query)]),
    ) as StuckRows
  })
}

/** Rows of messages alone: deliveries may wait hours for an endpoint or a file. */
export function messageRows(databaseFile: string): Partial<StuckRows> {
  const {
    'deliveries not settled': _deliveries,
    'delivery lanes': _lanes,
    leases: _leases,
    ...rest
  } = stuckRows(databaseFile)
  return rest
}

/** Texts of stored incoming messages. */
export function storedTexts(databaseFile: string): Set<string> {
  const query = `select payload ->> '$.message' as text from events where name = 'message.received'`
  return read(databaseFile, database => {
    const rows = database.query<{ text: string }, []>(query).all()
    return new Set(rows.map(({ text }) => text))
  })
}

export function isEmpty(rows: Partial<StuckRows>): boolean {
  return Object.values(rows).every(count => count === 0)
}

/** Each message's state, by id. */
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
