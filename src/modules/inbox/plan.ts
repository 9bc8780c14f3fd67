/**
 * What a batch of Matrix events means for us: pure, from what is known before the batch to what is to be written. The repository
 * writes a plan in one transaction, or refuses it when what it rests on has changed meanwhile.
 */
import type { Chat, Device } from '../../db/schema/index.ts'
import { remoteIdOf } from '../../domain/ghosts.ts'
import type { EventBatch, RoomEvent } from '../../domain/ports.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { randomToken } from '../../lib/tokens.ts'
import { messageStatusOf } from '../../matrix/message-status.ts'
import { describeRoom, describesRoom, type RoomDescription } from '../../matrix/portal.ts'
import type { TranslatedMessage } from '../../matrix/translate.ts'
import { featuresDigest } from '../chats/room-features-repository.ts'
import { ghostNamingOf } from '../devices/ghosts.ts'
import { receivesFrom } from '../devices/history.ts'
import type { StatusReport } from '../messages/status-repository.ts'
import { type ChatState, membershipAfter, newChat } from './chat-state.ts'
import type { Knowledge, Plan, PlannedMessage } from './plan-types.ts'
import { Reactions } from './reactions.ts'

export const chatKey = (identityId: string, roomId: string) => `${identityId} ${roomId}`
export const phoneKey = (deviceRowId: string, matrixUserId: string) => `${deviceRowId} ${matrixUserId}`
/** The key of an identity's logins at a platform's bridge. */
export const loginsOf = (identityId: string, platform: string) => `${identityId}/${platform}`

/** We learn of a link a moment after the bridge made it, and a message may come in between. */
const LINK_NOTICE_MS = 250

/** @param batch in the order it happened */
export function planBatch(batch: EventBatch, knowledge: Knowledge): Plan {
  const planner = new Planner(knowledge, hearerOf(batch, knowledge))
  for (const event of batch.events) planner.takeSafely(event)
  for (const { roomId, eventId, userId } of batch.receipts) {
    if (!knowledge.identities.has(userId)) planner.reads.push({ roomId, eventId, userId })
  }
  return planner.plan(batch.position)
}

/**
 * Whom a batch speaks to; undefined: to all of our identities. In a room with several of them each /sync brings the same events, and
 * each identity hears them from its own.
 */
function hearerOf({ position }: EventBatch, { identities }: Knowledge): string | undefined {
  return position.kind === 'transaction' ? undefined : identities.get(position.userId)
}

/**
 * The end of a join: the chat as its state describes it, and what was said there between the invitation and now.
 * @param state of the room, in full
 * @param events oldest first; those we have already are stored once all the same
 */
export function planJoin(
  chat: Chat,
  state: readonly RoomEvent[],
  events: readonly RoomEvent[],
  knowledge: Knowledge,
): Plan {
  const planner = new Planner({ ...knowledge, chats: [{ ...chat, membership: 'joined' }] })
  for (const event of state) planner.learnName(event)
  const believed = state.filter(event => !knowledge.forged.has(event.event_id))
  planner.describe(chat.roomId, { features: {}, ...describeRoom(believed) })
  planner.touch(chat.roomId)
  for (const event of events) if (event.state_key === undefined) planner.takeSafely(event)
  return planner.plan(null)
}

class Planner {
  readonly reads: Plan['reads'] = []
  private readonly givenUp: Plan['givenUp'] = []
  private readonly unknownDevices: Plan['unknownDevices'] = []
  private readonly unknownSenders: Plan['unknownSenders'] = []
  private readonly messages: PlannedMessage[] = []
  private readonly held: Plan['held'] = []
  private readonly rejoined = new Set<string>()
  private readonly statuses: StatusReport[] = []
  private readonly names = new Map<string, string>()
  private readonly changed = new Map<string, ChatState>()
  private readonly features = new Map<string, Record<string, unknown>>()
  private readonly chats = new Map<string, ChatState[]>()
  private readonly reactions: Reactions

