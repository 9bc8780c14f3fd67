/**
 * Takes history from a bridge, many events at once: an extension that bridges use where a
 * homeserver announces `com.beeper.batch_sending` (mautrix-go, BeeperBatchSend).
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Appservice } from '../appservices/appservices.ts'
import { type Call, jsonObject, param, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, invalidParam } from '../errors.ts'
import { assertUserId, serverOf } from '../identifiers.ts'
import { type JsonObject, parseStored } from '../json.ts'
import { MAX_BATCH_EVENTS, MAX_BYTES_OF_CALL, MAX_ID_BYTES } from '../limits.ts'
import { redactContent } from '../rooms/events.ts'
import { mergeInterest, type RoomState } from '../rooms/room-state.ts'
import type { Draft, FromBatch, Tx } from '../tx.ts'
import { putMark } from './receipts.ts'
import { annotationOf } from './send.ts'

/** Bridges derive ids from the network's ids of the messages, and add a server's name. */
const EVENT_ID = /^\$[\w.:~+/=-]+$/

const eventSchema = z.object({
  type: z.string().min(1),
  sender: z.string(),
  content: jsonObject,
  event_id: z.string().max(MAX_ID_BYTES).regex(EVENT_ID).optional(),
  origin_server_ts: z.number().int().min(0).optional(),
  redacts: z.string().max(MAX_ID_BYTES).optional(),
  /** History has no state: the room has that of now. */
  state_key: z.never('history has no state').optional(),
})
type BatchEvent = z.infer<typeof eventSchema>

const batchSchema = z.object({
  events: z.array(eventSchema).max(MAX_BATCH_EVENTS),
  /** The batch follows what the room has; else it is from before all of that. */
  forward: z.boolean().optional(),
  forward_if_no_messages: z.boolean().optional(),
  /** A forward batch is news, also the first one of a room. */
  send_notification: z.boolean().optional(),
  /** Who has read all of a forward batch. */
  mark_read_by: z.string().max(MAX_ID_BYTES).optional(),
})
type Batch = z.infer<typeof batchSchema>

/**
 * A quiet batch that makes a room may hold what was said while the room was made, and read at once.
 * That is news, as it would be in any other room.
 */
const RECENT_MS = 10 * 60_000
/** Names the bridge that wrote as a user of its own. */
const DOUBLE_PUPPET = 'fi.mau.double_puppet_source'

const RULES = { wholeNumbers: true, maxBytes: MAX_BYTES_OF_CALL, maxValues: 100_000 }

/**
 * Stores a batch, all of it or nothing. Events that are there already, by their ids, stay as they
 * are, so a repeat stores nothing.
 * @returns the ids of its events, in their order
 */
export async function batchSend(call: Call): Promise<JsonObject> {
  const { core, appservice } = call
  if (!appservice || call.isPuppet)
    throw forbidden('Only an application service adds history, as a user of its own')
  const batch = await readBody(call, batchSchema, RULES)
  const reader = batch.mark_read_by
  const speakers = new Set(batch.events.map(({ sender }) => sender))
  for (const userId of reader ? [...speakers, reader] : speakers) assertMaySpeakAs(core, appservice, userId)
  const roomId = param(call, 'roomId')
  const eventIds = await core.commit(tx => {
    const room = tx.room(roomId)
    if (room.membershipOf(call.userId) !== 'join') throw forbidden(`${call.userId} is not in the room`)
    // A network's people may speak in history before they do in the room.
    for (const userId of speakers) core.users.insert(userId, core.clock.now())
    return new BatchWriter(core, tx, room, appservice).write(batch)
  })
  return { event_ids: eventIds }
}

/** Its own users need not exist yet; those of others must. */
function assertMaySpeakAs(core: Core, { namespaces }: Appservice, userId: string): void {
  assertUserId(userId)
  const isOwn = namespaces.has('users', userId) && serverOf(userId) === core.serverName
  const isPuppet = namespaces.has('puppets', userId) && core.userExists(userId)
  if (!isOwn && !isPuppet) throw forbidden(`Application service cannot masquerade as ${userId}`)
}

