/** Events as webhooks and readers of the feed get them. */
import { type Static, Type } from '@sinclair/typebox'
import { CHAT_KINDS, DEVICE_EVENT_NAMES, MESSAGE_KINDS, SAID_EVENT_NAMES } from '../states.ts'
import { Action } from './action.ts'
import { DEVICE_EXAMPLE, Device } from './device.ts'
import { LINK_STATES } from './link.ts'
import { Message } from './message.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

export const MediaInfo = model('MediaInfo', {
  size: Type.Number({ description: 'File size in bytes.' }),
  mime_type: Type.String(),
  width: Type.Number({ description: 'Pixels; 0 if not applicable.' }),
  height: Type.Number(),
  blur_hash: Type.String({ description: 'BlurHash of the image (blurha.sh), empty when there is none.' }),
  file_name: Type.String(),
  duration: Type.Number({ description: 'Milliseconds of audio or video; 0 if not applicable.' }),
})
export type MediaInfo = Static<typeof MediaInfo>

const Media = model('Media', {
  content: nullable(
    Type.String({
      description:
        'Base64 of the file; null when it is larger than MEDIA_INLINE_MAX_BYTES: `url` leads to it.',
    }),
  ),
  info: MediaInfo,
  url: nullable(
    Type.String({
      description:
        'A signed address of the file that expires; null while the gateway can’t have the file: it is gone, larger than MEDIA_MAX_BYTES, or beyond the quota.',
    }),
  ),
})
export type MediaPayload = Static<typeof Media>

export const Poll = model('Poll', {
  question: Type.String(),
  options: Type.Array(
    Type.Object({
      id: Type.String(),
      text: Type.String(),
      votes: Type.Integer({ description: 'How many had voted for it when the event was made.' }),
    }),
  ),
  max_selections: Type.Integer({ description: 'How many options one person may choose.' }),
})
export type Poll = Static<typeof Poll>

const Vote = model(
  'Vote',
  {
    options: Type.Array(
      Type.Object({
        id: Type.String(),
        text: nullable(Type.String({ description: 'Null if the poll can’t be found.' })),
      }),
    ),
  },
  { description: 'All that the voter chooses now; none when the vote was taken back.' },
)
export type Vote = Static<typeof Vote>

const Call = model('Call', {
  type: nullable(oneOf(['voice', 'video'], { description: 'Null where the bridge doesn’t say.' })),
})
export type Call = Static<typeof Call>

const eventId = (about: string) =>
  nullable(Type.String({ description: `Matrix event id of the message ${about}; null when there is none.` }))

const SENDER = Type.Object({
  id: Type.String({ description: 'Matrix user id, as in `from`.' }),
  phone: nullable(Type.String({ description: 'Digits; null if unknown.' })),
  name: Type.String(),
})

const SAID = {
  id: Type.String({ description: 'Matrix event id; what `reply_id` takes.' }),
  is_contact: Type.Boolean({ description: 'Whether the sender is in the phone’s address book.' }),
  type: Type.String({ description: 'Matrix message type, such as m.text.' }),
  from: Type.String({ description: 'Matrix user id of the sender.' }),
  to: Type.String({ description: 'Matrix user id of your identity.' }),
  message: Type.String({ description: 'The text, or a file’s caption.' }),
  device_id: Type.String(),
  media: nullable(Media),
  event: oneOf(SAID_EVENT_NAMES),
  kind: oneOf(MESSAGE_KINDS),
  timestamp: timestamp('When it was sent.'),
  platform: Type.String(),
  sender: SENDER,
  chat: Type.Object({
    id: Type.String({ description: 'A room id, which `group_url` takes.' }),
    kind: oneOf(CHAT_KINDS),
    name: Type.String(),
  }),
  chat_id: Type.Optional(
    Type.String({
      description: 'The chat’s own id, which stays when it moves. Events of earlier versions have none.',
    }),
  ),
  reply_to: eventId('that this one answers'),
  reply_to_message_id: Type.Optional(
    nullable(
      Type.String({
        description:
          'Only in an answer: the `msg_…` of what it answers; null if that was not sent from here.',
      }),
    ),
  ),
  quoted: Type.Optional(
    nullable(
      Type.Object(
        { text: Type.String({ description: 'Empty once it was deleted.' }), sender: SENDER },
        { description: 'Only in an answer: what it answers; null if that is not kept.' },
      ),
    ),
  ),
  metadata: Type.Optional(
    nullable(
      Type.Record(Type.String(), Type.String(), {
        description: 'Only in an answer: the metadata of the sent message that it answers.',
      }),
    ),
  ),
  relates_to: eventId('that is reacted to, edited, deleted or voted on'),
  location: nullable(Type.Object({ latitude: Type.Number(), longitude: Type.Number(), uri: Type.String() })),
  mentions: Type.Optional(Type.Array(SENDER, { description: 'Only where it mentions somebody: whom.' })),
  removed: Type.Optional(Type.Boolean({ description: 'Only of a reaction: true when it was taken back.' })),
  poll: Type.Optional(Poll),
  vote: Type.Optional(Vote),
  call: Type.Optional(Call),
}

/** Something said in a chat. */
const ChatEvent = model('ChatEvent', SAID)
export type MessagePayload = Static<typeof ChatEvent>

const LEARNED = timestamp('When the gateway learned of it.')

const {
  due_at: _dueAt,
  actions: _actions,
  deleted_at: _deletedAt,
  chat_id,
  metadata,
  ...messageFields
} = Message.properties
/** A sent message got another status: the message as GET /api/v1/messages/{id} shows it then. */
const StatusEvent = model('MessageStatusEvent', {
  event: Type.Literal('message.status'),
  timestamp: LEARNED,
  ...messageFields,
  // Events of earlier versions don't have them.
  chat_id: Type.Optional(chat_id),
  metadata: Type.Optional(metadata),
})
export type StatusEvent = Static<typeof StatusEvent>

