/** What a webhook's requests need of its owner's secrets: the keys that sign, and further headers. */
import { LRUCache } from 'lru-cache'
import type { Webhook } from '../../db/schema/index.ts'
import type { Sealer } from '../../lib/sealing.ts'

export interface EndpointSecrets {
  /** Signing secrets (whsec_…), the newest first: two while one takes the place of the other. */
  signing: readonly string[]
  headers: Readonly<Record<string, string>>
}

/** Unsealed values kept in memory at a time: unsealing costs as much as signing, and they hardly ever change. */
const MAX_REMEMBERED = 2_000
const NO_HEADERS: Readonly<Record<string, string>> = {}

/** What a webhook's sealed signing secret is bound to. */
export function signingSecretContext(identityId: string): string {
  return `webhook-secret:${identityId}`
}

/** What a webhook's sealed headers are bound to. */
export function headersContext(identityId: string): string {
  return `webhook-headers:${identityId}`
}

/** @returns the secrets of a webhook at a time; throws when SECRET_KEY isn't the one they were sealed under */
export function createEndpointSecrets(sealer: Sealer): (webhook: Webhook, now: number) => EndpointSecrets {
  const known = new LRUCache<string, object | string>({ max: MAX_REMEMBERED })

  function opened<T extends object | string>(sealed: string, context: string, parse: (text: string) => T): T {
    const found = known.get(sealed)
    if (found !== undefined) return found as T
    const value = parse(sealer.open(sealed, context))
    known.set(sealed, value)
    return value
  }

  return (webhook, now) => {
    const context = signingSecretContext(webhook.identityId)
    const signing = [opened(webhook.secretSealed, context, String)]
    if (webhook.oldSecretSealed !== null && (webhook.oldSecretUntil ?? 0) > now)
      signing.push(opened(webhook.oldSecretSealed, context, String))
    const headers =
      webhook.headersSealed === null
        ? NO_HEADERS
        : opened(webhook.headersSealed, headersContext(webhook.identityId), parseHeaders)
    return { signing, headers }
  }
}

/** What is sealed was validated before (custom-headers.ts). */
export function parseHeaders(json: string): Readonly<Record<string, string>> {
  return JSON.parse(json) as Record<string, string>
}
