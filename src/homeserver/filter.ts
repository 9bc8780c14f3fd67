/** Filters of syncs and of pagination. @see https://spec.matrix.org/v1.12/client-server-api/#filtering */
import { z } from 'zod'
import type { EventRow } from './events.ts'
import { parseStored } from './json.ts'

const strings = z.array(z.string())

const eventFilter = z.object({
  limit: z.number().int().min(0).optional(),
  types: strings.optional(),
  not_types: strings.optional(),
  senders: strings.optional(),
  not_senders: strings.optional(),
})

const roomEventFilter = eventFilter.extend({
  rooms: strings.optional(),
  not_rooms: strings.optional(),
  lazy_load_members: z.boolean().optional(),
  include_redundant_members: z.boolean().optional(),
  contains_url: z.boolean().optional(),
})

export const filterSchema = z.object({
  room: z
    .object({
      rooms: strings.optional(),
      not_rooms: strings.optional(),
      include_leave: z.boolean().optional(),
      timeline: roomEventFilter.optional(),
      state: roomEventFilter.optional(),
      ephemeral: roomEventFilter.optional(),
      account_data: roomEventFilter.optional(),
    })
    .optional(),
  account_data: eventFilter.optional(),
  presence: eventFilter.optional(),
  event_fields: strings.optional(),
  event_format: z.enum(['client', 'federation']).optional(),
})

export const roomEventFilterSchema = roomEventFilter
export type Filter = z.infer<typeof filterSchema>
export type EventFilter = z.infer<typeof eventFilter>
export type RoomEventFilter = z.infer<typeof roomEventFilter>

/** `*` in a filter's type stands for anything. */
function typeMatches(pattern: string, type: string): boolean {
  if (!pattern.includes('*')) return pattern === type
  const parts = pattern.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(type)
}

export function allowsType(filter: EventFilter | undefined, type: string): boolean {
  if (filter?.not_types?.some(pattern => typeMatches(pattern, type))) return false
  return filter?.types === undefined || filter.types.some(pattern => typeMatches(pattern, type))
}

function allowsSender(filter: EventFilter | undefined, sender: string): boolean {
  if (filter?.not_senders?.includes(sender)) return false
  return filter?.senders === undefined || filter.senders.includes(sender)
}

export function allowsRoom(
  filter: { rooms?: string[] | undefined; not_rooms?: string[] | undefined } | undefined,
  roomId: string,
): boolean {
  if (filter?.not_rooms?.includes(roomId)) return false
  return filter?.rooms === undefined || filter.rooms.includes(roomId)
}

export function allowsEvent(filter: RoomEventFilter | undefined, row: EventRow): boolean {
  if (filter === undefined) return true
  if (!allowsType(filter, row.type) || !allowsSender(filter, row.sender) || !allowsRoom(filter, row.room_id))
    return false
  if (filter.contains_url === undefined) return true
  return filter.contains_url === (typeof parseStored(row.content).url === 'string')
}
