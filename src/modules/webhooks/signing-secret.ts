/** Signing secrets as Standard Webhooks wants them. */
import { randomBytes } from 'node:crypto'

/** @returns `whsec_` and the base64 of 32 random bytes (the standard asks for 24 to 64) */
export function createSigningSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}
