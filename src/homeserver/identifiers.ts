/** Identifiers: their grammar, and making new ones. */
import { randomBytes } from 'node:crypto'
import { invalidParam } from './errors.ts'
import { MAX_ID_BYTES } from './limits.ts'

const HISTORICAL_LOCALPART = /^[\x21-\x39\x3B-\x7E]+$/
const LOCALPART = /^[a-z0-9._=/+-]+$/

/** True for a localpart open to registration. */
export function isValidLocalpart(localpart: string, serverName: string): boolean {
  return LOCALPART.test(localpart) && localpart.length + serverName.length + 2 <= MAX_ID_BYTES
}

/** Throws M_INVALID_PARAM unless `userId` is `@localpart:server`, in the historical grammar. */
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

/** The system's random generator costs per call more than per byte, so ids share a pool. */
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
 * An event id in the format of room versions since 4 (43 characters of base64url). It starts with
 * six bytes of time, so that new ids are neighbours in an index; the rest is random, since an id
 * must not reveal activity in other rooms.
 * @param now in milliseconds since 1970
 */
export function eventIdAt(now: number): string {
  scratch.writeUIntBE(now, 0, TIME_BYTES)
  pooledBytes(EVENT_ID_BYTES - TIME_BYTES).copy(scratch, TIME_BYTES)
  return `$${scratch.toString('base64url')}`
}

const FIRST_EVENT_TIME = Date.UTC(2020, 0)

/** Creation time of an event id, in ms since 1970; undefined for ids of earlier versions. */
export function timeOfEventId(eventId: string): number | undefined {
  const bytes = Buffer.from(eventId.slice(1), 'base64url')
  if (bytes.length !== EVENT_ID_BYTES) return undefined
  const time = bytes.readUIntBE(0, TIME_BYTES)
  return time >= FIRST_EVENT_TIME && time <= Date.now() + 86_400_000 ? time : undefined
}

/** @returns the SHA-256 of an access token; the database stores nothing else of it */
export function tokenHash(token: string): string {
  return new Bun.CryptoHasher('sha256').update(token).digest('base64url')
}
