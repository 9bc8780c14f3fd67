/** Receipts, read markers and typing. */
import { z } from 'zod'
import { type Call, ownUserId, param, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, invalidParam } from '../errors.ts'
import { assertId, MAX_ID_BYTES } from '../limits.ts'
import type { RoomState } from '../rooms/room-state.ts'
import { UNTHREADED } from '../rooms/shown-events.ts'
import type { Tx } from '../tx.ts'

const FULLY_READ = 'm.fully_read'
const RECEIPTS = ['m.read', 'm.read.private']
const MAX_TYPING_MS = 120_000
const DEFAULT_TYPING_MS = 30_000

function joinedRoom(call: Call): RoomState {
  const room = call.core.rooms.read(param(call, 'roomId'))
  if (room?.membershipOf(call.userId) !== 'join') throw forbidden(`${call.userId} is not in the room`)
  return room
}

interface Mark {
  type: string
  eventId: string
  threadId?: string | undefined
}

/** Moves the requester's marks in the path's room. */
async function putMarks(call: Call, marks: readonly Mark[]): Promise<undefined> {
  const room = joinedRoom(call)
  await call.core.commit(tx => {
    for (const mark of marks) putMark(call, tx, room, mark)
  })
}

/** Puts a user's mark in a room, unless it would move back. */
export function putMark(
  { core, userId }: Pick<Call, 'core' | 'userId'>,
  tx: Tx,
  room: RoomState,
  mark: Mark,
): void {
  const { type, eventId, threadId = UNTHREADED } = mark
  if (type === FULLY_READ) {
    tx.putAccountData(userId, room.num, FULLY_READ, { event_id: eventId })
    return
  }
  if (isOlder(core, core.users.receipt(room.num, userId, type, threadId), eventId)) return
  core.users.putReceipt({
    room: room.num,
    user_id: userId,
    receipt_type: type,
    thread_id: threadId,
    event_id: eventId,
    ts: core.clock.now(),
    stream_id: tx.nextStreamId(),
  })
  tx.roomWakes.add(room.roomId)
  tx.wakes.add(userId)
}

/** Receipts only move forward. */
function isOlder(core: Core, current: string | undefined, next: string): boolean {
  if (current === undefined) return false
  if (current === next) return true
  const had = core.events.byId(current)
  const wanted = core.events.byId(next)
  return had !== undefined && wanted !== undefined && wanted.position <= had.position
}

const receiptBody = z.object({ thread_id: z.string().min(1).max(255).optional() })

/** @see Matrix v1.12, POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId} */
export async function postReceipt(call: Call): Promise<undefined> {
  const type = param(call, 'receiptType')
  if (type !== FULLY_READ && !RECEIPTS.includes(type)) throw invalidParam(`Unknown receipt type ${type}`)
  const { thread_id: threadId } = await readBody(call, receiptBody)
  const eventId = param(call, 'eventId')
  assertId('eventId', eventId)
  return putMarks(call, [{ type, eventId, threadId }])
}

const eventId = z.string().max(MAX_ID_BYTES)
const markersBody = z.object({
  'm.fully_read': eventId.optional(),
  'm.read': eventId.optional(),
  'm.read.private': eventId.optional(),
})

/** @see Matrix v1.12, POST /_matrix/client/v3/rooms/{roomId}/read_markers */
export async function postReadMarkers(call: Call): Promise<undefined> {
  const marks = Object.entries(await readBody(call, markersBody))
  return putMarks(
    call,
    marks.flatMap(([type, eventId]) => (eventId === undefined ? [] : [{ type, eventId }])),
  )
}

const typingBody = z.object({ typing: z.boolean(), timeout: z.number().min(0).optional() })

/** @see Matrix v1.12, PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId} */
export async function putTyping(call: Call): Promise<undefined> {
  const { core } = call
  const userId = ownUserId(call)
  const { typing, timeout = DEFAULT_TYPING_MS } = await readBody(call, typingBody)
  const { roomId } = joinedRoom(call)
  const changed = core.typing.set(roomId, userId, typing ? Math.min(timeout, MAX_TYPING_MS) : undefined, () =>
    core.wakeRoom(roomId),
  )
  if (changed) core.wakeRoom(roomId)
}