  /** @param hearer the only identity that the events are for; undefined: all */
  constructor(
    private readonly knowledge: Knowledge,
    private readonly hearer?: string,
  ) {
    this.reactions = new Reactions(knowledge.reactions)
    for (const chat of knowledge.chats.filter(({ identityId }) => this.hears(identityId)))
      this.chats.set(chat.roomId, [...(this.chats.get(chat.roomId) ?? []), chat])
  }

  plan(position: Plan['position']): Plan {
    const { features, givenUp, messages, held, rejoined, statuses, reads, names } = this
    const { unknownDevices, unknownSenders } = this
    return {
      position,
      chats: [...this.changed.values()],
      features,
      messages,
      held,
      rejoined,
      statuses,
      reads,
      names,
      givenUp,
      unknownDevices,
      unknownSenders,
    }
  }

  private hears(identityId: string): boolean {
    return this.hearer === undefined || this.hearer === identityId
  }

  /** A defect that one event meets must not stop all others, each time they come again. */
  takeSafely(event: RoomEvent): void {
    try {
      this.take(event)
    } catch (error) {
      this.givenUp.push({ eventId: event.event_id, error })
    }
  }

  private take(event: RoomEvent): void {
    if (this.knowledge.forged.has(event.event_id)) return
    const status = messageStatusOf(event)
    if (status) this.statuses.push(status)
    else if (event.type === 'm.room.member') this.takeMember(event)
    else if (describesRoom(event)) this.describe(event.room_id, describeRoom([event]))
    else this.takeMessage(event)
  }

  learnName(event: RoomEvent): void {
    const name = event.type === 'm.room.member' ? event.content.displayname : undefined
    if (typeof name !== 'string' || event.state_key === undefined) return
    if (this.knowledge.names.get(event.state_key) !== name) this.names.set(event.state_key, name)
  }

  describe(roomId: string, { bridgeBot, features: told, ...described }: RoomDescription): void {
    if (bridgeBot === undefined && told === undefined && Object.keys(described).length === 0) return
    const features = told === undefined ? {} : { features: this.takeFeatures(told) }
    const bridge =
      bridgeBot === undefined ? {} : { bridgeBot, platform: this.knowledge.platforms.get(bridgeBot) ?? null }
    for (const chat of this.chats.get(roomId) ?? [])
      this.update(chat, { ...described, ...bridge, ...features })
  }

  /** @returns their digest, empty where there are none */
  private takeFeatures(content: Record<string, unknown>): string {
    if (Object.keys(content).length === 0) return ''
    const digest = featuresDigest(content)
    this.features.set(digest, content)
    return digest
  }

  /** Writes the room's chats even if nothing else about them changed. */
  touch(roomId: string): void {
    for (const chat of this.chats.get(roomId) ?? []) this.update(chat, {})
  }

  private takeMember(event: RoomEvent): void {
    const identityId = this.knowledge.identities.get(event.state_key ?? '')
    if (identityId === undefined) {
      this.learnName(event)
      return
    }
    if (!this.hears(identityId)) return
    const chat = this.chats.get(event.room_id)?.find(candidate => candidate.identityId === identityId)
    const membership = membershipAfter(chat?.membership, event.content.membership)
    if (membership !== undefined) this.update(chat ?? newChat(identityId, event.room_id), { membership })
  }

  private takeMessage(event: RoomEvent): void {
    const message = this.reactions.translate(event)
    if (!message) return
    for (const chat of this.chats.get(event.room_id) ?? []) this.receive(chat, event, message)
  }

