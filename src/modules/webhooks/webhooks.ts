/**
 * Webhooks: the endpoints that an identity's events go to. This file has what their owners set;
 * `dispatcher.ts` delivers to them, `retry-schedule.ts` says when a failed delivery is tried again,
 * and `delivery-log.ts` shows what became of each and delivers it once more.
 */
import { randomBytes } from 'node:crypto'
import type { Webhook } from '../../db/schema/index.ts'
import type { Tx } from '../../db/transaction.ts'
import { GatewayError } from '../../domain/errors.ts'
import { EVENT_NAMES, type EventName, MESSAGE_EVENT_NAMES, type MediaMode } from '../../domain/states.ts'
import type { WebhookFilters, WebhookView, WebhookWithSecret } from '../../domain/views/webhook.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/sealing.ts'
import type { EndpointGuard } from '../../outbound/endpoint-guard.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import type { Recorder } from '../idempotency/types.ts'
import { headersContext, parseHeaders, signingSecretContext } from './delivery-try.ts'
import { checkedFilters, type FilterTargets } from './filters.ts'
import type { WebhookRepository } from './webhook-repository.ts'

export interface WebhookRequest {
  url: string
  /** True by default. */
  active?: boolean | undefined
  /** Names, `*` for all; by default those about received messages. */
  events?: readonly string[] | string | undefined
  /** All of these events by default. */
  filters?: WebhookFilters | null | undefined
  /** `inline` by default. */
  media?: MediaMode | undefined
  /** Sent with every request; their values are kept sealed. */
  headers?: Readonly<Record<string, string>> | null | undefined
}

/** Undefined fields stay as they are. */
export interface WebhookChange {
  url?: string | undefined
  active?: boolean | undefined
  /** Null restores the default. */
  events?: readonly string[] | string | null | undefined
  /** Replaces all filters; null removes them. Events that wait are delivered all the same. */
  filters?: WebhookFilters | null | undefined
  media?: MediaMode | undefined
  /** Replaces all headers; null removes them. */
  headers?: Readonly<Record<string, string>> | null | undefined
}

export interface WebhooksOptions extends FilterTargets {
  repository: WebhookRepository
  sealer: Sealer
  guard: Pick<EndpointGuard, 'objectionTo'>
  clock: Clock
}

const MAX_URL_LENGTH = 2_048
/** How long the old secret signs too, in seconds. */
const DEFAULT_OVERLAP_S = 86_400
/** Standard Webhooks asks for 24 to 64 random bytes. */
const SECRET_BYTES = 32
const MAX_HEADERS = 20
const MAX_NAME_LENGTH = 64
const MAX_VALUE_LENGTH = 1_024
/** All names and values together: servers commonly refuse requests from 8 KiB on. */
const MAX_TOTAL_LENGTH = 4_096
/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Printable ASCII, without spaces at the ends (RFC 9110 section 5.5). */
const VALUE = /^[!-~](?:[\t -~]*[!-~])?$/
/** They frame or route the request, or we set them; `__proto__` is no name in an object. */
const RESERVED =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|user-agent|date|cookie2?|accept-encoding|content-.*|proxy-.*|sec-.*|webhook-.*|__proto__)$/i
const UNPRINTABLE = /[\s\p{Cc}]/u
const CLEANUP_INTERVAL_MS = 3_600_000

export type Webhooks = ReturnType<typeof createWebhooks>

