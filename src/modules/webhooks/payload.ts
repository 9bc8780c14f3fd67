/**
 * Makes what clients get of a stored event, by webhook or feed. A message also says whether its
 * sender is a contact, what it answers, and carries its file.
 */
import { type ErrorCode, GatewayError } from '../../domain/errors.ts'
import {
  isMessageEvent,
  type MediaPayload,
  type MessageEvent,
  type MessagePayload,
  type StoredEvent,
} from '../../domain/events.ts'
import { codeOf } from '../../lib/error-codes.ts'
import type { Contacts } from '../chats/contacts.ts'
import type { PeoplesPhones } from '../chats/phones.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { isOwnGhost } from '../devices/ghosts.ts'
import type { Payloads, Senders, StoredEventRow } from '../events/events.ts'
import type { AnsweredMessage } from '../history/answered-repository.ts'
import type { MediaFiles } from '../media/media.ts'

export interface PayloadsOptions {
  devices: Pick<LinkedDevices, 'get'>
  contacts: Pick<Contacts, 'lookUp'>
  phones: Pick<PeoplesPhones, 'of'>
  /** Finds the message that another one answers. */
  answered(identityId: string, eventId: string): Promise<AnsweredMessage | null>
  media: Pick<MediaFiles, 'fetchIncoming' | 'signedPath' | 'pathOf'>
  /** Base URL by which clients reach us, without a trailing slash. */
  publicUrl(): string
  /** Larger files, in bytes, are sent as an address alone. */
  inlineMaxBytes: number
}

const LOST: readonly ErrorCode[] = ['not_found', 'forbidden', 'payload_too_large', 'quota_exceeded']

type MayInline = Parameters<Payloads['of']>[1]

export function createPayloads(options: PayloadsOptions): Payloads {
  const { devices, contacts, phones, answered, media, publicUrl, inlineMaxBytes } = options

  async function mediaOf(
    payload: MessageEvent,
    mediaId: string | null,
    mayInline: MayInline,
  ): Promise<MediaPayload | null> {
    if (!payload.media || mediaId === null) return null
    if (mayInline === null) return { content: null, info: payload.media, url: null }
    const url = `${publicUrl()}${media.signedPath(mediaId)}`
    try {
      const file = await media.fetchIncoming(mediaId)
      const isInline = file.sizeBytes <= inlineMaxBytes && ((await mayInline?.(file.sizeBytes)) ?? true)
      const content = isInline
        ? Buffer.from(await Bun.file(media.pathOf(mediaId)).bytes()).toString('base64')
        : null
      const { sizeBytes, width, height, blurHash } = file
      return { content, info: { ...payload.media, size: sizeBytes, width, height, blur_hash: blurHash }, url }
    } catch (error) {
      // The rest of the message is still worth sending.
      if (!isGone(error)) throw error
      return { content: null, info: payload.media, url: null }
    }
  }

  async function lookUp(
    { deviceRowId, senderUserId: userId }: Pick<StoredEventRow, 'deviceRowId' | 'senderUserId'>,
    shown: string | null,
  ) {
    // Nobody in particular, such as a channel.
    if (userId === '') return { isContact: false, phone: null, name: '' }
    const device = await devices.get(deviceRowId)
    const known = shown ?? (device && (await phones.of(device, userId)))
    const contact = device && (await contacts.lookUp(device, userId, known))
    return {
      isContact: contact !== null,
      phone: known ?? contact?.phone ?? null,
      name: contact?.name ?? '',
    }
  }

  /** Quotes what the message answers as it is kept now: a deleted one is quoted no more. */
  async function answerOf({ identityId }: StoredEventRow, { reply_to: eventId, to }: MessageEvent) {
    if (eventId === null) return {}
    const found = await answered(identityId, eventId)
    if (!found) return { reply_to_message_id: null, quoted: null, metadata: null }
    const { text, messageId, metadata } = found
    return {
      reply_to_message_id: messageId,
      quoted: { text, sender: await quotedSender(found, to) },
      metadata,
    }
  }

  async function quotedSender({ direction, deviceRowId, senderUserId }: AnsweredMessage, self: string) {
    const device = direction === 'out' ? await devices.get(deviceRowId) : null
    if (device) return { id: self, phone: device.phone, name: device.ownName ?? device.name }
    const { phone, name } = await lookUp({ deviceRowId, senderUserId }, null)
    return { id: senderUserId, phone, name }
  }

  /** @param self the identity, by which bridges mention the account */
  async function mentionedBy(event: StoredEventRow, userId: string, self: string) {
    const { deviceRowId } = event
    const device = await devices.get(deviceRowId)
    if (device && (userId === self || isOwnGhost(userId, device)))
      return { id: userId, phone: device.phone, name: device.ownName ?? device.name }
    const { phone, name } = await lookUp({ deviceRowId, senderUserId: userId }, null)
    return { id: userId, phone, name }
  }

  async function messagePayload(
    event: StoredEventRow,
    payload: MessageEvent,
    mayInline: MayInline,
    senders: Senders,
  ): Promise<MessagePayload> {
    const key = `${event.deviceRowId} ${event.senderUserId} ${payload.sender.phone}`
    const sender = senders.get(key) ?? lookUp(event, payload.sender.phone)
    senders.set(key, sender)
    const { isContact, phone, name } = await sender
    const { id, mentions, ...said } = payload
    // The order is that of the usage guide, which events are stored in.
    return {
      id,
      is_contact: isContact,
      ...said,
      media: await mediaOf(payload, event.mediaId, mayInline),
      sender: { id: payload.sender.id, phone, name: name || payload.sender.name },
      ...(await answerOf(event, payload)),
      ...(mentions
        ? { mentions: await Promise.all(mentions.map(one => mentionedBy(event, one, payload.to))) }
        : {}),
      // Those that an earlier version stored lack it.
      ...(payload.event === 'message.reaction' ? { removed: payload.removed ?? false } : {}),
    }
  }

  return {
    async of(event, mayInline, senders = new Map()) {
      const payload = JSON.parse(event.payload) as StoredEvent
      if (!isMessageEvent(payload)) return event.payload
      return JSON.stringify(await messagePayload(event, payload, mayInline, senders))
    },
  }
}

/**
 * True when the file will never come: the homeserver doesn't have it, it is too large, or somebody
 * removed our stored copy.
 */
function isGone(error: unknown): boolean {
  if (error instanceof GatewayError) return LOST.includes(error.code)
  return codeOf(error) === 'ENOENT'
}
