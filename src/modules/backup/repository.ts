/** SQL on the copy of a database that is being backed up or restored. */
import { asc, eq, getTableName, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { bridges, inboxEvents, media, messages, outboxLanes } from '../../db/schema/index.ts'
import { createStatusWriter } from '../messages/status-repository.ts'

export interface BackupRepository {
  /** Ids of the files that ought to be on our disk. */
  storedFiles(): string[]
  /** Where the bridges that were attached have their files. */
  bridgeFolders(): { platform: string; dir: string }[]
  /** Commands that the gateway runs for the attached bridges. */
  bridgeCommands(): { platform: string; command: string[] }[]
  /** How many messages wait to be sent. */
  waitingCount(): number
  /** Ends every message that waits, and tells the webhooks that ask. @returns how many there were */
  failWaiting(reason: string, now: number): Promise<number>
  /**
   * Numbers what happens from now on beyond all that was ever told of an event's place, also by restores of the same backup: readers of the feed
   * hold places later than the backup, and would take what is new for what they have had. Milliseconds since the epoch do, as no gateway
   * stores a thousand events a second for years.
   */
  passPlaces(now: number): Promise<void>
}

export function createBackupRepository(db: Db): BackupRepository {
  const { orm } = db
  const waiting = sql`${messages.status} in ('queued', 'sending')`
  const statuses = createStatusWriter(db)
  return {
    storedFiles: () =>
      orm
        .select({ id: media.id })
        .from(media)
        .where(eq(media.stored, true))
        .all()
        .map(({ id }) => id),
    bridgeCommands: () =>
      orm
        .select({ platform: bridges.platform, command: bridges.command })
        .from(bridges)
        .orderBy(asc(bridges.platform))
        .all()
        .flatMap(({ platform, command }) => (command ? [{ platform, command }] : [])),
    bridgeFolders: () => orm.select({ platform: bridges.platform, dir: bridges.dir }).from(bridges).all(),
    waitingCount: () =>
      orm.select({ count: sql<number>`count(*)` }).from(messages).where(waiting).get()?.count ?? 0,
    failWaiting: (reason, now) =>
      db.committer.write(() => {
        const found = orm.select().from(messages).where(waiting).orderBy(asc(messages.seq)).all()
        for (const message of found) statuses.ended(message, 'failed', reason, now)
        // A lane that waits for its slot would hold up what is sent next.
        orm.delete(outboxLanes).run()
        return found.length
      }),
    passPlaces: now =>
      db.committer.write(() => {
        const table = getTableName(inboxEvents)
        orm.run(sql`update sqlite_sequence set seq = max(seq, ${now}) where name = ${table}`)
        // Its row comes with the table's first.
        orm.run(sql`insert into sqlite_sequence (name, seq)
          select ${table}, ${now} where not exists (select 1 from sqlite_sequence where name = ${table})`)
      }),
  }
}
