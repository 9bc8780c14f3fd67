/** Sends events and state, and redacts. */
import { z } from 'zod'
import {
  type Call,
  jsonObject,
  massagedTimestamp,
  param,
  readBody,
  readObject,
  transaction,
} from '../call.ts'
import type { Core } from '../core.ts'
import { badJson, forbidden, MatrixError, notFound } from '../errors.ts'
import { assertUserId } from '../identifiers.ts'
import { isObject, type JsonObject, parseStored } from '../json.ts'
import { assertCount, MAX_ALIASES_OF_ROOM } from '../limits.ts'
import { redactContent } from '../rooms/events.ts'
import type { RoomState } from '../rooms/room-state.ts'
import type { Draft, Tx } from '../tx.ts'
import { introduceUsers, reasonBody } from './membership.ts'

const EVENT = { wholeNumbers: true }
const MEMBERSHIPS = ['invite', 'join', 'leave', 'ban', 'knock']

/** @see Matrix v1.12, PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId} */
export async function send(call: Call): Promise<JsonObject> {
  const content = await readObject(call, EVENT)
  if (param(call, 'eventType') === 'm.room.redaction') {
    if (typeof content.redacts !== 'string') throw badJson('Invalid field redacts: must be an event id')
    return redactEvent(call, content.redacts, content)
  }
  const roomId = param(call, 'roomId')
  const draft = { content, txn: transaction(call), originServerTs: massagedTimestamp(call) }
  return { event_id: await call.core.commit(tx => appendOnce(call, tx, tx.room(roomId), draft)) }
}

const MAX_TOGETHER = 100
const together = z.object({
  events: z
    .array(z.object({ txn_id: z.string(), content: jsonObject }))
    .min(1)
    .max(MAX_TOGETHER),
})

/**
 * Sends several events of one type, in their order and in one write: all that `send` does for each,
 * up to the first one that is refused. An extension of ours.
 * @returns the ids of the events up to there. @throws the refusal, if it is that of the first
 */
export async function sendTogether(call: Call): Promise<JsonObject> {
  const { events } = await readBody(call, together, EVENT)
  if (param(call, 'eventType') === 'm.room.redaction') throw badJson('A redaction is sent by itself')
  const roomId = param(call, 'roomId')
  const drafts = events.map(({ txn_id: id, content }) => ({ content, txn: transaction(call, id) }))
  const eventIds = await call.core.commit(tx => {
    const room = tx.room(roomId)
    const done: string[] = []
    for (const draft of drafts) {
      try {
        done.push(appendOnce(call, tx, room, draft))
      } catch (error) {
        if (!(error instanceof MatrixError) || done.length === 0) throw error
        break
      }
    }
    return done
  })
  return { event_ids: eventIds }
}

/** @returns the id of the event, which may be there from an earlier try */
function appendOnce(
  call: Call,
  tx: Tx,
  room: RoomState,
  draft: Pick<Draft, 'content' | 'originServerTs'> & { txn: NonNullable<Draft['txn']> },
): string {
  const { txn, content } = draft
  const type = param(call, 'eventType')
  const sender = call.userId
  const done = call.core.events.byTxn(txn.id, sender, txn.scope, room.num, type)
  if (done !== undefined) return done
  // Client-server API, "Avoiding duplicate annotations".
  if (annotationOf(call.core, { type, sender, content, room: room.num }) !== undefined)
    throw new MatrixError(400, 'M_DUPLICATE_ANNOTATION', 'The same reaction is there already')
  return tx.appendAllowed(room, { ...draft, type, sender })
}

/** @see Matrix v1.12, PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey} */
export async function putState(call: Call): Promise<JsonObject> {
  const { core, userId: sender } = call
  const content = await readObject(call, EVENT)
  const type = param(call, 'eventType')
  const stateKey = call.params.stateKey ?? ''
  if (type === 'm.room.member') {
    assertUserId(stateKey)
    if (typeof content.membership !== 'string' || !MEMBERSHIPS.includes(content.membership))
      throw badJson('Invalid field membership: must be invite, join, leave, ban or knock')
    if (content.membership === 'invite') await introduceUsers(core, [stateKey])
  }
  if (type === 'm.room.canonical_alias') assertAliases(call, content)
  const roomId = param(call, 'roomId')
  const originServerTs = massagedTimestamp(call)
  const eventId = await core.commit(tx => {
    const room = tx.takeRoom(roomId)
    return tx.setState(room, { type, sender, stateKey, content, originServerTs })
  })
  return { event_id: eventId }
}

/** @returns the event by which the sender has made this reaction already */
export function annotationOf(
  core: Core,
  { type, sender, content, room }: { type: string; sender: string; content: JsonObject; room: number },
): string | undefined {
  const relation = content['m.relates_to']
  if (!isObject(relation) || relation.rel_type !== 'm.annotation') return undefined
  const { event_id: target, key } = relation
  if (typeof target !== 'string' || typeof key !== 'string') return undefined
  return core.events.annotation({ target, sender, key, type, room })
}

/** Aliases claimed by a room must lead to it. */
function assertAliases({ core, params }: Call, content: JsonObject): void {
  const alternatives = Array.isArray(content.alt_aliases) ? content.alt_aliases : []
  assertCount('alt_aliases', alternatives.length, MAX_ALIASES_OF_ROOM)
  for (const alias of [content.alias, ...alternatives]) {
    if (alias === undefined || alias === null || alias === '') continue
    if (typeof alias !== 'string' || core.events.alias(alias)?.room_id !== params.roomId)
      throw new MatrixError(400, 'M_BAD_ALIAS', `${String(alias)} does not lead to this room`)
  }
}

/** @see Matrix v1.12, PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId} */
export async function redact(call: Call): Promise<JsonObject> {
  const { reason } = await readBody(call, reasonBody, EVENT)
  return redactEvent(call, param(call, 'eventId'), reason === undefined ? {} : { reason })
}

async function redactEvent(call: Call, targetId: string, given: JsonObject): Promise<JsonObject> {
  const { core, userId: sender } = call
  const roomId = param(call, 'roomId')
  const txn = transaction(call)
  const originServerTs = massagedTimestamp(call)
  const type = 'm.room.redaction'
  const eventId = await core.commit(tx => {
    const room = tx.takeRoom(roomId)
    const done = core.events.byTxn(txn.id, sender, txn.scope, room.num, type)
    if (done !== undefined) return done
    if (room.membershipOf(sender) !== 'join') throw forbidden(`${sender} is not in the room`)
    const target = core.events.byId(targetId)
    if (!target || target.room !== room.num) throw notFound('Unknown event')
    if (target.sender !== sender && room.power.of(sender) < room.power.to('redact'))
      throw forbidden(`${sender} may not redact this event`)
    const content = { ...given, redacts: targetId }
    const id = tx.appendAllowed(room, { type, sender, content, originServerTs, txn, redacts: targetId })
    if (target.redacted_by === null && target.type !== 'm.room.create')
      tx.redact(room, target, redactContent(target.type, parseStored(target.content), room.version), id)
    return id
  })
  return { event_id: eventId }
}
