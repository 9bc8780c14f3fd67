/**
 * Plans, purely, what a batch of facts changes. The repository writes a plan in one transaction, or
 * refuses it when the rows that it rests on have changed meanwhile.
 */
import { type Chat, type Device, newChatId } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Fact, MembershipFact, MessageContent, NameFact, SaidFact } from '../../domain/facts.ts'
import type { EventBatch } from '../../domain/ports.ts'
import type { ChatMembership } from '../../domain/states.ts'
import { UNKNOWN_CHAT } from '../chats/chat-repository.ts'
import { columnsOf, describeChat } from '../chats/description.ts'
import { deviceOfChat } from '../chats/knowledge.ts'
import { isOwnGhost } from '../devices/ghosts.ts'
import { receivesFrom } from '../devices/history.ts'
import { chatUpdated, memberNews } from './chat-changes.ts'
import { eventContent } from './chat-events.ts'
import { EarlierSaid } from './earlier-said.ts'
import type { HeldFact } from './held-events.ts'
import type { ChatState, Knowledge, Plan } from './plan-types.ts'
import { plannedMessage } from './planned-message.ts'

export const chatKey = (identityId: string, roomId: string) => `${identityId} ${roomId}`
export const phoneKey = (deviceRowId: string, matrixUserId: string) => `${deviceRowId} ${matrixUserId}`
/** The key of an identity's logins at a platform's bridge. */
export const loginsOf = (identityId: string, platform: string) => `${identityId}/${platform}`

/** We learn of a link a moment after the bridge made it, and a message may come in between. */
const LINK_NOTICE_MS = 250

/** @param batch in the order it happened */
export function planBatch(batch: EventBatch, knowledge: Knowledge): Plan {
  const planner = new Planner(knowledge, hearerOf(batch, knowledge))
  for (const fact of batch.facts) planner.takeSafely(fact)
  return { ...planner.plan, position: batch.position }
}

/**
 * The identity that a batch is for; undefined: all of ours. In a room with several of them each
 * /sync brings the same events, and each identity hears them from its own.
 */
function hearerOf({ position }: EventBatch, { identities }: Knowledge): string | undefined {
  return position.kind === 'transaction' ? undefined : identities.get(position.userId)
}

/**
 * Plans the end of a join: people's names, and the messages since the invitation.
 * @param said oldest first; those we have already are stored once all the same
 * @throws GatewayError not_found when there is no such chat any more
 */
export function planJoin(
  { identityId, roomId }: Pick<Chat, 'identityId' | 'roomId'>,
  names: readonly NameFact[],
  said: readonly SaidFact[],
  knowledge: Knowledge,
): Plan {
  const chat = knowledge.chats.find(one => one.identityId === identityId && one.roomId === roomId)
  if (!chat) throw new GatewayError('not_found', `the chat ${roomId} is gone`)
  const planner = new Planner({ ...knowledge, chats: [chat] })
  planner.update(chat, { membership: 'joined' })
  for (const { userId, name } of names) planner.learnName(userId, name)
  for (const fact of said) planner.takeSafely(fact)
  return planner.plan
}

class Planner {
  /** Grows with each fact. */
  readonly plan: Plan = {
    position: null,
    chats: new Map(),
    features: [],
    messages: [],
    events: [],
    erased: [],
    held: [],
    rejoined: new Set(),
    statuses: [],
    reads: [],
    ownReads: [],
    names: new Map(),
    givenUp: [],
    unknownDevices: [],
    unknownSenders: [],
  }
  /** As the facts so far have made them, by room. */
  private readonly chats: Map<string, ChatState[]>
  private readonly earlier: EarlierSaid

  /** @param hearer the only identity that the events are for; undefined: all */
  constructor(
    private readonly knowledge: Knowledge,
    private readonly hearer?: string,
  ) {
    this.earlier = new EarlierSaid(knowledge.earlier)
    const heard: readonly ChatState[] = knowledge.chats.filter(({ identityId }) => this.hears(identityId))
    this.chats = Map.groupBy(heard, chat => chat.roomId)
  }

  private hears(identityId: string): boolean {
    return this.hearer === undefined || this.hearer === identityId
  }

  /** A defect that one fact meets must not stop all others, each time they come again. */
  takeSafely(fact: Fact): void {
    try {
      this.take(fact)
    } catch (error) {
      this.plan.givenUp.push({ fact, error })
    }
  }