export function createWebhooks(options: WebhooksOptions) {
  const { repository, sealer, guard, clock } = options

  /** Keeps the caller's spelling, without spaces around it. */
  async function checkedUrl(given: string): Promise<string> {
    const url = given.trim()
    refuseMalformed(url)
    const objection = await guard.objectionTo(url)
    if (objection !== null) throw new GatewayError('bad_request', `url: ${objection}`)
    return url
  }

  const sealSecret = (identityId: string, secret: string) =>
    sealer.seal(secret, signingSecretContext(identityId))

  /** @returns null when there are none */
  function sealHeaders(identityId: string, headers: Readonly<Record<string, string>> | null): string | null {
    if (headers === null || Object.keys(headers).length === 0) return null
    return sealer.seal(JSON.stringify(checkedHeaders(headers)), headersContext(identityId))
  }

  function view(webhook: Webhook): WebhookView {
    const { headersSealed, lastError, lastErrorAt } = webhook
    const headers =
      headersSealed === null
        ? {}
        : parseHeaders(sealer.open(headersSealed, headersContext(webhook.identityId)))
    // The cleanup removes an expired secret some time later.
    const oldSecretUntil = (webhook.oldSecretUntil ?? 0) > clock.now() ? webhook.oldSecretUntil : null
    return {
      id: webhook.id,
      url: webhook.url,
      active: webhook.active,
      events: webhook.events ?? [...MESSAGE_EVENT_NAMES],
      filters: webhook.filters ?? {},
      media: webhook.media ?? 'inline',
      header_names: Object.keys(headers),
      disabled_reason: webhook.disabledReason,
      failing_since: whenOrNull(webhook.failingSince),
      last_success_at: whenOrNull(webhook.lastSuccessAt),
      last_error: lastErrorAt === null ? null : { at: rfc3339(lastErrorAt), error: lastError ?? '' },
      old_secret_until: whenOrNull(oldSecretUntil),
      created_at: rfc3339(webhook.createdAt),
      updated_at: rfc3339(webhook.updatedAt),
    }
  }

  /** The answer with a new secret, and what keeps it in the transaction that stores the secret. */
  function showing(secret: string, record: Recorder<WebhookWithSecret> | undefined) {
    const shown = (webhook: Webhook) => ({ ...view(webhook), secret })
    return { shown, onStored: async (tx: Tx, webhook: Webhook) => record?.(tx, shown(webhook)) }
  }

  return {
    /**
     * @param record keeps the answer, with its secret
     * @returns the webhook with its signing secret (whsec_…), which is shown this once
     * @throws GatewayError bad_request (a URL or headers that aren't allowed, an unknown event,
     * filters that name nothing there is), conflict (the identity has this URL already, or as many
     * webhooks as it may have)
     */
    async create(
      identityId: string,
      { url, active = true, events, filters = null, media, headers = null }: WebhookRequest,
      record?: Recorder<WebhookWithSecret>,
    ): Promise<WebhookWithSecret> {
      const secret = createSigningSecret()
      const webhook = {
        url: await checkedUrl(url),
        active,
        events: events === undefined ? null : checkedEvents(events),
        filters: await checkedFilters(options, identityId, filters),
        media: media ?? null,
        secretSealed: sealSecret(identityId, secret),
        headersSealed: sealHeaders(identityId, headers),
      }
      const { shown, onStored } = showing(secret, record)
      return shown(await repository.create(identityId, webhook, clock.now(), onStored))
    },

    list: async (identityId: string) => (await repository.list(identityId)).map(view),

    /** @throws GatewayError not_found */
    get: async (identityId: string, id: number) => view(await existingWebhook(repository, identityId, id)),

    /** @throws GatewayError not_found, bad_request, conflict */
    async update(
      identityId: string,
      id: number,
      { url, active, events, filters, media, headers }: WebhookChange,
    ): Promise<WebhookView> {
      const change = {
        ...(events === undefined ? {} : { events: events === null ? null : checkedEvents(events) }),
        ...(filters === undefined ? {} : { filters: await checkedFilters(options, identityId, filters) }),
        ...(media === undefined ? {} : { media }),
        ...(headers === undefined ? {} : { headersSealed: sealHeaders(identityId, headers) }),
        ...(url === undefined ? {} : { url: await checkedUrl(url) }),
        ...(active === undefined ? {} : { active }),
      }
      const webhook = await repository.update(identityId, id, change, clock.now())
      if (!webhook) throw unknownWebhook(id)
      return view(webhook)
    },

    /**
     * Gives it a new signing secret, which is shown this once.
     * @param overlapS seconds for which the old secret signs too; 0 ends it at once, and an older
     * one that still signs
     * @throws GatewayError not_found, conflict (the secret before the present one still signs, and
     * `overlapS` isn't 0)
     */
    async rotateSecret(
      identityId: string,
      id: number,
      overlapS = DEFAULT_OVERLAP_S,
      record?: Recorder<WebhookWithSecret>,
    ): Promise<WebhookWithSecret> {
      const secret = createSigningSecret()
      const now = clock.now()
      const oldUntil = overlapS === 0 ? null : now + overlapS * 1_000
      const sealed = sealSecret(identityId, secret)
      const { shown, onStored } = showing(secret, record)
      const webhook = await repository.rotateSecret(identityId, id, sealed, oldUntil, now, onStored)
      if (!webhook) throw unknownWebhook(id)
      return shown(webhook)
    },

    async removeAll(identityId: string): Promise<void> {
      for (const { id } of await repository.list(identityId)) await repository.remove(identityId, id)
    },

    /** Gives up its waiting deliveries, too. @throws GatewayError not_found */
    async remove(identityId: string, id: number): Promise<void> {
      if (!(await repository.remove(identityId, id))) throw unknownWebhook(id)
    },
  }
}

