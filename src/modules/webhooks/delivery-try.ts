/** One try at delivering an event: its body is made, and sent under the webhook's secrets. */
import type { InboxEvent, Webhook } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { WebhookAnswer, WebhookClient } from '../../webhooks/client.ts'
import type { EndpointSecrets } from './endpoint-secrets.ts'
import type { Payloads } from './payload.ts'
import type { PayloadRoom } from './payload-room.ts'

export interface DeliveryTryOptions {
  payloads: Payloads
  /** For the files that stand in bodies; shared out among identities. */
  room: Pick<PayloadRoom, 'take'>
  client: WebhookClient
  secretsOf(webhook: Webhook, now: number): EndpointSecrets
  clock: Clock
}

/** In two steps, as the first may take its time: what the webhook is like is looked at between them. */
export interface DeliveryTry {
  /** Rejects when something goes wrong on our side, such as a file that can't be fetched now; with NoRoom when there is none for it. */
  prepare(event: InboxEvent): Promise<PreparedDelivery>
}

/** Holds its room until it is disposed of. */
export interface PreparedDelivery extends Disposable {
  /** @param id the webhook-id header */
  send(webhook: Webhook, id: string): Promise<WebhookAnswer>
}

export function createDeliveryTry(options: DeliveryTryOptions): DeliveryTry {
  const { payloads, room, client, secretsOf, clock } = options

  return {
    async prepare(event) {
      let leaveRoom = () => {}
      try {
        const payload = await payloads.of(event, async fileBytes => {
          leaveRoom = await room.take(event.identityId, fileBytes)
        })
        // As bytes from here on: of a string, what signs and what sends would each make a copy of their own.
        const body = Buffer.from(JSON.stringify(payload))
        return {
          // Async, so that secrets that can't be opened are a rejection, too.
          async send(webhook, id) {
            const { signing: secrets, headers } = secretsOf(webhook, clock.now())
            return client.deliver({ url: webhook.url, id, secrets, headers, body })
          },
          [Symbol.dispose]: leaveRoom,
        }
      } catch (error) {
        leaveRoom()
        throw error
      }
    },
  }
}