  private take(fact: Fact): void {
    if (this.knowledge.forged.has(fact)) return
    switch (fact.fact) {
      case 'message':
      case 'reaction':
        this.takeSaid(fact)
        break
      case 'status': {
        const { eventId, sender, status, reason } = fact
        this.plan.statuses.push({ eventId, sender, status, reason })
        break
      }
      case 'receipt': {
        const { roomId, eventId, userId } = fact
        const identityId = this.knowledge.identities.get(userId)
        if (identityId === undefined) this.plan.reads.push({ roomId, eventId, userId })
        else if (this.hears(identityId)) this.plan.ownReads.push({ identityId, roomId, eventId })
        break
      }
      case 'membership':
        this.takeMembership(fact)
        break
      case 'name':
        if (!this.knowledge.identities.has(fact.userId)) this.learnName(fact.userId, fact.name)
        break
      case 'portal':
      case 'features':
      case 'moved':
      case 'room':
        this.describe(fact.roomId, fact)
        break
    }
  }

  learnName(userId: string, name: string): void {
    if (this.knowledge.names.get(userId) !== name) this.plan.names.set(userId, name)
  }

  private describe(roomId: string, fact: Fact): void {
    const { columns, features } = columnsOf(describeChat([fact]), this.knowledge.platforms)
    if (features) this.plan.features.push(features)
    const told = 'told' in fact ? fact.told : undefined
    for (const chat of this.chats.get(roomId) ?? []) {
      const device = told && this.deviceOf(chat)
      const event = device && chatUpdated(chat, columns, device, told)
      if (event) this.plan.events.push(event)
      this.update(chat, columns)
    }
  }

  private takeMembership(fact: MembershipFact): void {
    const { roomId, userId, membership: reported } = fact
    for (const chat of this.chats.get(roomId) ?? []) this.tellOfMember(chat, fact)
    const identityId = this.knowledge.identities.get(userId)
    if (identityId === undefined || !this.hears(identityId)) return
    const chat = this.chats.get(roomId)?.find(candidate => candidate.identityId === identityId)
    const membership = membershipAfter(chat?.membership, reported)
    if (membership !== undefined) this.update(chat ?? newChat(identityId, roomId), { membership })
  }

  private tellOfMember(chat: ChatState, fact: MembershipFact): void {
    const device = fact.change && this.deviceOf(chat)
    if (!fact.change || !device || isPast({ ...fact.change, isHistory: false }, device)) return
    const { names, phones } = this.knowledge
    const news = memberNews(chat, fact, fact.change, device, {
      nameOf: userId => this.plan.names.get(userId) ?? names.get(userId) ?? '',
      phoneOf: userId => phones.get(phoneKey(device.id, userId)) ?? null,
      isSelf: userId => this.isIdentity(userId, chat),
    })
    if (!news) return
    this.plan.events.push(news.event)
    this.update(chat, { memberCount: news.memberCount })
  }

  private takeSaid(said: HeldFact): void {
    const chats = this.chats.get(said.roomId) ?? []
    const erased = said.content?.event === 'message.deleted' ? said.content.relatesTo : null
    if (erased !== null)
      for (const { identityId, roomId } of chats)
        this.plan.erased.push({ identityId, roomId, eventId: erased })
    const content = this.earlier.contentOf(said)
    if (!content) return
    for (const chat of chats) this.receive(chat, said, content)
  }

  private receive(chat: ChatState, said: HeldFact, spoken: MessageContent): void {
    if (chat.membership === 'left') return
    if (this.isIdentity(said.sender, chat) && !this.isFromPhone(said, chat)) return
    if (chat.membership !== 'joined') {
      this.plan.held.push({ identityId: chat.identityId, said })
      return
    }
    if (chat.platform === null) return
    const content = eventContent(chat, said.sender, spoken)
    if (!content) return
    const device = this.deviceOf(chat)
    if (!device && this.knowledge.unanswered?.has(loginsOf(chat.identityId, chat.platform))) {
      // It may be newly linked. The chat is joined once more when the bridge can be asked.
      this.plan.held.push({ identityId: chat.identityId, said })
      this.plan.rejoined.add(chatKey(chat.identityId, chat.roomId))
      this.update(chat, { membership: 'joining' })
      return
    }
    if (!device || device.state === 'logged_out')
      this.plan.unknownDevices.push({ identityId: chat.identityId, platform: chat.platform })
    if (!device) return
    // `erased` does it to history.
    if (isPast(said, device) && said.content?.event === 'message.deleted') return
    this.noteUnknownSender(device, said)
    const message = this.planMessage(chat, device, said, content)
    this.plan.messages.push(message)
    const { payload, history } = message
    if (payload && chat.kind === 'dm' && history.direction === 'in' && chat.peer !== said.sender)
      this.update(chat, { peer: said.sender })
  }

