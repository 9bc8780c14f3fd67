/**
 * Makes one try at delivering an event: its body, signed with the webhook's secrets. All webhooks
 * that get an event get the same body, so it is made once and held as long as one of them needs it.
 */
import { LRUCache } from 'lru-cache'
import type { Webhook } from '../../db/schema/index.ts'
import type { MediaMode } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import type { MemoryBudget } from '../../lib/memory-budget.ts'
import type { Sealer } from '../../lib/sealing.ts'
import type { WebhookBody, WebhookClient } from '../../outbound/webhook-client.ts'
import type { Payloads, StoredEventRow } from '../events/events.ts'

export interface DeliveryTryOptions {
  payloads: Payloads
  /** For files in bodies, shared out among identities. */
  memory: Pick<MemoryBudget, 'take'>
  client: WebhookClient
  sealer: Sealer
  clock: Clock
}

interface SharedBody {
  body: Promise<WebhookBody>
  holders: number
  giveBackMemory(): void
}

/** For the files in all deliveries together: a slow endpoint holds a body for the whole try. */
export const MAX_FILE_BYTES_HELD = 128 * 1024 * 1024
/** A file is held as base64 twice: as signed, and as sent. */
const HELD_BYTES_PER_FILE_BYTE = (2 * 4) / 3
/** Opened secrets are kept, as opening one costs as much as signing. */
const MAX_SECRETS_REMEMBERED = 2_000
const NO_HEADERS: Readonly<Record<string, string>> = {}

export type DeliveryTry = ReturnType<typeof createDeliveryTry>

export function createDeliveryTry(options: DeliveryTryOptions) {
  const { payloads, memory, client, clock } = options
  const secretsOf = createSecretsReader(options.sealer)
  const underWay = new Map<string, SharedBody>()

  function begin(key: string, event: StoredEventRow, media: MediaMode): SharedBody {
    const shared: SharedBody = {
      body: bodyOf(event, media, giveBack => (shared.giveBackMemory = giveBack)),
      holders: 0,
      giveBackMemory() {},
    }
    underWay.set(key, shared)
    return shared
  }

  async function bodyOf(
    event: StoredEventRow,
    media: MediaMode,
    onMemory: (giveBack: () => void) => void,
  ): Promise<WebhookBody> {
    let hasFile = false
    const mayInline = async (fileBytes: number) => {
      if (media === 'url') return false
      onMemory(await memory.take(event.identityId, fileBytes * HELD_BYTES_PER_FILE_BYTE))
      hasFile = true
      return true
    }
    const payload = await payloads.of(event, media === 'none' ? null : mayInline)
    const bytes = Buffer.from(payload)
    // All requests share the bytes of a Blob, but each copies any other body for the whole try.
    return { bytes, sent: hasFile ? new Blob([bytes]) : bytes }
  }

  function letGo(key: string, shared: SharedBody): void {
    shared.holders--
    if (shared.holders > 0) return
    underWay.delete(key)
    shared.giveBackMemory()
  }

  return {
    /**
     * Makes the body, which may take long, so the webhook can be looked at again before `send`. The
     * body is held until the result is disposed of.
     * @param media how it has the file of a message
     * @throws BudgetExceeded when files in other deliveries take all the memory, and errors of our
     * own side, such as a file that can't be fetched now
     */
    async prepare(event: StoredEventRow, media: MediaMode = 'inline') {
      const key = `${event.identityId} ${event.eventId} ${media}`
      const shared = underWay.get(key) ?? begin(key, event, media)
      shared.holders++
      try {
        const body = await shared.body
        return {
          /** @param id the webhook-id header. @throws Error when the secrets can't be opened */
          send: async (webhook: Webhook, id: string) =>
            client.deliver({ url: webhook.url, id, ...secretsOf(webhook, clock.now()), body }),
          [Symbol.dispose]: () => letGo(key, shared),
        }
      } catch (error) {
        letGo(key, shared)
        throw error
      }
    },
  }
}

/** Binds a webhook's sealed signing secret to its identity. */
export function signingSecretContext(identityId: string): string {
  return `webhook-secret:${identityId}`
}

/** Binds a webhook's sealed headers to its identity. */
export function headersContext(identityId: string): string {
  return `webhook-headers:${identityId}`
}

interface OpenedSecrets {
  /** Signing secrets, newest first: two while one replaces the other. */
  secrets: readonly string[]
  headers: Readonly<Record<string, string>>
}

function createSecretsReader(sealer: Sealer): (webhook: Webhook, now: number) => OpenedSecrets {
  const known = new LRUCache<string, object | string>({ max: MAX_SECRETS_REMEMBERED })

  function opened<T extends object | string>(sealed: string, context: string, parse: (text: string) => T): T {
    const found = known.get(sealed)
    if (found !== undefined) return found as T
    const value = parse(sealer.open(sealed, context))
    known.set(sealed, value)
    return value
  }

  return ({ identityId, secretSealed, oldSecretSealed, oldSecretUntil, headersSealed }, now) => {
    const context = signingSecretContext(identityId)
    const secrets = [opened(secretSealed, context, String)]
    if (oldSecretSealed !== null && (oldSecretUntil ?? 0) > now)
      secrets.push(opened(oldSecretSealed, context, String))
    const headers =
      headersSealed === null ? NO_HEADERS : opened(headersSealed, headersContext(identityId), parseHeaders)
    return { secrets, headers }
  }
}

/** @param json validated before it was sealed */
export function parseHeaders(json: string): Readonly<Record<string, string>> {
  return JSON.parse(json) as Record<string, string>
}
