/** Finds the message that an act is for, wherever it is kept, and tells if it can be acted on. */
import type { Message } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Poll } from '../../domain/events.ts'
import type { MessageKind, MessageStatus } from '../../domain/states.ts'
import type { FoundMessage, TargetRepository } from './target-repository.ts'

/** A message that something is done to. */
export interface Target {
  /** `msg_…` if it was sent from here, else its event id. */
  id: string
  identityId: string
  deviceRowId: string
  /** True for what the account itself has said, here or at the phone. */
  isOwn: boolean
  kind: MessageKind
  text: string
  /** When it was sent, as closely as it is known; epoch milliseconds. */
  sentAt: number
  isDeleted: boolean
  /** Where it was said; null until it is handed over. */
  said: { eventId: string; roomId: string } | null
  /** Its row, if it was sent from here. */
  sent: Message | null
  poll: TargetPoll | null
  location: TargetLocation | null
  mediaId: string | null
  /** The event of its caption, where that went by itself. */
  captionEventId: string | null
}

export interface TargetLocation {
  latitude: number
  longitude: number
}

export interface TargetPoll {
  options: { id: string; text: string }[]
  maxSelections: number
}

/** Somebody said it, but as no message. */
const NO_MESSAGES: readonly MessageKind[] = ['reaction', 'edit', 'redaction', 'vote', 'poll_end', 'call']
const WAITING: readonly MessageStatus[] = ['scheduled', 'queued', 'sending']
const ENDED: readonly MessageStatus[] = ['failed', 'cancelled']

export type Targets = ReturnType<typeof createTargets>

export function createTargets(repository: TargetRepository) {
  return {
    /** @returns the event that was said last in a chat; null when nothing was */
    newestIn: repository.newestIn,
    reactionElsewhere: repository.reactionElsewhere,

    /** @throws GatewayError not_found */
    async get(identityId: string, id: string): Promise<Target> {
      const found = await repository.find(identityId, id)
      const target = found && targetOf(identityId, found)
      if (target && !NO_MESSAGES.includes(target.kind)) return target
      throw new GatewayError('not_found', `there is no message ${id}`)
    },
  }
}

/** True as long as the message is still to be sent. */
export function isWaiting({ sent }: Target): boolean {
  return sent !== null && WAITING.includes(sent.status)
}

/** @throws GatewayError conflict when there is nothing that could be acted on */
export function refuseGone({ id, sent, isDeleted }: Target): void {
  if (isDeleted) throw new GatewayError('conflict', `the message ${id} was deleted`)
  if (sent === null || !ENDED.includes(sent.status)) return
  const how = sent.status === 'cancelled' ? 'was cancelled' : 'failed'
  throw new GatewayError('conflict', `the message ${id} was never sent: it ${how}`)
}

function targetOf(identityId: string, found: FoundMessage): Target {
  const common = { identityId, sent: null, captionEventId: null }
  switch (found.from) {
    case 'sent': {
      const { message, caption, saidAt } = found
      const { id, deviceRowId, eventId, roomId } = message
      return {
        ...common,
        id,
        deviceRowId,
        isOwn: true,
        kind: kindOfSent(message),
        poll: pollOfSent(message),
        location: message.content?.location ?? null,
        mediaId: message.mediaId,
        text: message.text ?? '',
        // Its last status may be much younger.
        sentAt: saidAt ?? message.updatedAt,
        isDeleted: message.deletedAt !== null,
        said: eventId === null || roomId === null ? null : { eventId, roomId },
        sent: message,
        captionEventId: caption?.eventId ?? null,
      }
    }
    case 'events': {
      const { payload, roomId, deviceRowId } = found.message
      const said = { eventId: payload.id, roomId }
      return {
        ...common,
        id: payload.id,
        deviceRowId,
        isOwn: false,
        kind: payload.kind,
        poll: pollOf(payload.poll),
        location: payload.location,
        mediaId: found.message.mediaId,
        text: payload.message,
        sentAt: Date.parse(payload.timestamp),
        isDeleted: false,
        said,
      }
    }
    case 'history': {
      const { eventId, roomId, deviceRowId, direction, kind, text, sentAt, deletedAt, content } =
        found.message
      return {
        ...common,
        id: eventId,
        deviceRowId,
        isOwn: direction === 'out',
        kind,
        poll: pollOf(content?.poll),
        location: content?.location ?? null,
        mediaId: found.message.mediaId,
        text,
        sentAt,
        isDeleted: deletedAt !== null,
        said: { eventId, roomId },
      }
    }
  }
}

function kindOfSent({ mediaId, content }: Message): MessageKind {
  if (content?.poll) return 'poll'
  if (content?.location) return 'location'
  return mediaId === null ? 'text' : 'file'
}

/** An option's id is its place, as the event of the poll has it. */
function pollOfSent({ content }: Message): TargetPoll | null {
  if (!content?.poll) return null
  const { options, max_selections: maxSelections = 1 } = content.poll
  return { options: options.map((text, index) => ({ id: String(index + 1), text })), maxSelections }
}

function pollOf(poll: Poll | undefined): TargetPoll | null {
  return poll ? { options: poll.options, maxSelections: poll.max_selections } : null
}
