/** One try at delivering an event: its body is made, and sent under the webhook's secrets. */
import type { InboxEvent, Webhook } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { WebhookAnswer, WebhookClient } from '../../webhooks/client.ts'
import type { EndpointSecrets } from './endpoint-secrets.ts'
import type { Payloads } from './payload.ts'

export interface DeliveryTryOptions {
  payloads: Payloads
  client: WebhookClient
  secretsOf(webhook: Webhook, now: number): EndpointSecrets
  clock: Clock
}

/** In two steps, as the first may take its time: what the webhook is like is looked at between them. */
export interface DeliveryTry {
  /** Rejects when something goes wrong on our side, such as a file that can't be fetched now. */
  prepare(event: InboxEvent): Promise<PreparedDelivery>
}

export interface PreparedDelivery {
  /** @param id the webhook-id header */
  send(webhook: Webhook, id: string): Promise<WebhookAnswer>
}

export function createDeliveryTry({ payloads, client, secretsOf, clock }: DeliveryTryOptions): DeliveryTry {
  return {
    async prepare(event) {
      const body = JSON.stringify(await payloads.of(event))
      return {
        // Async, so that secrets that can't be opened are a rejection, too.
        async send(webhook, id) {
          const { signing: secrets, headers } = secretsOf(webhook, clock.now())
          return client.deliver({ url: webhook.url, id, secrets, headers, body })
        },
      }
    },
  }
}
