/** Webhooks: the endpoints that an identity's events go to. */
import type { Webhook } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { EVENT_NAMES, type EventName, MESSAGE_EVENT_NAMES } from '../../domain/states.ts'
import type { WebhookView } from '../../domain/views/webhook.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/sealing.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import type { EndpointGuard } from '../../webhooks/endpoint-guard.ts'
import type { Recorder } from '../idempotency/types.ts'
import { checkedHeaders } from './custom-headers.ts'
import { headersContext, parseHeaders, signingSecretContext } from './endpoint-secrets.ts'
import type { WebhookRepository } from './repository.ts'
import { createSigningSecret } from './signing-secret.ts'
import type { Webhooks } from './types.ts'

export interface WebhooksOptions {
  repository: WebhookRepository
  sealer: Sealer
  guard: Pick<EndpointGuard, 'objectionTo'>
  clock: Clock
}

const MAX_URL_LENGTH = 2_048
/** How long the old secret signs as well, in seconds, unless it is said otherwise. */
const DEFAULT_OVERLAP_S = 86_400

export function createWebhooks(options: WebhooksOptions): Webhooks {
  const { repository, sealer, guard, clock } = options

  /** As the caller wrote it, but for spaces around it. */
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
    // An overlap that is over is removed some time later.
    const oldSecretUntil = (webhook.oldSecretUntil ?? 0) > clock.now() ? webhook.oldSecretUntil : null
    return {
      id: webhook.id,
      url: webhook.url,
      active: webhook.active,
      events: webhook.events ?? [...MESSAGE_EVENT_NAMES],
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

  return {
    async create(identityId, { url, active = true, events, headers = null }, record) {
      const secret = createSigningSecret()
      const webhook = {
        url: await checkedUrl(url),
        active,
        events: events === undefined ? null : checkedEvents(events),
        secretSealed: sealSecret(identityId, secret),
        headersSealed: sealHeaders(identityId, headers),
      }
      const shown = (made: Webhook) => ({ ...view(made), secret })
      const onStored: Recorder<Webhook> | undefined = record && ((tx, made) => record(tx, shown(made)))
      return shown(await repository.create(identityId, webhook, clock.now(), onStored))
    },

    async list(identityId) {
      return (await repository.list(identityId)).map(view)
    },

    get: async (identityId, id) => view(await existingWebhook(repository, identityId, id)),

    async update(identityId, id, { url, active, events, headers }) {
      const change = {
        ...(events === undefined ? {} : { events: events === null ? null : checkedEvents(events) }),
        ...(headers === undefined ? {} : { headersSealed: sealHeaders(identityId, headers) }),
        ...(url === undefined ? {} : { url: await checkedUrl(url) }),
        ...(active === undefined ? {} : { active }),
      }
      const webhook = await repository.update(identityId, id, change, clock.now())
      if (!webhook) throw unknownWebhook(id)
      return view(webhook)
    },

    async rotateSecret(identityId, id, overlapS = DEFAULT_OVERLAP_S, record) {
      const secret = createSigningSecret()
      const now = clock.now()
      const oldUntil = overlapS === 0 ? null : now + overlapS * 1_000
      const sealed = sealSecret(identityId, secret)
      const shown = (changed: Webhook) => ({ ...view(changed), secret })
      const onStored: Recorder<Webhook> | undefined = record && ((tx, changed) => record(tx, shown(changed)))
      const webhook = await repository.rotateSecret(identityId, id, sealed, oldUntil, now, onStored)
      if (!webhook) throw unknownWebhook(id)
      return shown(webhook)
    },

    async removeAll(identityId) {
      for (const { id } of await repository.list(identityId)) await repository.remove(identityId, id)
    },

    async remove(identityId, id) {
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

const UNPRINTABLE = /[\s\p{Cc}]/u

function refuseMalformed(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:'
  if (!isHttp || url.length > MAX_URL_LENGTH) {
    throw new GatewayError(
      'bad_request',
      `url: expected an http:// or https:// URL of at most ${MAX_URL_LENGTH} characters`,
    )
  }
  // A URL's parser drops some of them and encodes the rest, so that another address would be called than was given.
  if (UNPRINTABLE.test(url)) {
    throw new GatewayError('bad_request', 'url: expected no blanks and control characters; encode them')
  }
  // The address is shown in lists and logs, and stored in clear.
  if (parsed.username !== '' || parsed.password !== '') {
    throw new GatewayError(
      'bad_request',
      'url: expected no user and password; send them by headers.Authorization',
    )
  }
}

/** Each name once; `*` alone where it is among them. */
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

function whenOrNull(at: number | null): string | null {
  return at === null ? null : rfc3339(at)
}

const CLEANUP_INTERVAL_MS = 3_600_000

/** Removes secrets that no longer sign, and what a kill left of webhooks that were removed. */
export function createWebhookCleanup(
  repository: Pick<WebhookRepository, 'forgetOldSecrets' | 'removeLeft'>,
  clock: Clock,
): Worker {
  const cleanUp = async () => {
    await repository.forgetOldSecrets(clock.now())
    await repository.removeLeft()
  }
  return every('webhook-cleanup', CLEANUP_INTERVAL_MS, cleanUp, { clock })
}
