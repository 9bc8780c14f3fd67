/** Queries and answers of the routes for chats. */
import { t } from 'elysia'
import { LISTED_CHAT_KINDS } from '../../../domain/views/chat.ts'
import { model, oneOf } from '../../../domain/views/schema.ts'
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

export const ErasedChat = model(
  'ErasedChat',
  { message: t.String(), kept: t.String({ description: 'Who still has what was said there, in words.' }) },
  {
    examples: [
      {
        message: 'Chat erased successfully',
        kept: 'The network keeps what it has, and so do its phones and whoever got events or took a backup before. The bridge keeps ids, but no texts. The chat’s name and its people stay: they are contacts of the device.',
      },
    ],
  },
)

export const MessagesQuery = t.Object({ ...pageQuery }, knownOnly)

export const SearchQuery = t.Object(
  {
    query: t.String({
      minLength: 1,
      maxLength: 255,
      description: 'Words, separated by spaces.',
      example: 'hello',
    }),
    chat_id: t.Optional(t.String({ maxLength: 255, description: 'In this chat alone.' })),
    device_id: t.Optional(t.String({ maxLength: 255, description: 'In chats of this device alone.' })),
    ...pageQuery,
  },
  knownOnly,
)
