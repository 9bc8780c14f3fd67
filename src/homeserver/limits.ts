/** Limits one call's size and the amount kept in one place, and so bounds all work. */
import { invalidParam, tooLarge } from './errors.ts'
import type { Json } from './json.ts'

/** An identifier's bytes. @see https://spec.matrix.org/v1.12/appendices/#identifier-grammar */
export const MAX_ID_BYTES = 255
/**
 * Bytes of an event, and of anything else handed out whole.
 * @see https://spec.matrix.org/v1.12/client-server-api/#size-limits
 */
export const MAX_EVENT_BYTES = 65_536
/** @see https://spec.matrix.org/v1.16/client-server-api/#profiles */
export const MAX_PROFILE_BYTES = 65_536
/**
 * Users in one room, invited or knocking: memory holds them all. Ghosts join one by one as people
 * speak, and groups of tens of thousands exist.
 */
export const MAX_MEMBERS = 100_000
/** Invitations of one createRoom. */
export const MAX_INVITES = 9_999
/** State events of one createRoom, which are written at once. */
export const MAX_INITIAL_STATE = 100
export const MAX_ALIASES_OF_ROOM = 100
export const MAX_DEVICES_OF_USER = 1_000
/** One-time keys of one device; clients keep about fifty. */
export const MAX_ONE_TIME_KEYS = 1_000
/** Keys, signatures or messages of one call that writes them at once. */
export const MAX_WRITES_OF_CALL = 1_000
/** Events of one batch: bridges catch up with 500 messages of a chat, and all reactions to them. */
export const MAX_BATCH_EVENTS = 3_000
/** Bytes that one call may write for others. */
export const MAX_BYTES_OF_CALL = 4 * 1024 * 1024
/** Characters of events in one page of a timeline, beyond its first event. */
export const MAX_PAGE_CHARACTERS = 1024 * 1024

/** Throws unless `id`, from a path or query, has the length of an identifier. */
export function assertId(name: string, id: string): void {
  if (Buffer.byteLength(id) > MAX_ID_BYTES) throw invalidParam(`${name} is longer than ${MAX_ID_BYTES} bytes`)
}

/** JSON that is kept and handed out whole. @throws M_TOO_LARGE, which names it */
export function boundedText(name: string, value: Json): string {
  const text = JSON.stringify(value)
  if (text.length > MAX_EVENT_BYTES) throw tooLarge(`${name} is larger than ${MAX_EVENT_BYTES} bytes`)
  return text
}

export function assertCount(what: string, count: number, most: number): void {
  if (count > most) throw invalidParam(`${what}: expected at most ${most}, got ${count}`)
}
