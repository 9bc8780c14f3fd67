/** Messages of chats, in both directions, as clients see them. */
import { type Static, Type } from '@sinclair/typebox'
import { DIRECTIONS, MESSAGE_KINDS, SHOWN_MESSAGE_STATUSES } from '../states.ts'
import { Contact } from './contact.ts'
import { MediaInfo, Poll } from './event.ts'
import { pageModel } from './page.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

const eventTime = (about: string) =>
  nullable(Type.String({ format: 'date-time', description: `${about}; null: never.` }))

const ChatMedia = model('ChatMedia', {
  ...MediaInfo.properties,
  url: nullable(
    Type.String({ description: 'A signed address of the file that expires; null when it is gone.' }),
  ),
})

const Quoted = model('Quoted', {
  text: Type.String({ description: 'Empty when it was deleted, or was no text.' }),
  sender: Contact,
})

const Reaction = model('ChatReaction', { emoji: Type.String(), sender: Contact, timestamp: timestamp() })

export const ChatMessage = model(
  'ChatMessage',
  {
    id: Type.String({
      description: 'The id of a message that you sent by this API (msg_…), else its event id.',
    }),
    event_id: Type.String({ description: 'Matrix event id; what `reply_id` takes.' }),
    chat_id: Type.String(),
    direction: oneOf(DIRECTIONS, {
      description: '`out`: by the account, by this API, at the phone or elsewhere.',
    }),
    sender: Contact,
    kind: oneOf(MESSAGE_KINDS),
    text: Type.String({
      description: 'As it was edited last, or a file’s caption; empty once it was deleted.',
    }),
    format: oneOf(['plain', 'markdown'], { description: '`markdown`: you sent it so.' }),
    mentions: Type.Array(Contact, { description: 'Whom the text mentions.' }),
    media: nullable(ChatMedia),
    location: nullable(
      Type.Object({ latitude: Type.Number(), longitude: Type.Number(), uri: Type.String() }),
    ),
    reply_to: nullable(Type.String({ description: 'The event id of the message that this one answers.' })),
    quoted: nullable(Quoted),
    reactions: Type.Array(Reaction, { description: 'Those that stand, oldest first.' }),
    poll: nullable(Poll),
    edited_at: eventTime('When it was last edited'),
    deleted_at: eventTime('When it was deleted'),
    status: nullable(
      oneOf(SHOWN_MESSAGE_STATUSES, { description: 'Null of what was not sent by this API.' }),
    ),
    metadata: nullable(
      Type.Record(Type.String(), Type.String(), { description: 'Your own notes, if you sent it with any.' }),
    ),
    timestamp: timestamp('When it was sent.'),
  },
  {
    examples: [
      {
        id: '$A-XXXXXXXXXXXXXXXXXXXXXXX',
        event_id: '$A-XXXXXXXXXXXXXXXXXXXXXXX',
        chat_id: 'chat_01983c0f6d7a7d2c9f0f5b1e2a3c4d5e',
        direction: 'in',
        sender: Contact.examples?.[0],
        kind: 'text',
        text: 'Good morning',
        format: 'plain',
        mentions: [],
        media: null,
        location: null,
        reply_to: null,
        quoted: null,
        reactions: [],
        poll: null,
        edited_at: null,
        deleted_at: null,
        status: null,
        metadata: null,
        timestamp: '2026-04-27T10:00:00Z',
      },
    ],
  },
)
export type ChatMessageView = Static<typeof ChatMessage>

export const ChatMessagePage = pageModel('ChatMessagePage', ChatMessage, 'Newest first.')
