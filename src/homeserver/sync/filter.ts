/** Filters of syncs and pagination (Matrix v1.12, client-server API, "Filtering"). */
import { z } from 'zod'
import { parseStored } from '../json.ts'
import { MAX_ID_BYTES } from '../limits.ts'
import type { EventRow } from '../rooms/events.ts'

/** Each timeline event is compared with all of these. */
const patterns = z.array(z.string().max(MAX_ID_BYTES)).max(50)
const ids = z.array(z.string().max(MAX_ID_BYTES)).max(1_000)

const eventFilter = z.object({
  limit: z.number().int().min(0).optional(),
  types: patterns.optional(),
  not_types: patterns.optional(),
  senders: ids.optional(),
  not_senders: ids.optional(),
})

export const roomEventFilterSchema = eventFilter.extend({
  rooms: ids.optional(),
  not_rooms: ids.optional(),
  lazy_load_members: z.boolean().optional(),
  include_redundant_members: z.boolean().optional(),
  contains_url: z.boolean().optional(),
})

export const filterSchema = z.object({
  room: z
    .object({
      rooms: ids.optional(),
      not_rooms: ids.optional(),
      include_leave: z.boolean().optional(),
      timeline: roomEventFilterSchema.optional(),
      state: roomEventFilterSchema.optional(),
      ephemeral: roomEventFilterSchema.optional(),
      account_data: roomEventFilterSchema.optional(),
    })
    .optional(),
  account_data: eventFilter.optional(),
  presence: eventFilter.optional(),
  event_fields: patterns.optional(),
  event_format: z.enum(['client', 'federation']).optional(),
})

export type Filter = z.infer<typeof filterSchema>
export type EventFilter = z.infer<typeof eventFilter>
export type RoomEventFilter = z.infer<typeof roomEventFilterSchema>

/**
 * Matches `*` in a filter's type with anything, in at most the product of both lengths. A regular
 * expression's time would grow exponentially with the number of stars.
 */
function typeMatches(pattern: string, type: string): boolean {
  let at = 0
  let star = -1
  let afterStar = 0
  for (let index = 0; index < type.length; ) {
    if (pattern[at] === '*') {
      star = at++
      afterStar = index
    } else if (pattern[at] === type[index]) {
      at++
      index++
    } else if (star !== -1) {
      // The last star takes one more character.
      at = star + 1
      index = ++afterStar
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}

export function allowsType(filter: EventFilter | undefined, type: string): boolean {
  if (filter?.not_types?.some(pattern => typeMatches(pattern, type))) return false
  return filter?.types === undefined || filter.types.some(pattern => typeMatches(pattern, type))
}

export function allowsRoom(
  filter: { rooms?: string[] | undefined; not_rooms?: string[] | undefined } | undefined,
  roomId: string,
): boolean {
  return allows(filter?.rooms, filter?.not_rooms, roomId)
}

function allows(wanted: string[] | undefined, unwanted: string[] | undefined, id: string): boolean {
  return !unwanted?.includes(id) && (wanted === undefined || wanted.includes(id))
}

export function allowsEvent(filter: RoomEventFilter | undefined, row: EventRow): boolean {
  if (filter === undefined) return true
  if (!allowsType(filter, row.type) || !allowsRoom(filter, row.room_id)) return false
  if (!allows(filter.senders, filter.not_senders, row.sender)) return false
  if (filter.contains_url === undefined) return true
  return filter.contains_url === (typeof parseStored(row.content).url === 'string')
}
