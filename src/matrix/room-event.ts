/** Checks events (client-server API, "Room event format") where they enter the process. */
import { z } from 'zod'
import type { EventBatch, EventSink, RoomEvent } from '../domain/ports.ts'

/**
 * The last instant that a Date holds (ECMAScript, "Time Values and Time Range"): a sender may give
 * an event any time.
 */
const LAST_INSTANT_MS = 8.64e15

export const roomEventSchema: z.ZodType<RoomEvent> = z.object({
  event_id: z.string(),
  room_id: z.string(),
  sender: z.string(),
  type: z.string(),
  origin_server_ts: z.number().transform(ms => Math.min(Math.max(ms, 0), LAST_INSTANT_MS)),
  content: z.record(z.string(), z.unknown()),
  state_key: z.string().optional(),
  redacts: z.string().optional(),
  unsigned: z.record(z.string(), z.unknown()).optional(),
})

/** Events of one room's answer. Malformed ones are left out: they must not stop ours. */
export function roomEvents(events: readonly unknown[], roomId: string): RoomEvent[] {
  return events.flatMap(event => {
    const parsed = roomEventSchema.safeParse({ room_id: roomId, ...(event as object) })
    return parsed.success ? [parsed.data] : []
  })
}

/** A read receipt: `userId` has read everything in the room up to this event. */
export interface ReadReceipt {
  roomId: string
  eventId: string
  userId: string
}

/** An `EventBatch` as the homeserver gives it. */
export interface RoomEventBatch {
  position: EventBatch['position']
  /** State and timeline in order. An invitation is the invited user's m.room.member event. */
  events: readonly RoomEvent[]
  receipts: readonly ReadReceipt[]
}

/** Takes batches as an `EventSink` does; `translated` makes one of the other. */
export interface RoomEventSink extends Pick<EventSink, 'typing'> {
  accept(batch: RoomEventBatch): Promise<void>
}

const STATE_BEFORE = 'org.meshgate.state_before'

/** Marks state as it was before the events of the same answer: it is no news. */
export function stateBefore(event: RoomEvent): RoomEvent {
  return { ...event, unsigned: { ...event.unsigned, [STATE_BEFORE]: true } }
}

export function isStateBefore({ unsigned }: RoomEvent): boolean {
  return unsigned?.[STATE_BEFORE] === true
}
