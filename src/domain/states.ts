/** The closed sets of states, for the database's enums, the HTTP schemas and the types. */

export const ROLES = ['super_admin', 'user'] as const
export type Role = (typeof ROLES)[number]

/**
 * A device is `connecting` until the bridge says it is connected; `disconnected` mends itself,
 * `logged_out` needs a new link, `error` needs a person.
 */
export const DEVICE_STATES = ['connecting', 'connected', 'disconnected', 'logged_out', 'error'] as const
export type DeviceState = (typeof DEVICE_STATES)[number]

/**
 * Statuses of a sent message, in their order; `failed` and `cancelled` end it. A status only
 * advances, unless the network didn't take the message, and it is sent again. `scheduled`: it is in
 * no lane before its `send_at`. `submitted`: the homeserver has it, and the bridge has said nothing
 * yet.
 */
export const MESSAGE_STATUSES = [
  'scheduled',
  'queued',
  'sending',
  'submitted',
  'sent',
  'delivered',
  'read',
  'failed',
  'cancelled',
] as const
export type MessageStatus = (typeof MESSAGE_STATUSES)[number]

/** Statuses that clients see: for them `scheduled` is `queued`, and `submitted` still `sending`. */
export type ShownMessageStatus = Exclude<MessageStatus, 'scheduled' | 'submitted'>
export const SHOWN_MESSAGE_STATUSES = MESSAGE_STATUSES.filter(
  (status): status is ShownMessageStatus => status !== 'scheduled' && status !== 'submitted',
)

export function shownStatus(status: MessageStatus): ShownMessageStatus {
  if (status === 'scheduled') return 'queued'
  // Until the bridge says something, clients see that it is being sent.
  return status === 'submitted' ? 'sending' : status
}

/** Things done to a chat as a whole; each is one event of its room. */
export const CHAT_ACT_TYPES = [
  'rename',
  'set_topic',
  'set_avatar',
  'set_disappearing',
  'add_member',
  'remove_member',
  'promote_member',
  'demote_member',
  'leave',
  'block',
] as const
export type ChatActType = (typeof CHAT_ACT_TYPES)[number]

/** Things done to a message or a chat, each in the order of its chat. */
export const ACT_TYPES = ['react', 'unreact', 'edit', 'unsend', 'vote', 'read', ...CHAT_ACT_TYPES] as const
export type ActType = (typeof ACT_TYPES)[number]

export const RECIPIENT_KINDS = ['contact', 'group'] as const
export type RecipientKind = (typeof RECIPIENT_KINDS)[number]

/** `channel`: its owners post to whoever follows it; `status`: the posts of contacts (stories). */
export const CHAT_KINDS = ['dm', 'group', 'channel', 'status', 'space', 'management', 'other'] as const
export type ChatKind = (typeof CHAT_KINDS)[number]

/**
 * Our place in a chat's room: `invited` until the join went through, `joining` until the messages
 * between invitation and join have been fetched, `joined`, `left`.
 */
export const CHAT_MEMBERSHIPS = ['invited', 'joining', 'joined', 'left'] as const
export type ChatMembership = (typeof CHAT_MEMBERSHIPS)[number]

/** How a webhook gets a file: in the body, by its address alone, or not at all. */
export const MEDIA_MODES = ['inline', 'url', 'none'] as const
export type MediaMode = (typeof MEDIA_MODES)[number]

/** `pending`: waiting, in flight or between tries; `dead`: out of tries, and can be replayed. */
export const DELIVERY_STATUSES = ['pending', 'succeeded', 'dead'] as const
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

/** `out`: by the owner of the device that the message is of. */
export const DIRECTIONS = ['in', 'out'] as const
export type Direction = (typeof DIRECTIONS)[number]

/** Kinds of incoming messages. `voice` is an audio message recorded on the spot (MSC3245). */
export const MESSAGE_KINDS = [
  'text',
  'notice',
  'emote',
  'image',
  'video',
  'audio',
  'voice',
  'file',
  'sticker',
  'location',
  'reaction',
  'edit',
  'redaction',
  'encrypted',
  'poll',
  'vote',
  'poll_end',
  'call',
] as const
export type MessageKind = (typeof MESSAGE_KINDS)[number]

/** Events that tell of something said in a chat. A webhook that doesn't choose gets these. */
export const MESSAGE_EVENT_NAMES = [
  'message.received',
  'message.reaction',
  'message.edited',
  'message.deleted',
] as const

/**
 * Event for a message in an end-to-end encrypted chat, which can't be read. Sent only to those who
 * ask for it.
 */
export const UNDECRYPTABLE = 'message.undecryptable'

/**
 * Said in a chat, but no message to the device's owner. `message.own` is whatever its owner says at
 * the phone, or elsewhere.
 */
export const ASIDE_EVENT_NAMES = [
  'message.own',
  'call.received',
  'status.posted',
  'channel.posted',
  'poll.vote',
  'poll.ended',
] as const

/** Events about a chat as a whole. */
const CHAT_EVENT_NAMES = [
  'chat.read',
  'chat.updated',
  'chat.backfilled',
  'member.joined',
  'member.left',
] as const

/** Webhooks and readers of the feed get these only if they name them, or ask for `*`. */
export const NAMED_ONLY_EVENT_NAMES = [
  ...ASIDE_EVENT_NAMES,
  'action.status',
  ...CHAT_EVENT_NAMES,
  'link.updated',
] as const

/** Events about something said in a chat. */
export const SAID_EVENT_NAMES = [...MESSAGE_EVENT_NAMES, UNDECRYPTABLE, ...ASIDE_EVENT_NAMES] as const
export type MessageEventName = (typeof SAID_EVENT_NAMES)[number]

/**
 * `device.disconnected` covers the states `disconnected` and `error`; `connecting` has no event.
 * `device.restricted` covers each change of `restricted`, except that its time has come.
 */
export const DEVICE_EVENT_NAMES = [
  'device.connected',
  'device.disconnected',
  'device.logged_out',
  'device.restricted',
] as const
export type DeviceEventName = (typeof DEVICE_EVENT_NAMES)[number]

/**
 * Events that are neither stored nor sent to webhooks: streams of the feed get them if they name
 * them.
 */
export const LIVE_EVENT_NAMES = ['chat.typing'] as const

/** Names of all events that webhooks and readers of the feed can ask for. */
export const EVENT_NAMES = [
  ...SAID_EVENT_NAMES,
  'message.status',
  'action.status',
  ...CHAT_EVENT_NAMES,
  ...DEVICE_EVENT_NAMES,
  'link.updated',
  'webhook.disabled',
] as const
export type EventName = (typeof EVENT_NAMES)[number]

/** `webhook.test` is nobody's to ask for: it goes to the webhook that is tested. */
export const STORED_EVENT_NAMES = [...EVENT_NAMES, 'webhook.test'] as const
export type StoredEventName = (typeof STORED_EVENT_NAMES)[number]

export const BRIDGE_DRIVERS = ['provisioning', 'bot'] as const
/** We speak to a bridge by its provisioning API, or, where it has none, by writing to its bot. */
export type BridgeDriver = (typeof BRIDGE_DRIVERS)[number]
