/** Random identifiers and secrets. */
import { randomBytes } from 'node:crypto'

/** @returns `prefix` followed by `bytes` random bytes in base64url, for example `mt_` + 32 bytes */
export function randomToken(prefix: string, bytes = 32): string {
  return prefix + randomBytes(bytes).toString('base64url')
}

/** @returns `prefix` + UUIDv7 without dashes (RFC 9562); ids of one process sort by creation */
export function timeOrderedId(prefix: string): string {
  return prefix + Bun.randomUUIDv7().replaceAll('-', '')
}
