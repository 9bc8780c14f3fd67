/**
 * Sending: accepts messages and shows what became of them. `outbox.ts` hands them over,
 * `recipients.ts` finds their rooms, `status-repository.ts` keeps what the network says of them.
 */
import type { Device } from '../../db/schema/index.ts'
import type { Tx } from '../../db/transaction.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { RecipientKind } from '../../domain/states.ts'
import type { AcceptedMessage, MessageView } from '../../domain/views/message.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import {
  planMessage,
  type Unsupported,
  unsupportedByChat,
  unsupportedReason,
  unsupportedVoice,
} from '../chats/capabilities.ts'
import { isChatOf } from '../chats/chat-repository.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { loggedOut, noSuchDevice } from '../devices/refusals.ts'
import { restrictedUntil } from '../devices/restriction.ts'
import type { MediaFiles } from '../media/media.ts'
import { type Act, actionView } from './act-repository.ts'
import { filesNamed, type Part, partsOf } from './content/parts.ts'
import { checkReply } from './content/replies.ts'
import { checkContent, recipientsOf, refuseIncomplete, type SendRequest } from './content/request.ts'
import { type Backlog, createDueTimes, instantToSend, type Pace } from './limits.ts'
import {
  type MessageRepository,
  type MessageWithDevice,
  messageView,
  type NewMessage,
} from './message-repository.ts'
import { hurryLane, type WaitingMessages } from './queue/lane-repository.ts'
import type { Addressed, KnownChat, Recipients, ReferredChat } from './recipients.ts'
import type { MessageEndings } from './statuses/ending-repository.ts'

/** Messages that one send may become. */
const MAX_MESSAGES = 1_000

export type Messages = ReturnType<typeof createMessages>

export interface MessagesOptions {
  repository: MessageRepository
  waiting: Pick<WaitingMessages, 'turns' | 'lanesOfPeople'>
  endings: Pick<MessageEndings, 'cancel' | 'refuse'>
  recipients: Pick<Recipients, 'keyOf' | 'known' | 'chatOf'>
  devices: Pick<LinkedDevices, 'find' | 'linked'>
  bridges: Pick<Bridges, 'forPlatform'>
  media: Pick<MediaFiles, 'discard' | 'discardAll'>
  backlog: Pick<Backlog, 'enter' | 'leave'>
  paceOf(platform: string): Pace
  clock: Clock
}