class BatchWriter {
  private readonly interest: string | null

  constructor(
    private readonly core: Core,
    private readonly tx: Tx,
    private readonly room: RoomState,
    private readonly appservice: Appservice,
  ) {
    this.interest = interestOf(core, room, appservice)
  }

  write({ events, ...wish }: Batch): string[] {
    const { core, room } = this
    const hasMessages = core.events.hasMessages(room.num)
    const isForward = wish.forward === true || (wish.forward_if_no_messages === true && !hasMessages)
    // A batch behind messages came while the bridge was away, though it may have been read since.
    const isNews = isForward && (wish.send_notification === true || hasMessages)
    const newsFrom = core.clock.now() - RECENT_MS
    const first = Math.min(core.events.firstOfRoom(room.num) ?? 0, 0) - events.length
    const ids = events.map((event, index) =>
      this.writeOnce(event, {
        eventId: event.event_id ?? derivedId(room.roomId, index, event),
        place: isForward ? null : first + index,
        isHistory: !isNews && !(isForward && (event.origin_server_ts ?? newsFrom) >= newsFrom),
        interest: this.interest,
      }),
    )
    const last = ids.at(-1)
    // A private receipt: the network knows already, and is not to be told again.
    if (isForward && last !== undefined && wish.mark_read_by !== undefined)
      putMark({ core, userId: wish.mark_read_by }, this.tx, room, { type: 'm.read.private', eventId: last })
    return ids
  }

  private writeOnce(event: BatchEvent, batch: FromBatch): string {
    const { type, sender, origin_server_ts: originServerTs } = event
    const { core, room } = this
    const content = this.marked(sender, event.content)
    const known = core.events.byId(batch.eventId)
    if (known?.room === room.num) return batch.eventId
    if (known) throw invalidParam(`${batch.eventId} is an event of another room`)
    // Bridges don't derive the ids of reactions.
    const annotation = annotationOf(core, { type, sender, content, room: room.num })
    if (annotation !== undefined) return annotation
    const redacts = type === 'm.room.redaction' ? (event.redacts ?? content.redacts) : undefined
    const draft: Draft = { type, sender, content, originServerTs, batch }
    if (typeof redacts !== 'string') return this.tx.append(room, draft)
    const id = this.tx.append(room, { ...draft, content: { ...content, redacts }, redacts })
    this.redact(redacts, sender, id)
    return id
  }

  /** Bridges mark the words of puppets, but not in batches: others take those for echoes. */
  private marked(sender: string, content: JsonObject): JsonObject {
    const { id, namespaces } = this.appservice
    const isPuppet = namespaces.has('puppets', sender) && !namespaces.has('users', sender)
    return isPuppet ? { [DOUBLE_PUPPET]: id, ...content } : content
  }

  /** Own words only: a bridge takes back what it has brought. */
  private redact(targetId: string, sender: string, redactionId: string): void {
    const target = this.core.events.byId(targetId)
    if (target?.room !== this.room.num || target.state_key !== null || target.redacted_by !== null) return
    if (target.sender !== sender && this.room.power.of(sender) < this.room.power.to('redact')) return
    const content = redactContent(target.type, parseStored(target.content), this.room.version)
    this.tx.redact(this.room, target, content, redactionId)
  }
}

/**
 * The appservices that get a batch: also those whose users are only invited, as a room's first
 * batch may come before they join, but not its sender, who would take its puppets' words for new.
 */
function interestOf(core: Core, room: RoomState, { num }: Appservice): string | null {
  let interest = room.interest
  for (const [userId, membership] of room.members) {
    if (membership !== 'invite') continue
    interest = mergeInterest(interest, core.appservices.numsOfUser(userId).join(',') || null)
  }
  const others = interest?.split(',').filter(other => other !== String(num)) ?? []
  return others.length === 0 ? null : others.join(',')
}

/** An id that the same event of a repeated batch gets again. */
function derivedId(roomId: string, index: number, event: BatchEvent): string {
  const text = JSON.stringify([roomId, index, event])
  return `$${createHash('sha256').update(text).digest('base64url')}`
}
