/** SQL of the list of chats. */
import { desc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Chat, chats, type Device, ERASED, LISTED } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { ChatKind } from '../../domain/states.ts'

/** Ends a page of the list: the last chat's activity and id. */
export type ChatPlace = readonly [activityAt: number, id: string]

export interface ChatFilter {
  identityId: string
  platform: string | null
  kind: ChatKind | null
  device: Pick<Device, 'platform' | 'loginId'> | null
}

const param = sql.placeholder
const next = statement(orm =>
  orm
    .select()
    .from(chats)
    .where(
      sql`${eq(chats.identityId, textParam('identityId'))} and ${LISTED}
        and ${chats.activityAt} > ${ERASED}
        and (${chats.activityAt}, ${chats.id}) < (${numberParam('activityAt')}, ${textParam('id')})
        and (${param('platform')} is null or ${chats.platform} = ${param('platform')})
        and (${param('kind')} is null or ${chats.kind} = ${param('kind')})
        and (${param('loginId')} is null or ${chats.receiver} is null or ${chats.receiver} = ${param('loginId')})`,
    )
    .orderBy(desc(chats.activityAt), desc(chats.id))
    .limit(limitParam('limit')),
)

export function createChatListRepository(db: Pick<Db, 'read'>) {
  return {
    /** @returns at most `limit` chats behind a place, those with the newest activity first */
    behind: (
      { identityId, kind, device, ...filter }: ChatFilter,
      [activityAt, id]: ChatPlace,
      limit: number,
    ): Promise<Chat[]> => {
      const loginId = device?.loginId ?? null
      const platform = device?.platform ?? filter.platform
      return db.read(reader =>
        reader.all(next, { identityId, kind, platform, loginId, activityAt, id, limit }),
      )
    },
  }
}