/** An action got another status: the action as GET /api/v1/actions/{id} shows it then. */
const ActionEvent = model('ActionStatusEvent', {
  event: Type.Literal('action.status'),
  timestamp: LEARNED,
  platform: Type.String(),
  device_id: Type.String(),
  ...Action.properties,
})
export type ActionEvent = Static<typeof ActionEvent>

const { id: _id, restricted, ...deviceFields } = Device.properties
/** A device got another state, or another restriction: the device as it is listed then. */
const DeviceEvent = model('DeviceEvent', {
  event: oneOf(DEVICE_EVENT_NAMES),
  timestamp: LEARNED,
  ...deviceFields,
  // Events of earlier versions don't have it.
  restricted: Type.Optional(restricted),
})
export type DeviceEvent = Static<typeof DeviceEvent>

const { id: _exampleId, ...deviceExample } = DEVICE_EXAMPLE
export const DEVICE_EVENT_EXAMPLE = {
  event: 'device.connected',
  timestamp: DEVICE_EXAMPLE.since,
  ...deviceExample,
}

/** A link came to another state; GET /api/v1/devices/links/{id} has what it shows then. */
const LinkUpdatedEvent = model('LinkUpdatedEvent', {
  event: Type.Literal('link.updated'),
  timestamp: LEARNED,
  id: Type.String({ description: 'That of the link.' }),
  platform: Type.String(),
  state: oneOf(LINK_STATES),
})
export type LinkUpdatedEvent = Static<typeof LinkUpdatedEvent>

/** A webhook was switched off by us. */
const WebhookDisabledEvent = model('WebhookDisabledEvent', {
  event: Type.Literal('webhook.disabled'),
  timestamp: timestamp(),
  webhook_id: Type.Integer(),
  url: Type.String(),
  reason: Type.String(),
  failing_since: nullable(
    Type.String({
      format: 'date-time',
      description: 'When the current run of failures began; also the try that was answered 410.',
    }),
  ),
})
export type WebhookDisabledEvent = Static<typeof WebhookDisabledEvent>

const chatId = Type.String({ description: 'The chat’s own id, which stays when it moves.' })

/** Where an event about a chat as a whole has happened. */
const IN_CHAT = { device_id: SAID.device_id, platform: SAID.platform, chat_id: chatId, chat: SAID.chat }

/** Somebody has come to a group or is no longer in it. */
const MemberEvent = model('MemberEvent', {
  event: oneOf(['member.joined', 'member.left']),
  timestamp: timestamp('When it happened.'),
  ...IN_CHAT,
  member: SAID.sender,
  is_self: Type.Boolean({ description: 'True for the account itself.' }),
  by: Type.Union([SAID.sender, Type.Null()], {
    description: 'Who added or removed them; null: themselves, or nobody knows.',
  }),
})
export type MemberEvent = Static<typeof MemberEvent>

/** A chat is called otherwise, or shown otherwise: as GET /api/v1/chats/{chat_id} has it then. */
const ChatUpdatedEvent = model('ChatUpdatedEvent', {
  event: Type.Literal('chat.updated'),
  timestamp: timestamp('When it happened.'),
  ...IN_CHAT,
  changed: Type.Array(oneOf(['name', 'topic', 'avatar', 'muted', 'archived'])),
})
export type ChatUpdatedEvent = Static<typeof ChatUpdatedEvent>

/** Older messages of a chat were fetched, as POST /api/v1/chats/{chat_id}/backfill asked for. */
const ChatBackfilledEvent = model('ChatBackfilledEvent', {
  event: Type.Literal('chat.backfilled'),
  timestamp: LEARNED,
  ...IN_CHAT,
  count: Type.Integer({ description: 'Messages that came.' }),
  more: Type.Boolean({ description: 'False when the network has no older ones.' }),
})
export type ChatBackfilledEvent = Static<typeof ChatBackfilledEvent>

/** Somebody begins or ends typing in a chat. */
const TypingEvent = model('TypingEvent', {
  event: Type.Literal('chat.typing'),
  timestamp: LEARNED,
  ...IN_CHAT,
  sender: SAID.sender,
  typing: Type.Boolean({ description: 'False when they have ended.' }),
})
export type TypingEvent = Static<typeof TypingEvent>

/** A webhook is tried out. */
export const WebhookTestEvent = model('WebhookTestEvent', {
  event: Type.Literal('webhook.test'),
  timestamp: timestamp(),
  webhook_id: Type.Integer(),
})

/** The account has read a chat at the phone, or elsewhere. */
const ChatReadEvent = model('ChatReadEvent', {
  event: Type.Literal('chat.read'),
  timestamp: LEARNED,
  device_id: SAID.device_id,
  platform: SAID.platform,
  chat_id: Type.String({ description: 'The chat’s own id, which stays when it moves.' }),
  chat: SAID.chat,
  up_to: Type.String({ description: 'Matrix event id of the last message that was read.' }),
  unread_count: Type.Integer({ description: 'Messages that are unread now.' }),
})
export type ChatReadEvent = Static<typeof ChatReadEvent>

/** The payload of an event of the feed. */
export const EventPayload = Type.Union([
  ChatEvent,
  StatusEvent,
  ActionEvent,
  DeviceEvent,
  LinkUpdatedEvent,
  WebhookDisabledEvent,
  ChatUpdatedEvent,
  ChatBackfilledEvent,
  MemberEvent,
  TypingEvent,
  ChatReadEvent,
])
