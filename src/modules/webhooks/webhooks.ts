/** Webhooks: the endpoints that an identity's events go to. */
import type { Webhook } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/sealing.ts'
import type { WebhookRepository } from './repository.ts'
import { createSigningSecret } from './signing-secret.ts'
import type { Webhooks, WebhookView } from './types.ts'

export interface WebhooksOptions {
  repository: WebhookRepository
  sealer: Sealer
  /** A webhook was switched on: what waits for it can go. */
  onActivated(): void
  clock: Clock
}

const MAX_URL_LENGTH = 2_048

/** What a webhook's sealed signing secret is bound to. */
export function signingSecretContext(identityId: string): string {
  return `webhook-secret:${identityId}`
}

export function createWebhooks({ repository, sealer, onActivated, clock }: WebhooksOptions): Webhooks {
  return {
    async create(identityId, url) {
      const secret = createSigningSecret()
      const sealed = sealer.seal(secret, signingSecretContext(identityId))
      return { ...view(await repository.create(identityId, checkedUrl(url), sealed, clock.now())), secret }
    },

    async list(identityId) {
      return (await repository.list(identityId)).map(view)
    },

    async update(identityId, id, { url, active }) {
      const change = {
        ...(url === undefined ? {} : { url: checkedUrl(url) }),
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

/** As the caller wrote it, but for spaces around it. */
function checkedUrl(given: string): string {
  const url = given.trim()
  const parsed = URL.canParse(url) ? new URL(url) : null
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:'
  if (!isHttp || url.length > MAX_URL_LENGTH) {
    throw new GatewayError(
      'bad_request',
      `url: expected an http:// or https:// URL of at most ${MAX_URL_LENGTH} characters`,
    )
  }
  return url
}

function view({ id, url, active, createdAt, updatedAt }: Webhook): WebhookView {
  return { id, url, active, created_at: rfc3339(createdAt), updated_at: rfc3339(updatedAt) }
}