export function createMessages(options: MessagesOptions) {
  const {
    repository,
    waiting,
    endings,
    recipients: addresses,
    devices,
    bridges,
    media,
    backlog,
    paceOf,
    clock,
  } = options

  const dueTimes = createDueTimes({ waiting, paceOf, clock })

  /** @param found of one identity */
  async function actsOn(found: readonly MessageWithDevice[]): Promise<ReadonlyMap<string, Act[]>> {
    const [first] = found
    if (!first) return new Map()
    return repository.actsOn(
      first.message.identityId,
      found.map(({ message }) => message.id),
    )
  }

  async function views(found: readonly MessageWithDevice[]): Promise<MessageView[]> {
    const due = await dueTimes(found)
    const acts = await actsOn(found)
    return found.map(one => view(one, due.get(one.message.seq) ?? null, acts.get(one.message.id)))
  }

  /**
   * The same recipient written in two ways is one, by its key or by its room: nobody wants a
   * message twice.
   */
  async function distinct(
    device: Device,
    kind: RecipientKind,
    recipients: string[],
  ): Promise<(Addressed & { chat: KnownChat | null })[]> {
    const seen = new Set<string>()
    const addressed: (Addressed & { chat: KnownChat | null })[] = []
    for (const recipient of recipients) {
      const key = await addresses.keyOf(device, kind, recipient)
      if (seen.has(key)) continue
      seen.add(key)
      const chat = await addresses.known(device, { kind, recipient, key })
      if (chat && seen.has(chat.roomId)) continue
      if (chat) seen.add(chat.roomId)
      addressed.push({ kind, recipient, key, chat })
    }
    return addressed
  }

  /** @throws GatewayError not_found */
  async function chatOf(identityId: string, reference: string): Promise<ReferredChat> {
    const chat = await addresses.chatOf(identityId, reference)
    if (chat) return chat
    throw new GatewayError('not_found', `chat_id: there is no chat ${reference}`)
  }

  /**
   * @param ofChat the platform of the chat that is written to, if it is named
   * @throws GatewayError not_found
   */
  async function deviceOf(request: SendRequest, ofChat: string | null): Promise<Device> {
    const { identityId, deviceId } = request
    const platform = request.platform || ofChat
    const device = await devices.find(identityId, deviceId, platform)
    if (device) return device
    // It tells which there are.
    if (platform) bridges.forPlatform(platform)
    throw await noSuchDevice(devices, identityId, deviceId, platform)
  }

  async function accept(request: SendRequest) {
    const { identityId, chatId, record } = request
    refuseIncomplete(request, filesNamed(request))
    const written = chatId ? null : recipientsOf(request)
    checkContent(request)
    const chat = chatId ? await chatOf(identityId, chatId) : null
    const device = await deviceOf(request, chat?.platform ?? null)
    if (chat && !isChatOf(device, chat)) throw noSuchChat(chatId, device)
    const { kind, recipients } = written ?? { kind: kindOf(chat), recipients: [chatId ?? ''] }
    if (device.state === 'logged_out') throw loggedOut(device)
    const now = clock.now()
    const sendAt = request.sendAt ? instantToSend(request.sendAt, now) : null
    if (request.replyId) await checkReply(repository, device, request.replyId, sendAt)
    const addressed = await distinct(device, kind, recipients)
    const parts = partsOf(request)
    const files = parts.flatMap(({ file }) => file ?? [])
    if (addressed.length * parts.length > MAX_MESSAGES)
      throw new GatewayError('bad_request', `file: expected at most ${MAX_MESSAGES} messages of a send`)
    const reasons = refusals(parts, device.platform, addressed)
    const lanes = await waiting.lanesOfPeople(device.id, addressed)
    const rows = rowsOf(request, device, addressed, { lanes, parts, now, sendAt })
    const unneeded: string[] = []
    const accepted = rows.map(({ id, recipient: to }, index): AcceptedMessage => {
      const reason = reasons?.[index]
      const chatOfRow = addressed[Math.floor(index / parts.length)]?.chat
      const fileName = parts[index % parts.length]?.file?.fileName
      const entry = { id, to, chat_id: chatOfRow?.id ?? null, ...(fileName && { file_name: fileName }) }
      return reason == null ? { ...entry, status: 'queued' } : { ...entry, status: 'failed', reason }
    })
    const settle = async (tx: Tx) => {
      for (const { id, reason } of accepted)
        if (reason !== undefined) unneeded.push(...(await endings.refuse(tx, identityId, id, reason, now)))
      // A chat may have come about since an earlier message began to wait for that.
      if (restrictedUntil(device, now) !== null) for (const { lane } of rows) await hurryLane(tx, lane, now)
      await record?.(tx, accepted)
    }
    backlog.enter(identityId, rows.length, paceOf(device.platform).intervalMs)
    try {
      await repository.accept(rows, files, now, settle)
    } catch (error) {
      backlog.leave(identityId, rows.length)
      throw error
    }
    await media.discardAll(unneeded)
    return accepted
  }

  return {
    /**
     * Takes a send: one message for each recipient, and of several files for each. Resolves once
     * they are on disk.
     * @throws GatewayError bad_request (`Missing required field…`, `Either text or file must be
     * provided`), not_found (no such device), conflict (the device is logged out),
     * unsupported_by_chat (no recipient's chat takes it), too_many_requests (too many wait
     * already); staged files are then discarded
     */
    async accept(request: SendRequest): Promise<AcceptedMessage[]> {
      try {
        return await accept(request)
      } catch (error) {
        for (const file of request.files ?? []) await media.discard(file)
        throw error
      }
    },

    /** @throws GatewayError not_found */
    async get(identityId: string, messageId: string): Promise<MessageView> {
      const found = await repository.get(identityId, messageId)
      const [shown] = found ? await views([found]) : []
      if (shown) return shown
      throw new GatewayError('not_found', `there is no message ${messageId}`)
    },

    /**
     * Takes back a message that is queued; a file that nothing else needs goes with it.
     * @returns the message as it is then
     * @throws GatewayError not_found, conflict (it is queued no more)
     */
    async cancel(identityId: string, messageId: string): Promise<MessageView> {
      const result = await endings.cancel(identityId, messageId, clock.now())
      if (!result) throw new GatewayError('not_found', `there is no message ${messageId}`)
      await media.discardAll(result.unneeded)
      const acts = await actsOn([result.found])
      const shown = view(result.found, null, acts.get(messageId))
      if (result.cancelled) return shown
      throw new GatewayError(
        'conflict',
        `the message is ${shown.status}: only one that is queued can be cancelled`,
      )
    },

    /**
     * @param before a message id: only older ones
     * @returns newest first
     * @throws GatewayError not_found when there is no message `before`
     */
    async list(identityId: string, limit: number, before?: string): Promise<MessageView[]> {
      const page = await repository.list(identityId, limit, before)
      // The first page in its place would keep a client turning pages for ever.
      if (!page) throw new GatewayError('not_found', `before: there is no message ${before}`)
      return views(page)
    },
  }
}

