/** SQL of the messages that acts are for: sent from here, received, and from before the link. */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { equal, rowsBy } from '../../db/row-statements.ts'
import { type Chat, type ChatMessage, events, type Message, messages } from '../../db/schema/index.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'
import { isMessageEvent, type MessageEvent } from '../../domain/events.ts'
import { chatMessage } from '../history/history-repository.ts'
import { captionId } from '../sending/content/caption-repository.ts'

export interface ReceivedMessage {
  payload: MessageEvent
  roomId: string
  deviceRowId: string
  mediaId: string | null
}

/** A reaction of the account's own, in the room. */
export interface StandingReaction {
  emoji: string
  eventId: string
}

export type FoundMessage =
  | { from: 'sent'; message: Message; caption: Message | null; saidAt: number | null }
  | { from: 'events'; message: ReceivedMessage }
  | { from: 'history'; message: ChatMessage }

const param = sql.placeholder
const byId = rowsBy(messages, 'identityId', 'id')
const byEvent = statement(orm =>
  orm
    .select()
    .from(messages)
    // Spelled out, as a partial index is found by its text.
    .where(
      sql`${messages.eventId} = ${param('eventId')} and event_id is not null and ${eq(messages.identityId, param('identityId'))}`,
    ),
)
const received = statement(orm =>
  orm
    .select({
      payload: events.payload,
      roomId: events.roomId,
      deviceRowId: events.deviceRowId,
      mediaId: events.mediaId,
    })
    .from(events)
    .where(equal(events, 'identityId', 'eventId')),
)

// As the index chat_messages_shown has it.
const newest = sqlStatement<{ eventId: string }>(`
  SELECT event_id AS eventId FROM chat_messages
  WHERE identity_id = $identityId AND room_id = $roomId AND relates_to is null
  ORDER BY sent_at DESC, seq DESC LIMIT 1`)

// One that was made here is known by its act.
const reactionElsewhere = sqlStatement<StandingReaction>(`
  SELECT text AS emoji, event_id AS eventId FROM chat_messages
  WHERE identity_id = $identityId AND relates_to = $eventId AND relates_to is not null AND kind = 'reaction'
    AND direction = 'out' AND message_id IS NULL AND deleted_at IS NULL
  ORDER BY sent_at DESC, seq DESC LIMIT 1`)

export type TargetRepository = ReturnType<typeof createTargetRepository>

export function createTargetRepository(db: Pick<Db, 'read'>) {
  return {
    newestIn: ({ identityId, roomId }: Pick<Chat, 'identityId' | 'roomId'>): Promise<string | null> =>
      db.read(async reader => {
        return (await reader.get(newest, { identityId, roomId }))?.eventId ?? null
      }),

    /** @returns the account's own reaction to an event, if it was made at the phone */
    reactionElsewhere: (identityId: string, eventId: string): Promise<StandingReaction | null> =>
      db.read(async reader => (await reader.get(reactionElsewhere, { identityId, eventId })) ?? null),

    /**
     * Finds a message by its id (`msg_…`) or its event's.
     * @returns null when the identity has none; what is said by an act is no message
     */
    find: (identityId: string, id: string): Promise<FoundMessage | null> =>
      db.read(async reader => {
        if (!id.startsWith('$')) return sent(reader, await reader.get(byId, { identityId, id }))
        const own = await reader.get(byEvent, { identityId, eventId: id })
        if (own) return sent(reader, await messageOf(reader, own))
        const past = await reader.get(chatMessage, { identityId, eventId: id })
        if (past) return { from: 'history', message: past }
        const event = await reader.get(received, { identityId, eventId: id })
        if (!event || !isMessageEvent(event.payload)) return null
        return { from: 'events', message: { ...event, payload: event.payload } }
      }),
  }
}

async function sent(reader: Reader, message: Message | undefined): Promise<FoundMessage | null> {
  if (!message || message.act !== null || message.captionOf !== null) return null
  const { identityId, id, eventId } = message
  const caption = message.mediaId === null ? null : await reader.get(byId, { identityId, id: captionId(id) })
  const said = eventId === null ? null : await reader.get(chatMessage, { identityId, eventId })
  return { from: 'sent', message, caption: caption ?? null, saidAt: said?.sentAt ?? null }
}

/** The message itself, or the one whose caption it is. */
async function messageOf(reader: Reader, message: Message): Promise<Message | undefined> {
  const { identityId, captionOf } = message
  return captionOf === null ? message : reader.get(byId, { identityId, id: captionOf })
}
