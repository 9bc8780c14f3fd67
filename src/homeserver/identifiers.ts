/** Identifiers: their grammar, and how new ones are made. */
import { randomBytes } from 'node:crypto'
import { invalidParam } from './errors.ts'
import { MAX_ID_BYTES } from './limits.ts'

const HISTORICAL_LOCALPART = /^[\x21-\x39\x3B-\x7E]+$/
const LOCALPART = /^[a-z0-9._=/+-]+$/

/** True for a localpart that may be registered. */
export function isValidLocalpart(localpart: string, serverName: string): boolean {
  return LOCALPART.test(localpart) && localpart.length + serverName.length + 2 <= MAX_ID_BYTES
}

/** Throws M_INVALID_PARAM unless `userId` is `@localpart:server`. Old, wider localparts are accepted. */
export function assertUserId(userId: string): void {
  const colon = userId.indexOf(':')
  const valid =
    userId.startsWith('@') &&
    colon > 1 &&
    colon < userId.length - 1 &&
    userId.length <= MAX_ID_BYTES &&
    HISTORICAL_LOCALPART.test(userId.slice(1, colon))
  if (!valid) throw invalidParam(`Not a user id: ${userId.slice(0, MAX_ID_BYTES)}`)
}

/** The server part of a user id, room id or alias. */
export function serverOf(id: string): string {
  return id.slice(id.indexOf(':') + 1)
}

const RANDOM_POOL_BYTES = 8192
let pool = Buffer.alloc(0)
let used = 0

/** The system's random generator costs more per call than per byte, so ids take theirs from a pool. */
function pooledBytes(count: number): Buffer {
  if (used + count > pool.length) {
    pool = randomBytes(RANDOM_POOL_BYTES)
    used = 0
  }
  used += count
  return pool.subarray(used - count, used)
}

/** `prefix` followed by `bytes` random bytes in base64url. */
export function randomId(prefix: string, bytes = 18): string {
  return prefix + pooledBytes(bytes).toString('base64url')
}

const EVENT_ID_BYTES = 32
const TIME_BYTES = 6
const scratch = Buffer.alloc(EVENT_ID_BYTES)

/**
 * An event id of the shape that room versions since 4 have (43 characters of base64url). Its first six bytes are the time, so that
 * new ids lie side by side in an index; the rest is random. Everybody who has to do with an event sees its id, and nothing in it may
 * tell how much goes on in other rooms.
 * @param now in milliseconds since 1970
 */
export function eventIdAt(now: number): string {
  scratch.writeUIntBE(now, 0, TIME_BYTES)
  pooledBytes(EVENT_ID_BYTES - TIME_BYTES).copy(scratch, TIME_BYTES)
  return `$${scratch.toString('base64url')}`
}

const FIRST_EVENT_TIME = Date.UTC(2020, 0)

/**
 * Milliseconds since 1970 when an event id was made; undefined for an id of an earlier version,
 * which doesn't have it.
 */
export function timeOfEventId(eventId: string): number | undefined {
  const bytes = Buffer.from(eventId.slice(1), 'base64url')
  if (bytes.length !== EVENT_ID_BYTES) return undefined
  const time = bytes.readUIntBE(0, TIME_BYTES)
  return time >= FIRST_EVENT_TIME && time <= Date.now() + 86_400_000 ? time : undefined
}

/** @returns the SHA-256 of an access token, which is what the database keeps of it */
export function tokenHash(token: string): string {
  return new Bun.CryptoHasher('sha256').update(token).digest('base64url')
}