function kindOf(chat: ReferredChat | null): RecipientKind {
  return chat?.kind === 'dm' ? 'contact' : 'group'
}

function noSuchChat(reference: string | undefined, { platform, deviceId }: Device): GatewayError {
  return new GatewayError(
    'not_found',
    `chat_id: there is no chat ${reference} of the ${platform} device ${deviceId}`,
  )
}

/**
 * @param given.lanes of the recipients for whom messages wait under another key
 * @returns all parts for the first recipient, then for the next
 */
function rowsOf(
  { identityId, metadata, expiresInS }: SendRequest,
  device: Device,
  addressed: readonly Addressed[],
  given: {
    lanes: readonly (string | null)[]
    parts: readonly Part[]
    now: number
    sendAt: number | null
  },
): NewMessage[] {
  const { lanes, parts, now, sendAt } = given
  return addressed.flatMap(({ kind, recipient, key }, index) =>
    parts.map(({ text, content, replyTo, file }) => ({
      id: timeOrderedId('msg_'),
      identityId,
      deviceRowId: device.id,
      lane: lanes[index] ?? `${device.id}/${key}`,
      recipientKind: kind,
      recipient,
      text,
      content,
      metadata: metadata ?? null,
      mediaId: file?.id ?? null,
      replyTo,
      sendAt,
      expiresAt: expiresInS === undefined ? null : (sendAt ?? now) + expiresInS * 1000,
    })),
  )
}

/**
 * A recipient who can't be written to doesn't hold up others.
 * @returns the reasons of those messages that their chats don't take, in the order of `rowsOf`,
 * null for the others; null as a whole where there are none
 * @throws GatewayError unsupported_by_chat when no chat takes any
 */
function refusals(
  parts: readonly Part[],
  platform: string,
  addressed: readonly { chat: KnownChat | null }[],
): (string | null)[] | null {
  for (const { content, file } of parts) {
    const noVoice = content?.as === 'voice' && file?.stored ? unsupportedVoice(file) : null
    if (noVoice) throw unsupportedByChat(platform, noVoice)
  }
  const found = addressed.flatMap(({ chat }) => parts.map(part => chat && unsupportedIn(chat, part)))
  const [first] = found
  if (first && found.every(unsupported => unsupported !== null)) throw unsupportedByChat(platform, first)
  if (found.every(unsupported => unsupported === null)) return null
  return found.map(unsupported => unsupported && unsupportedReason(platform, unsupported))
}

function unsupportedIn(chat: KnownChat, { text, content, replyTo, file }: Part): Unsupported | null {
  // Nothing is known yet of a file that is to be fetched: the outbox will say.
  if (file && !file.stored) return null
  const plan = planMessage({ text, content, file, isReply: replyTo !== null }, chat.takes)
  return 'unsupported' in plan ? plan.unsupported : null
}

function view(found: MessageWithDevice, dueAt: number | null, acts: readonly Act[] = []): MessageView {
  const { deletedAt } = found.message
  return {
    ...messageView(found),
    due_at: dueAt === null ? null : rfc3339(dueAt),
    deleted_at: deletedAt === null ? null : rfc3339(deletedAt),
    actions: acts.map(act => actionView(act)),
  }
}
