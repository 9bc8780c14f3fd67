/** SQL on the copy of a database that is being backed up or restored. */
import { asc, eq, getTableName, sql } from 'drizzle-orm'
import type { Db } from '../../../db/open.ts'
import { bridges, events, media, messages, outboxLanes } from '../../../db/schema/index.ts'
import { sqlStatement, statement } from '../../../db/statement.ts'
import { createStatusWriter } from '../../sending/statuses/status-repository.ts'

const isWaiting = sql`${messages.status} in ('scheduled', 'queued', 'sending')`
const files = statement(orm => orm.select({ id: media.id }).from(media).where(eq(media.stored, true)))
const attached = statement(orm =>
  orm
    .select({ platform: bridges.platform, command: bridges.command, dir: bridges.dir })
    .from(bridges)
    .orderBy(asc(bridges.platform)),
)
const countOfWaiting = statement(orm =>
  orm.select({ count: sql<number>`count(*)` }).from(messages).where(isWaiting),
)
const waiting = statement(orm => orm.select().from(messages).where(isWaiting).orderBy(asc(messages.seq)))
const raisePlace = sqlStatement('UPDATE sqlite_sequence SET seq = max(seq, $now) WHERE name = $table')
// The row comes with the table's first.
const addPlace = sqlStatement(
  `INSERT INTO sqlite_sequence (name, seq)
   SELECT $table, $now WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = $table)`,
)

export function createBackupRepository(db: Pick<Db, 'read' | 'write'>) {
  const statuses = createStatusWriter()
  return {
    /** Ids of the files that ought to be on our disk. */
    storedFiles: async () => (await db.read(reader => reader.all(files))).map(({ id }) => id),

    /** The attached bridges, with their folders and the commands that the gateway runs. */
    bridges: () => db.read(reader => reader.all(attached)),

    /** Counts the messages that wait to be sent. */
    waitingCount: async () => (await db.read(reader => reader.get(countOfWaiting)))?.count ?? 0,

    /** Fails every message that waits, with events for webhooks. @returns how many there were */
    failWaiting: (reason: string, now: number) =>
      db.write(async tx => {
        const found = await tx.all(waiting)
        for (const message of found) await statuses.failed(tx, message, reason, now)
        // A lane that waits for a retry would hold up what is sent next.
        await tx.run(orm => orm.delete(outboxLanes))
        return found.length
      }),

    /**
     * Numbers later events beyond all places that readers of the feed may know, also from restores
     * of the same backup: they would take new events for old ones. Epoch milliseconds do, as no
     * gateway stores a thousand events a second for years.
     */
    passPlaces: (now: number) =>
      db.write(async tx => {
        const table = getTableName(events)
        await tx.run(raisePlace, { table, now })
        await tx.run(addPlace, { table, now })
      }),
  }
}
