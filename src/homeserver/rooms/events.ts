/** How events are stored, redacted and shown to clients. */
import { isObject, type Json, type JsonObject } from '../json.ts'

export type Membership = 'invite' | 'join' | 'leave' | 'ban' | 'knock'

/** A row of hs_events with its room's id. */
export interface EventRow {
  stream_id: number
  event_id: string
  room: number
  room_id: string
  type: string
  state_key: string | null
  sender: string
  origin_server_ts: number
  content: string
  replaces: number | null
  redacted_by: number | null
  redacts: string | null
  txn_scope: string | null
  txn_id: string | null
  /** Place in the room: `stream_id`, or below 0 for history from before all others. */
  position: number
  /** 1: nobody is to be told of it as news. */
  is_history: number
}

/**
 * The event for clients, as JSON text. Stored content isn't parsed: events are handed out by
 * the thousand.
 * @param unsigned JSON text, too
 * @see https://spec.matrix.org/v1.12/client-server-api/#room-event-format
 */
export function clientEventText(row: EventRow, unsigned: string): string {
  const stateKey = row.state_key === null ? '' : `,"state_key":${JSON.stringify(row.state_key)}`
  const redacts = row.redacts === null ? '' : `,"redacts":${JSON.stringify(row.redacts)}`
  return `{"type":${JSON.stringify(row.type)},"sender":${JSON.stringify(row.sender)},"content":${row.content},"event_id":"${row.event_id}","origin_server_ts":${row.origin_server_ts},"room_id":${JSON.stringify(row.room_id)}${stateKey}${redacts},"unsigned":${unsigned}}`
}

/**
 * The field of `unsigned` that tells history from news.
 * @see https://github.com/matrix-org/matrix-spec-proposals/pull/2716
 */
export const historyMark = (row: EventRow): string[] =>
  row.is_history === 1 ? ['"org.matrix.msc2716.historical":true'] : []

/** @see https://spec.matrix.org/v1.12/client-server-api/#stripped-state */
export function strippedEventText({ type, sender, content, state_key: stateKey }: EventRow): string {
  return `{"type":${JSON.stringify(type)},"sender":${JSON.stringify(sender)},"content":${content},"state_key":${JSON.stringify(stateKey ?? '')}}`
}

/** Content keys that survive a redaction, per type, in every supported room version. */
const KEPT_CONTENT: Record<string, readonly string[]> = {
  'm.room.member': ['membership', 'join_authorised_via_users_server'],
  'm.room.join_rules': ['join_rule', 'allow'],
  'm.room.power_levels': 'ban events events_default kick redact state_default users users_default'.split(' '),
  'm.room.history_visibility': ['history_visibility'],
}

/** Content that a redaction leaves. @see https://spec.matrix.org/v1.12/rooms/v11/#redactions */
export function redactContent(type: string, content: JsonObject, roomVersion: string): JsonObject {
  const modern = Number(roomVersion) >= 11
  if (type === 'm.room.create') return modern ? content : keep(content, ['creator'])
  if (type === 'm.room.redaction') return modern ? keep(content, ['redacts']) : {}
  const kept = keep(content, KEPT_CONTENT[type] ?? [])
  if (!modern) return kept
  if (type === 'm.room.power_levels') return { ...kept, ...keep(content, ['invite']) }
  const invite = content.third_party_invite
  if (type === 'm.room.member' && isObject(invite))
    return { ...kept, third_party_invite: keep(invite, ['signed']) }
  return kept
}

function keep(content: JsonObject, keys: readonly string[]): JsonObject {
  const kept: JsonObject = {}
  for (const key of keys) {
    const value: Json | undefined = content[key]
    if (value !== undefined) kept[key] = value
  }
  return kept
}
