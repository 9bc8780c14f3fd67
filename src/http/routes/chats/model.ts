/** Queries of the routes for chats. */
import { t } from 'elysia'
import { LISTED_CHAT_KINDS } from '../../../domain/views/chat.ts'
import { oneOf } from '../../../domain/views/schema.ts'
import { pageQuery } from '../../paging.ts'
import { knownOnly } from '../../schemas.ts'

export const ChatPath = t.Object({
  chat_id: t.String({
    maxLength: 255,
    description: 'The chat’s id, or the Matrix room that it is or was in.',
  }),
})

export const ChatsQuery = t.Object(
  {
    device_id: t.Optional(
      t.String({
        maxLength: 255,
        description: 'Chats of this device alone: phone digits, +E.164 or login id.',
      }),
    ),
    platform: t.Optional(t.String({ maxLength: 64 })),
    kind: t.Optional(oneOf(LISTED_CHAT_KINDS)),
    query: t.Optional(t.String({ maxLength: 255, description: 'A part of a name, number or id.' })),
    ...pageQuery,
  },
  knownOnly,
)

export const MessagesQuery = t.Object({ ...pageQuery }, knownOnly)

export const SearchQuery = t.Object(
  {
    query: t.String({ minLength: 1, maxLength: 255, description: 'Words, separated by spaces.' }),
    chat_id: t.Optional(t.String({ maxLength: 255, description: 'In this chat alone.' })),
    device_id: t.Optional(t.String({ maxLength: 255, description: 'In chats of this device alone.' })),
    ...pageQuery,
  },
  knownOnly,
)