  private noteUnknownSender(device: Device, said: HeldFact): void {
    if (isPast(said, device) || isOwnGhost(said.sender, device)) return
    const key = phoneKey(device.id, said.sender)
    if (this.knowledge.phones.has(key) && this.knowledge.phones.get(key) === undefined)
      this.plan.unknownSenders.push({ device, userId: said.sender })
  }

  /** True for words of the account, which has a ghost, or two, beside the identity. */
  private isOwn(said: HeldFact, chat: ChatState, device: Device): boolean {
    if (this.isIdentity(said.sender, chat) || isOwnGhost(said.sender, device)) return true
    const phone = this.knowledge.phones.get(phoneKey(device.id, said.sender))
    return phone !== undefined && phone !== null && phone === device.phone
  }

  private isIdentity(userId: string, { identityId }: ChatState): boolean {
    return this.knowledge.identities.get(userId) === identityId
  }

  /** True for words of the identity that were said at the phone, and not by way of us. */
  private isFromPhone(said: HeldFact, chat: ChatState): boolean {
    if (said.isHistory || said.isPuppeted) return true
    const device = this.deviceOf(chat)
    return device !== undefined && isPast(said, device)
  }

  private deviceOf(chat: ChatState): Device | undefined {
    return deviceOfChat(this.knowledge, chat)
  }

  private planMessage(chat: ChatState, device: Device, said: HeldFact, content: MessageContent) {
    const { names, identities, phones } = this.knowledge
    const [to] = [...identities].find(([, identityId]) => identityId === chat.identityId) ?? []
    const isOwn = this.isOwn(said, chat, device)
    const direction = isOwn ? 'out' : 'in'
    const name = this.plan.names.get(said.sender) ?? names.get(said.sender) ?? ''
    const people = {
      to: to ?? '',
      name: isOwn ? device.name : name,
      phone: isOwn ? device.phone : (phones.get(phoneKey(device.id, said.sender)) ?? null),
    }
    return plannedMessage(chat, device, said, content, { people, direction, isPast: isPast(said, device) })
  }

  update(chat: ChatState, change: Partial<ChatState>): void {
    const updated = { ...chat, ...change }
    const others = (this.chats.get(chat.roomId) ?? []).filter(other => other.identityId !== chat.identityId)
    this.chats.set(chat.roomId, [...others, updated])
    const key = chatKey(chat.identityId, chat.roomId)
    const before = this.plan.chats.get(key)?.change
    this.plan.chats.set(key, { chat: updated, change: { ...before, ...change } })
  }
}

/** True for what isn't received, as it is from before the device received anything. */
function isPast({ isHistory, sentAt }: Pick<HeldFact, 'isHistory' | 'sentAt'>, device: Device): boolean {
  return isHistory || sentAt < oldestReceived(sentAt, receivesFrom(device))
}

/** A network that counts whole seconds rounds its times down. */
function oldestReceived(sentAt: number, from: number): number {
  return sentAt % 1_000 === 0 ? from - LINK_NOTICE_MS - 999 : from - LINK_NOTICE_MS
}

function newChat(identityId: string, roomId: string): ChatState {
  return {
    ...UNKNOWN_CHAT,
    id: newChatId(),
    identityId,
    roomId,
    membership: 'invited',
    peer: null,
    features: null,
  }
}

/** @returns our membership after a member event about us, undefined when it doesn't change */
function membershipAfter(before: ChatMembership | undefined, event: unknown): ChatMembership | undefined {
  if (event === 'invite') return before === 'joined' || before === 'joining' ? undefined : 'invited'
  // A room that we made or were put into has no invitation to answer, but all the rest to find out.
  if (event === 'join') return before === undefined || before === 'left' ? 'joining' : undefined
  return before !== undefined && (event === 'leave' || event === 'ban') ? 'left' : undefined
}
