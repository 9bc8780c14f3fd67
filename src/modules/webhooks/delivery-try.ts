/**
 * One try at delivering an event: makes its body, or shares it with other webhooks, and sends it
 * under the webhook's secrets.
 */
import type { InboxEvent, Webhook } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { WebhookAnswer, WebhookClient } from '../../webhooks/client.ts'
import type { EndpointSecrets } from './endpoint-secrets.ts'
import type { SharedBodies } from './shared-bodies.ts'

export interface DeliveryTryOptions {
  bodies: Pick<SharedBodies, 'take'>
  client: WebhookClient
  secretsOf(webhook: Webhook, now: number): EndpointSecrets
  clock: Clock
}

/** In two steps, as the first may take its time: what the webhook is like is looked at between them. */
export interface DeliveryTry {
  /**
   * Rejects when something goes wrong on our side, such as a file that can't be fetched now; with
   * NoRoom when the memory for it is taken.
   * @param withMedia false: only a file's address is sent
   */
  prepare(event: InboxEvent, withMedia?: boolean): Promise<PreparedDelivery>
}

/** Holds its body until it is disposed of. */
export interface PreparedDelivery extends Disposable {
  /** @param id the webhook-id header */
  send(webhook: Webhook, id: string): Promise<WebhookAnswer>
}

export function createDeliveryTry({ bodies, client, secretsOf, clock }: DeliveryTryOptions): DeliveryTry {
  return {
    async prepare(event, withMedia = true) {
      const held = await bodies.take(event, withMedia)
      return {
        // Async, so that secrets that can't be opened are a rejection, too.
        async send(webhook, id) {
          const { signing: secrets, headers } = secretsOf(webhook, clock.now())
          return client.deliver({ url: webhook.url, id, secrets, headers, body: held.body })
        },
        [Symbol.dispose]: () => held[Symbol.dispose](),
      }
    },
  }
}