/** @throws GatewayError not_found */
export async function existingWebhook(
  repository: Pick<WebhookRepository, 'find'>,
  identityId: string,
  id: number,
): Promise<Webhook> {
  const webhook = await repository.find(identityId, id)
  if (!webhook) throw unknownWebhook(id)
  return webhook
}

function unknownWebhook(id: number): GatewayError {
  return new GatewayError('not_found', `there is no webhook ${id}`)
}

function refuseMalformed(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:'
  if (!isHttp || url.length > MAX_URL_LENGTH)
    throw wrong('url', `an http:// or https:// URL of at most ${MAX_URL_LENGTH} characters`)
  // The URL parser drops some and encodes others, so we would call another address than given.
  if (UNPRINTABLE.test(url)) throw wrong('url', 'no blanks and control characters; encode them')
  // Lists and logs show the address, and it is stored in clear.
  if (parsed.username !== '' || parsed.password !== '')
    throw wrong('url', 'no user and password; send them by headers.Authorization')
}

/** Returns each name once; only `*` if it is among them. */
function checkedEvents(given: readonly string[] | string): (EventName | '*')[] {
  const names = [...new Set(typeof given === 'string' ? [given] : given)]
  const isKnown = (name: string): name is EventName | '*' =>
    name === '*' || EVENT_NAMES.some(known => known === name)
  if (names.length > 0 && names.every(isKnown)) return names.includes('*') ? ['*'] : names.filter(isKnown)
  const unknown = names.find(name => !isKnown(name))
  throw new GatewayError(
    'bad_request',
    `events: ${unknown === undefined ? '' : `"${unknown}" is unknown: `}expected "*" or a list of ${EVENT_NAMES.join(', ')}`,
  )
}

/** @throws GatewayError bad_request naming the header */
function checkedHeaders(given: Readonly<Record<string, string>>): Record<string, string> {
  const headers = Object.entries(given)
  if (headers.length > MAX_HEADERS) throw wrong('headers', `at most ${MAX_HEADERS} of them`)
  const seen = new Set<string>()
  let length = 0
  for (const [name, value] of headers) {
    if (!TOKEN.test(name) || name.length > MAX_NAME_LENGTH)
      throw wrong('headers', `names of letters, digits and dashes, at most ${MAX_NAME_LENGTH} characters`)
    if (RESERVED.test(name)) throw wrong(`headers.${name}`, 'another name: this one is not yours to set')
    if (seen.has(name.toLowerCase())) throw wrong(`headers.${name}`, 'each name once')
    if (!VALUE.test(value) || value.length > MAX_VALUE_LENGTH)
      throw wrong(`headers.${name}`, `1 to ${MAX_VALUE_LENGTH} printable ASCII characters`)
    seen.add(name.toLowerCase())
    length += name.length + value.length
  }
  if (length > MAX_TOTAL_LENGTH) throw wrong('headers', `at most ${MAX_TOTAL_LENGTH} characters in all`)
  return { ...given }
}

function wrong(field: string, expected: string): GatewayError {
  return new GatewayError('bad_request', `${field}: expected ${expected}`)
}

export function createSigningSecret(): string {
  return `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`
}

function whenOrNull(at: number | null): string | null {
  return at === null ? null : rfc3339(at)
}

/** Removes secrets that no longer sign, and deliveries of removed webhooks that a kill left. */
export function createWebhookCleanup(
  repository: Pick<WebhookRepository, 'forgetOldSecrets' | 'removeOrphans'>,
  clock: Clock,
): Worker {
  const cleanUp = async () => {
    await repository.forgetOldSecrets(clock.now())
    await repository.removeOrphans()
  }
  return every('webhook-cleanup', CLEANUP_INTERVAL_MS, cleanUp, { clock })
}