  private receive(chat: ChatState, event: RoomEvent, message: TranslatedMessage): void {
    if (chat.membership === 'left' || this.knowledge.identities.get(event.sender) === chat.identityId) return
    if (chat.membership !== 'joined') {
      this.held.push({ identityId: chat.identityId, event })
      return
    }
    if (chat.platform === null || (chat.kind !== 'dm' && chat.kind !== 'group')) return
    const device = this.deviceOf(chat)
    if (!device && this.knowledge.unanswered?.has(loginsOf(chat.identityId, chat.platform))) {
      // It may have been linked just now. The chat is joined once more when the bridge can be asked.
      this.held.push({ identityId: chat.identityId, event })
      this.rejoined.add(chatKey(chat.identityId, chat.roomId))
      this.update(chat, { membership: 'joining' })
      return
    }
    if (!device || device.state === 'logged_out')
      this.unknownDevices.push({ identityId: chat.identityId, platform: chat.platform })
    if (!device || !isReceived(event, chat, device)) return
    const key = phoneKey(device.id, event.sender)
    const phone = this.knowledge.phones.get(key)
    if (phone === undefined && this.knowledge.phones.has(key))
      this.unknownSenders.push({ device, userId: event.sender })
    // The account's own words, by the other of its Matrix users.
    if (phone && phone === device.phone) return
    this.messages.push(this.planMessage(chat, device, event, message))
    if (chat.kind === 'dm' && chat.peer !== event.sender) this.update(chat, { peer: event.sender })
  }

  /** The device a chat belongs to: the login that the portal names, else the identity's first one on the platform. */
  private deviceOf(chat: ChatState): Device | undefined {
    const devices = (this.knowledge.devices.get(chat.identityId) ?? []).filter(
      device => device.platform === chat.platform,
    )
    return chat.receiver === null ? devices[0] : devices.find(device => device.loginId === chat.receiver)
  }

  private planMessage(
    chat: ChatState,
    device: Device,
    event: RoomEvent,
    message: TranslatedMessage,
  ): PlannedMessage {
    const name = this.names.get(event.sender) ?? this.knowledge.names.get(event.sender) ?? ''
    const media = message.media && splitMedia(message.media)
    const userId = [...this.knowledge.identities].find(
      ([, identityId]) => identityId === chat.identityId,
    )?.[0]
    return {
      identityId: chat.identityId,
      deviceRowId: device.id,
      roomId: event.room_id,
      senderUserId: event.sender,
      media,
      payload: {
        id: event.event_id,
        type: message.type,
        from: event.sender,
        to: userId ?? '',
        message: message.message,
        device_id: device.deviceId,
        media: media?.info ?? null,
        event: message.event,
        kind: message.kind,
        timestamp: rfc3339(event.origin_server_ts),
        platform: device.platform,
        sender: {
          id: event.sender,
          phone: this.knowledge.phones.get(phoneKey(device.id, event.sender)) ?? null,
          name,
        },
        // A dm without a name is called by whom it is with; a group isn't by who happens to speak.
        chat: { id: event.room_id, kind: chat.kind, name: chat.name || (chat.kind === 'dm' ? name : '') },
        reply_to: message.replyTo,
        relates_to: message.relatesTo,
        location: message.location,
        ...(message.event === 'message.reaction' ? { removed: message.removed ?? false } : {}),
      },
    }
  }

  private update(chat: ChatState, change: Partial<ChatState>): void {
    const updated = { ...chat, ...change }
    const others = (this.chats.get(chat.roomId) ?? []).filter(other => other.identityId !== chat.identityId)
    this.chats.set(chat.roomId, [...others, updated])
    this.changed.set(chatKey(chat.identityId, chat.roomId), updated)
  }
}

/** Not our own words from the phone, not the bridge's notices, and not history. */
function isReceived(event: RoomEvent, chat: ChatState, device: Device): boolean {
  if (event.sender === chat.bridgeBot || event.sender === device.ghostUserId) return false
  if (remoteIdOf(event.sender, ghostNamingOf(device)) === device.loginId) return false
  return event.origin_server_ts >= oldestReceived(event.origin_server_ts, receivesFrom(device))
}

/** A network that counts whole seconds rounds its times down. */
function oldestReceived(sentAt: number, from: number): number {
  return sentAt % 1_000 === 0 ? from - LINK_NOTICE_MS - 999 : from - LINK_NOTICE_MS
}

function splitMedia({ mxcUri, ...info }: NonNullable<TranslatedMessage['media']>): PlannedMessage['media'] {
  return { id: randomToken('file_', 18), mxcUri, info }
}
