/** SQL of files that are fetched from the URL that a send names. Their rows come with the send. */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../../db/open.ts'
import { media, messages } from '../../../db/schema/index.ts'
import { textParam } from '../../../db/stable-params.ts'
import { sqlStatement, statement } from '../../../db/statement.ts'
import type { Tx } from '../../../db/transaction.ts'
import type { StagedFile } from '../../media/media.ts'
import { hurryLane } from '../queue/lane-repository.ts'
import type { StatusWriter } from '../statuses/status-repository.ts'

export interface AwaitedFile {
  id: string
  identityId: string
  url: string
}

const awaited = sqlStatement<AwaitedFile>(`
  SELECT id, identity_id AS identityId, source_url AS url FROM (
    SELECT id, identity_id, source_url, created_at,
      row_number() OVER (PARTITION BY identity_id ORDER BY created_at, id) AS place
    FROM media WHERE source_url IS NOT NULL)
  WHERE place <= $perIdentity + 0 ORDER BY created_at, id LIMIT $limit + 0`)
const lanesWithFile = statement(orm =>
  orm
    .selectDistinct({ lane: messages.lane })
    .from(messages)
    // As the index messages_media has it.
    .where(
      sql`${messages.mediaId} = ${textParam('id')} and ${messages.mediaId} is not null and ${messages.status} = 'queued'`,
    ),
)
const waitingWithFile = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      sql`${messages.mediaId} = ${textParam('id')} and ${messages.mediaId} is not null
        and ${messages.status} in ('scheduled', 'queued', 'sending')`,
    )
    .orderBy(messages.seq),
)
const removeFile = statement(orm => orm.delete(media).where(eq(media.id, sql.placeholder('id'))))

export type UrlFileRepository = ReturnType<typeof createUrlFileRepository>

export function createUrlFileRepository(
  db: Pick<Db, 'read' | 'write'>,
  statuses: Pick<StatusWriter, 'endedUntried'>,
) {
  /** Messages with the file needn't wait until their lanes are looked at again. */
  async function hurryLanes(tx: Tx, id: string, now: number): Promise<void> {
    for (const { lane } of await tx.all(lanesWithFile, { id })) await hurryLane(tx, lane, now)
  }

  return {
    /**
     * @param perIdentity most files of one identity, so that it takes several to keep others out
     * @returns files that are still to be fetched, those that wait longest first
     */
    awaited: (perIdentity: number, limit: number): Promise<AwaitedFile[]> =>
      db.read(reader => reader.all(awaited, { perIdentity, limit })),

    /**
     * Notes that a file is on disk, and lets its messages go.
     * @returns false when no message needs it any more
     */
    fetched: ({ id, ...found }: StagedFile, now: number): Promise<boolean> =>
      db.write(async tx => {
        const isIt = sql`${media.id} = ${id} and ${media.sourceUrl} is not null`
        const noted = await tx.get(orm =>
          orm
            .update(media)
            .set({ ...found, sourceUrl: null, updatedAt: now })
            .where(isIt)
            .returning({ id: media.id }),
        )
        if (noted) await hurryLanes(tx, id, now)
        return noted !== undefined
      }),

    /**
     * Fails the messages whose file can't be had.
     * @returns false when one is claimed just now: try again
     */
    failed: (id: string, reason: string, now: number): Promise<boolean> =>
      db.write(async tx => {
        const found = await tx.all(waitingWithFile, { id })
        await hurryLanes(tx, id, now)
        for (const message of found.filter(({ status }) => status !== 'sending'))
          await statuses.endedUntried(tx, message, 'failed', reason, now)
        if (found.some(({ status }) => status === 'sending')) return false
        await tx.run(removeFile, { id })
        return true
      }),
  }
}
