/**
 * SQL of webhooks' filters: decides by the stored event, so that an event that happens and one that
 * is replayed are judged alike.
 */
import { type SQL, sql } from 'drizzle-orm'
import { webhooks } from '../../db/schema/index.ts'

/** A list leaves out events that have the field with another value; events without it pass. */
function leavesIn(list: keyof NonNullable<typeof webhooks.$inferSelect.filters>, value: SQL): SQL {
  const path = sql.raw(`'$.${list}'`)
  return sql`(json_type(${webhooks.filters}, ${path}) is null or ${value} is null
    or ${value} in (select value from json_each(${webhooks.filters}, ${path})))`
}

const field = (path: string) => sql.raw(`json_extract(filtered.payload, '${path}')`)

const isOfMessage = sql.raw(
  "filtered.name in ('message.status', 'action.status') and messages.id = json_extract(filtered.payload, '$.id')",
)
// A message that waits, or has failed early, may have no room yet: that of its recipient, then.
const room = sql`coalesce(nullif(filtered.room_id, ''), (
  select resolved.room_id from messages join resolved_recipients as resolved
    on resolved.device_row_id = messages.device_row_id
    and resolved.recipient_key = substr(messages.lane, instr(messages.lane, '/') + 1)
  where ${isOfMessage}))`
// A status names no chat. A chat is `other` until it is known better.
const chatKind = sql`coalesce(${field('$.chat.kind')}, (
  select nullif(chats.kind, 'other') from chats
  where chats.identity_id = filtered.identity_id and chats.room_id = ${room}), (
  select case recipient_kind when 'contact' then 'dm' else 'group' end from messages where ${isOfMessage}))`

/** The event's chat has several names when it has moved: its rooms, and the ids of these. */
const isOfChats = sql`exists (
  with recursive rooms (room_id) as (
    select ${room}
    union select chats.moved_to from rooms join chats
      on chats.identity_id = filtered.identity_id and chats.room_id = rooms.room_id
      where chats.moved_to is not null
    union select chats.room_id from rooms join chats
      on chats.identity_id = filtered.identity_id and chats.moved_to = rooms.room_id)
  select 1 from json_each(${webhooks.filters}, '$.chats') as named where named.value in (
    select room_id from rooms
    union all select chats.id from rooms join chats
      on chats.identity_id = filtered.identity_id and chats.room_id = rooms.room_id))`
const hasNoChat = sql.raw(
  "(filtered.room_id = '' and filtered.name not in ('message.status', 'action.status'))",
)

/**
 * A condition of a query of `webhooks`: true when the webhook's filters let the event in.
 * @param seq of the event
 */
export function passesFilters(seq: SQL): SQL {
  return sql`exists (select 1 from events as filtered where filtered.seq = ${seq}
    and ${leavesIn('devices', field('$.device_id'))}
    and ${leavesIn('platforms', field('$.platform'))}
    and ${leavesIn('message_kinds', field('$.kind'))}
    and ${leavesIn('chat_kinds', chatKind)}
    and (json_type(${webhooks.filters}, '$.chats') is null or ${hasNoChat} or ${isOfChats}))`
}
