/** Webhooks: the endpoints that an identity's events go to. */
import type { Webhook } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { EVENT_NAMES, type EventName, MESSAGE_EVENT_NAMES } from '../../domain/states.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/sealing.ts'
import type { EndpointGuard } from '../../webhooks/endpoint-guard.ts'
import type { WebhookRepository } from './repository.ts'
import { createSigningSecret } from './signing-secret.ts'
import type { Webhooks, WebhookView } from './types.ts'

export interface WebhooksOptions {
  repository: WebhookRepository
  sealer: Sealer
  guard: Pick<EndpointGuard, 'objectionTo'>
  /** A webhook was switched on: what waits for it can go. */
  onActivated(): void
  clock: Clock
}

const MAX_URL_LENGTH = 2_048

/** What a webhook's sealed signing secret is bound to. */
export function signingSecretContext(identityId: string): string {
  return `webhook-secret:${identityId}`
}

export function createWebhooks(options: WebhooksOptions): Webhooks {
  const { repository, sealer, guard, onActivated, clock } = options

  /** As the caller wrote it, but for spaces around it. */
  async function checkedUrl(given: string): Promise<string> {
    const url = given.trim()
    refuseMalformed(url)
    const objection = await guard.objectionTo(url)
    if (objection !== null) throw new GatewayError('bad_request', `url: ${objection}`)
    return url
  }

  return {
    async create(identityId, url, events) {
      const secret = createSigningSecret()
      const webhook = {
        url: await checkedUrl(url),
        events: events === undefined ? null : checkedEvents(events),
        secretSealed: sealer.seal(secret, signingSecretContext(identityId)),
      }
      return { ...view(await repository.create(identityId, webhook, clock.now())), secret }
    },

    async list(identityId) {
      return (await repository.list(identityId)).map(view)
    },

    async update(identityId, id, { url, active, events }) {
      const change = {
        ...(events === undefined ? {} : { events: events === null ? null : checkedEvents(events) }),
        ...(url === undefined ? {} : { url: await checkedUrl(url) }),
        ...(active === undefined ? {} : { active }),
        ...(active === true ? { disabledReason: null } : {}),
      }
      const webhook = await repository.update(identityId, id, change, clock.now())
      if (!webhook) throw unknownWebhook(id)
      if (active) onActivated()
      return view(webhook)
    },

    async removeAll(identityId) {
      for (const { id } of await repository.list(identityId)) await repository.remove(identityId, id)
    },

    async remove(identityId, id) {
      if (!(await repository.remove(identityId, id))) throw unknownWebhook(id)
    },
  }
}

function unknownWebhook(id: number): GatewayError {
  return new GatewayError('not_found', `there is no webhook ${id}`)
}

function refuseMalformed(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:'
  if (!isHttp || url.length > MAX_URL_LENGTH) {
    throw new GatewayError(
      'bad_request',
      `url: expected an http:// or https:// URL of at most ${MAX_URL_LENGTH} characters`,
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

function view({ id, url, active, events, createdAt, updatedAt }: Webhook): WebhookView {
  return {
    id,
    url,
    active,
    events: events ?? [...MESSAGE_EVENT_NAMES],
    created_at: rfc3339(createdAt),
    updated_at: rfc3339(updatedAt),
  }
}
