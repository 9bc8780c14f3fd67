/** Chats as clients see them. */
import { type Static, Type } from '@sinclair/typebox'
import { CHAT_ACT_TYPES, type CHAT_KINDS } from '../states.ts'
import { ChatMessage } from './chat-message.ts'
import { Contact } from './contact.ts'
import { pageModel } from './page.ts'
import { model, nullable, oneOf } from './schema.ts'

/** Kinds of chat that are listed: those that people know as such. */
export const LISTED_CHAT_KINDS = [
  'dm',
  'group',
  'channel',
  'status',
] as const satisfies readonly (typeof CHAT_KINDS)[number][]

const may = (what: string) =>
  nullable(Type.Boolean({ description: `${what} Null where the bridge doesn’t say.` }))
const atMost = (what: string) => nullable(Type.Number({ description: `${what}; null: no limit is known.` }))

const FileLimits = model('FileLimits', {
  mime_types: Type.Array(Type.String(), { description: 'Media types that it takes; may have `image/*`.' }),
  caption: Type.Boolean({
    description: 'Whether a caption goes with it, rather than as a message behind it.',
  }),
  max_size: atMost('Bytes'),
  max_duration_s: atMost('Seconds'),
})

const kindOfFile = Type.Optional(FileLimits)

export const ChatCapabilities = model(
  'ChatCapabilities',
  {
    max_text_length: atMost('Characters'),
    reply: Type.Boolean({ description: 'Whether an answer shows what it answers.' }),
    files: nullable(
      Type.Object(
        {
          image: kindOfFile,
          video: kindOfFile,
          audio: kindOfFile,
          voice: kindOfFile,
          sticker: kindOfFile,
          gif: kindOfFile,
          file: kindOfFile,
        },
        { description: 'By the kind as which it is shown; a kind that is missing is not taken.' },
      ),
    ),
    location: Type.Boolean({ description: 'Whether a place is taken.' }),
    mentions: may('Whether people can be mentioned.'),
    poll: may('Whether polls are taken, and votes.'),
    max_poll_options: atMost('Options of a poll'),
    edit: may('Whether a message can be edited.'),
    edit_max_age_s: atMost('Seconds since it was sent'),
    edit_max_count: atMost('Edits of one message'),
    unsend: may('Whether a message can be taken back from everybody.'),
    unsend_max_age_s: atMost('Seconds since it was sent'),
    reaction: may('Whether messages can be reacted to.'),
    allowed_reactions: nullable(Type.Array(Type.String(), { description: 'Null: any emoji.' })),
    changes: nullable(
      Type.Array(oneOf(CHAT_ACT_TYPES), {
        description:
          'Actions on the chat as a whole that it doesn’t rule out. Null where the bridge doesn’t say.',
      }),
    ),
  },
  { description: 'What the chat takes, as its bridge states it.' },
)
export type CapabilitiesView = Static<typeof ChatCapabilities>

export const Chat = model(
  'Chat',
  {
    id: Type.String({ description: 'The chat’s own id, which stays when it moves to another room.' }),
    room_id: Type.String({ description: 'The Matrix room in which it is now.' }),
    device_id: nullable(Type.String({ description: 'Null when its device is no longer linked.' })),
    platform: nullable(Type.String()),
    kind: oneOf(LISTED_CHAT_KINDS),
    name: Type.String(),
    topic: nullable(Type.String()),
    avatar_url: nullable(
      Type.String({ description: 'A signed address of its picture that expires; null where none is known.' }),
    ),
    person: Type.Union([Contact, Type.Null()], {
      description: 'Only in a dm: who it is with, if that is known.',
    }),
    member_count: nullable(Type.Integer({ description: 'Null while it is not known.' })),
    muted: Type.Boolean(),
    archived: Type.Boolean(),
    unread_count: Type.Integer({
      description: 'Messages that came in since the account read or wrote here.',
    }),
    last_message: nullable(ChatMessage),
    capabilities: Type.Union([ChatCapabilities, Type.Null()], {
      description: 'Null where the bridge states nothing.',
    }),
  },
  {
    examples: [
      {
        id: 'chat_019b2f7c1a407c0ffee0c0ffee0c0ff',
        room_id: '!abc:localhost',
        device_id: '237123456789',
        platform: 'wa',
        kind: 'group',
        name: 'Friends',
        topic: null,
        avatar_url: null,
        person: null,
        member_count: 12,
        muted: false,
        archived: false,
        unread_count: 2,
        last_message: null,
        capabilities: null,
      },
    ],
  },
)
export type ChatView = Static<typeof Chat>

export const ChatPage = pageModel('ChatPage', Chat, 'Those in which something was said last come first.')
