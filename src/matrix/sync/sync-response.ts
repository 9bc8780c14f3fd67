/** Answers of /sync (client-server API, "Syncing") as far as we ask for them. */
import { z } from 'zod'
import type { RoomEvent } from '../../domain/ports.ts'
import { type EphemeralEvents, ephemeralEvents } from '../ephemeral.ts'
import { roomEvents, stateBefore } from '../room-event.ts'
import { ROOM_FEATURES_TYPE } from '../room-features.ts'

const NONE = { events: [] }
const eventList = z.object({ events: z.array(z.unknown()).default([]) }).default(NONE)
const timeline = z
  .object({
    events: z.array(z.unknown()).default([]),
    limited: z.boolean().default(false),
    prev_batch: z.string().optional(),
  })
  .default({ events: [], limited: false })
const ephemeral = z.object({ events: ephemeralEvents.catch([]).default([]) }).default(NONE as { events: [] })
const room = z.object({ state: eventList, timeline, ephemeral })

export const syncResponse = z.object({
  next_batch: z.string().min(1),
  rooms: z
    .object({
      join: z.record(z.string(), room).default({}),
      invite: z.record(z.string(), z.object({ invite_state: eventList })).default({}),
      leave: z.record(z.string(), room).default({}),
    })
    .default({ join: {}, invite: {}, leave: {} }),
})
export type SyncResponse = z.infer<typeof syncResponse>
export type SyncedRoom = z.infer<typeof room>

/** Types of state that mean something to us (translate/room.ts). */
const STATE_TYPES = [
  'm.room.member',
  'm.room.name',
  'm.room.topic',
  'm.room.avatar',
  'm.room.create',
  'm.room.encryption',
  'm.bridge',
  'uk.half-shot.bridge',
  ROOM_FEATURES_TYPE,
]
const NOTHING = { not_types: ['*'] }

/** Asks for little: no presence, no account data, only members who speak. */
function filterWith(timelineLimit: number): string {
  return JSON.stringify({
    presence: NOTHING,
    account_data: NOTHING,
    room: {
      account_data: NOTHING,
      ephemeral: { types: ['m.receipt', 'm.typing'] },
      state: { types: STATE_TYPES, lazy_load_members: true },
      timeline: { limit: timelineLimit, lazy_load_members: true },
    },
  })
}

/**
 * The request for what is new, which doesn't show the user as online.
 * @param timeoutMs how long the homeserver keeps it open when there is nothing to tell
 */
export function syncCall(filter: string, timeoutMs: number, since: string | null = null) {
  const query = { filter, set_presence: 'offline', timeout: String(timeoutMs), ...(since && { since }) }
  return { method: 'GET', path: '/sync', query } as const
}

/** gap.ts fetches what is beyond the limit. */
export const FILTER = filterWith(50)
/** As little of each chat as there can be: enough to take a position. */
export const SPARING_FILTER = filterWith(1)
/** Recent events of each room, without its state. */
export const LOOK_BACK_FILTER = JSON.stringify({
  presence: NOTHING,
  account_data: NOTHING,
  room: { account_data: NOTHING, ephemeral: NOTHING, state: NOTHING, timeline: { limit: 30 } },
})
/** Nothing at all. */
export const EMPTY_FILTER = JSON.stringify({
  presence: NOTHING,
  account_data: NOTHING,
  room: { rooms: [] },
})

/**
 * Gives an invitation, which /sync has as stripped state, as its member event. An invited user
 * isn't in the room, so an earlier membership has ended, whether a response said so or not.
 */
export function invitationEvents(
  roomId: string,
  userId: string,
  inviteState: readonly unknown[],
): RoomEvent[] {
  const invitation = ownInvitation(roomId, userId, inviteState)
  return [memberEvent(roomId, userId, invitation.sender, { membership: 'leave' }), invitation]
}

/** The invitation alone. */
export function ownInvitation(roomId: string, userId: string, inviteState: readonly unknown[]): RoomEvent {
  const own = inviteState
    .map(event => strippedMember.safeParse(event).data)
    .find(event => event?.state_key === userId)
  return memberEvent(roomId, userId, own?.sender ?? '', { ...own?.content, membership: 'invite' })
}

const strippedMember = z.object({
  type: z.literal('m.room.member'),
  state_key: z.string(),
  sender: z.string(),
  content: z.record(z.string(), z.unknown()),
})

/** Our own membership where a response tells it by where it lists the room. */
export function memberEvent(
  roomId: string,
  userId: string,
  sender: string,
  content: Record<string, unknown>,
): RoomEvent {
  return {
    event_id: '',
    room_id: roomId,
    sender,
    type: 'm.room.member',
    origin_server_ts: 0,
    content,
    state_key: userId,
  }
}

/**
 * A room's events in order: state before the timeline, what it left out, timeline.
 * @param missed oldest first
 */
export function eventsOf(
  roomId: string,
  { state, timeline: { events } }: SyncedRoom,
  missed: RoomEvent[],
): RoomEvent[] {
  const seen = new Set<string>()
  const happened = [...missed, ...roomEvents(events, roomId)].filter(({ event_id: id }) => {
    const isNew = !seen.has(id)
    seen.add(id)
    return isNew
  })
  return [...roomEvents(state.events, roomId).map(stateBefore), ...happened]
}

/** The room's ephemeral events, which in a response don't name it. */
export function ephemeralOf(roomId: string, { ephemeral: { events } }: SyncedRoom): EphemeralEvents {
  return events.map(event => ({ ...event, room_id: roomId }))
}
