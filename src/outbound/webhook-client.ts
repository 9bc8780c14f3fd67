/**
 * Makes one try to deliver to an endpoint: signed by Standard Webhooks, limited in time, without
 * redirects, reading only the start of the answer. `endpoint-guard.ts` says which addresses it may
 * connect to, and `pinned-fetch.ts` connects to those.
 */
import { createHmac } from 'node:crypto'
import { abortable } from '../lib/abortable.ts'
import type { Clock } from '../lib/clock.ts'
import { connectionProblem } from '../lib/connection-problem.ts'
import { type EndpointGuard, EndpointRefused } from './endpoint-guard.ts'
import { fetchAt } from './pinned-fetch.ts'

/** A body as signed and as sent: the same bytes. */
export interface WebhookBody {
  bytes: Uint8Array<ArrayBuffer>
  sent: Uint8Array<ArrayBuffer> | Blob
}

export interface WebhookRequest {
  url: string
  /** The webhook-id header: the same on every try of a delivery. */
  id: string
  /** whsec_<base64>, newest first. Each signs: there are two while a secret is being changed. */
  secrets: readonly string[]
  /** Additional headers of the endpoint's owner; ours win. */
  headers: Readonly<Record<string, string>>
  body: WebhookBody
}

export type WebhookAnswer = {
  /** How long the try took, in milliseconds. */
  latencyMs: number
  /** Start of the answer's body as text; empty for none, COMPRESSED for a compressed one. */
  response: string
} & (
  | { outcome: 'delivered'; status: number }
  | {
      outcome: 'refused'
      /** HTTP status; null when there was no answer. */
      status: number | null
      error: string
      /** Seconds the endpoint asks us to wait (Retry-After); null when it doesn't. */
      retryAfterS: number | null
    }
)

export interface WebhookClient {
  /** Never rejects: failures are answers. */
  deliver(request: WebhookRequest): Promise<WebhookAnswer>
}

/** Bytes of an answer that are read and kept. */
const MAX_ANSWER_BYTES = 1_024
/** Stands for a compressed answer, which we didn't allow and don't unpack. */
const COMPRESSED = '(compressed)'
const SECRET_PREFIX = 'whsec_'

export function createWebhookClient(options: {
  timeoutMs: number
  userAgent: string
  guard: Pick<EndpointGuard, 'addressesOf'>
  clock: Clock
}): WebhookClient {
  const { timeoutMs, userAgent, guard, clock } = options

  function reasonOf(error: unknown): string {
    if (error instanceof EndpointRefused) return error.message
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    return isTimeout ? `no answer within ${timeoutMs} ms` : connectionProblem(error)
  }

  return {
    async deliver({ url, id, secrets, headers, body }) {
      const timestamp = String(Math.floor(clock.now() / 1000))
      const startedAt = performance.now()
      const latencyMs = () => Math.round(performance.now() - startedAt)
      try {
        const signal = AbortSignal.timeout(timeoutMs)
        const addresses = await abortable(guard.addressesOf(url), signal)
        const answer = await fetchAt(addresses, url, {
          method: 'POST',
          body: body.sent,
          redirect: 'manual',
          // A small answer can unpack to gigabytes in memory.
          decompress: false,
          signal,
          headers: sentHeaders(headers, {
            'content-type': 'application/json',
            'user-agent': userAgent,
            'webhook-id': id,
            'webhook-timestamp': timestamp,
            'webhook-signature': secrets.map(secret => sign(secret, id, timestamp, body.bytes)).join(' '),
          }),
        })
        const { status } = answer
        const response = await readExcerpt(answer)
        const taken = { latencyMs: latencyMs(), response }
        if (answer.ok) return { outcome: 'delivered', status, ...taken }
        const retryAfter = retryAfterS(answer, clock.now())
        return { outcome: 'refused', status, error: `HTTP ${status}`, retryAfterS: retryAfter, ...taken }
      } catch (error) {
        const nothing = { latencyMs: latencyMs(), response: '' }
        return { outcome: 'refused', status: null, error: reasonOf(error), retryAfterS: null, ...nothing }
      }
    },
  }
}

/** Our headers, in lower case, replace the owner's. A plain object costs less than `Headers`. */
function sentHeaders(
  owners: Readonly<Record<string, string>>,
  ours: Record<string, string>,
): Record<string, string> {
  const lowered = Object.entries(owners).map(([name, value]) => [name.toLowerCase(), value])
  return { ...Object.fromEntries(lowered), ...ours }
}

/** `v1,<base64 of HMAC-SHA256 of "id.timestamp.body">` (Standard Webhooks, "Signature scheme"). */
function sign(secret: string, id: string, timestamp: string, body: Uint8Array): string {
  const key = Buffer.from(
    secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret,
    'base64',
  )
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`
}

/** Reads an answer's start in the remaining time; a whole read lets the connection be reused. */
async function readExcerpt(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = answer.body?.getReader()
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      chunks.push(part.value)
      size += part.value.byteLength
      if (size >= MAX_ANSWER_BYTES) break
    }
    await reader?.cancel()
  } catch {
    // The status decides the delivery, even if the body breaks off or trickles.
  }
  if (size > 0 && isCompressed(answer)) return COMPRESSED
  const bytes = Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES)
  // `stream` drops a character cut in two. A NUL would end the text for SQLite's functions.
  return new TextDecoder().decode(bytes, { stream: true }).replaceAll('\0', '').trim()
}

function isCompressed({ headers }: Response): boolean {
  const encoding = headers.get('content-encoding')?.trim().toLowerCase() ?? ''
  return encoding !== '' && encoding !== 'identity'
}

/** Retry-After is seconds or an HTTP date (RFC 9110, section 10.2.3). */
function retryAfterS(response: Response, now: number): number | null {
  const header = response.headers.get('retry-after')
  if (header === null) return null
  if (/^\d+$/.test(header)) return Number(header)
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000))
}
