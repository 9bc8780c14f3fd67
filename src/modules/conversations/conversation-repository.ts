/** SQL of what was said in a chat: pages of its messages, and what belongs to them. */
import { and, desc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { rowsBy } from '../../db/row-statements.ts'
import {
  type Chat,
  type ChatMessage,
  chatMessages,
  chats,
  type Message,
  messages,
} from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { type Statement, statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'
import { chatMessage } from '../history/history-repository.ts'

/** Ends a page of messages: when the last one was sent, and its event. */
export type MessagePlace = readonly [sentAt: number, eventId: string]

/** Rows that belong to some messages. */
export interface Belongings {
  /** Reactions, votes and ends of polls that stand, oldest first, by the message's event. */
  related: Map<string, ChatMessage[]>
  /** Messages that are answered, by their events. */
  answered: Map<string, ChatMessage>
  /** Rows of the outbox, by their ids. */
  sent: Map<string, Pick<Message, 'id' | 'status' | 'metadata'>>
}

const earlierRooms = rowsBy(chats, 'identityId', 'movedTo')
// The condition of the index is spelled out, as a partial index is found by its text.
const behind = statement(orm =>
  orm
    .select()
    .from(chatMessages)
    .where(
      sql`${eq(chatMessages.identityId, textParam('identityId'))} and ${chatMessages.roomId} = ${textParam('roomId')}
        and relates_to is null
        and (${chatMessages.sentAt}, ${chatMessages.seq}) < (${numberParam('sentAt')}, ${numberParam('seq')})`,
    )
    .orderBy(desc(chatMessages.sentAt), desc(chatMessages.seq))
    .limit(limitParam('limit')),
)
const listed = (name: string) => sql`(select value from json_each(${textParam(name)}))`
const related = statement(orm =>
  orm
    .select()
    .from(chatMessages)
    .where(
      sql`${chatMessages.identityId} = ${textParam('identityId')} and ${chatMessages.relatesTo} in ${listed('ids')}
        and relates_to is not null and ${chatMessages.deletedAt} is null and ${chatMessages.kind} <> 'edit'`,
    )
    .orderBy(chatMessages.sentAt, chatMessages.seq),
)
const answered = statement(orm =>
  orm
    .select()
    .from(chatMessages)
    .where(
      and(
        eq(chatMessages.identityId, textParam('identityId')),
        sql`${chatMessages.eventId} in ${listed('ids')}`,
      ),
    ),
)
const sent = statement(orm =>
  orm
    .select({ id: messages.id, status: messages.status, metadata: messages.metadata })
    .from(messages)
    .where(sql`${messages.id} in ${listed('ids')}`),
)

export function createConversationRepository(db: Pick<Db, 'read'>) {
  return {
    /** @returns at most `limit` messages of a chat behind a place, newest first */
    behind: ({ identityId, roomId }: Chat, after: MessagePlace | undefined, limit: number) =>
      db.read(async reader => {
        const rooms = await roomsOf(reader, identityId, roomId)
        const [sentAt, eventId] = after ?? [Number.MAX_SAFE_INTEGER, '']
        // A message that was forgotten since has nothing behind it that was sent with it.
        const last = after && (await reader.get(chatMessage, { identityId, eventId }))
        const place = { identityId, sentAt, seq: last?.seq ?? Number.MIN_SAFE_INTEGER, limit }
        const found: ChatMessage[] = []
        for (const room of rooms) found.push(...(await reader.all(behind, { ...place, roomId: room })))
        return found.sort((one, other) => other.sentAt - one.sentAt || other.seq - one.seq).slice(0, limit)
      }),

    /** @returns the rooms in which a chat is and was */
    roomsOf: async ({ identityId, roomId }: Chat): Promise<string[]> => [
      ...(await db.read(reader => roomsOf(reader, identityId, roomId))),
    ],

    /** @returns what belongs to messages of an identity */
    belongings: (identityId: string, of: readonly ChatMessage[]): Promise<Belongings> =>
      db.read(async reader => {
        async function all<Row>(
          query: Statement<Row>,
          idOf: (row: ChatMessage) => string | null,
        ): Promise<Row[]> {
          const ids = [...new Set(of.map(idOf).filter(id => id !== null))]
          return ids.length === 0 ? [] : reader.all(query, { identityId, ids: JSON.stringify(ids) })
        }
        const about = await all(related, ({ eventId }) => eventId)
        const quoted = await all(answered, ({ replyTo }) => replyTo)
        const own = await all(sent, ({ messageId }) => messageId)
        return {
          related: Map.groupBy(about, ({ relatesTo }) => relatesTo ?? ''),
          answered: new Map(quoted.map(row => [row.eventId, row])),
          sent: new Map(own.map(row => [row.id, row])),
        }
      }),
  }
}

/** @returns the rooms in which the chat is and was */
async function roomsOf(reader: Reader, identityId: string, roomId: string): Promise<Set<string>> {
  const rooms = new Set([roomId])
  for (const movedTo of rooms)
    for (const before of await reader.all(earlierRooms, { identityId, movedTo })) rooms.add(before.roomId)
  return rooms
}
