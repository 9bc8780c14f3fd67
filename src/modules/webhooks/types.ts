/** What the webhook use cases offer to the HTTP routes. */

import type { DeliveryStatus } from '../../domain/states.ts'
import type { DeliveryPage, DeliveryView, TestResult } from '../../domain/views/delivery.ts'
import type { WebhookView, WebhookWithSecret } from '../../domain/views/webhook.ts'
import type { Recorder } from '../idempotency/types.ts'

export interface WebhookRequest {
  url: string
  /** Whether it is switched on; by default it is. */
  active?: boolean | undefined
  /** Names, `*` for all; by default those about messages received. */
  events?: readonly string[] | string | undefined
  /** Sent with every request; their values are kept sealed. */
  headers?: Readonly<Record<string, string>> | null | undefined
}

/** What is undefined stays as it is. */
export interface WebhookChange {
  url?: string | undefined
  active?: boolean | undefined
  /** Null: the default again. */
  events?: readonly string[] | string | null | undefined
  /** In place of all there were; null: none. */
  headers?: Readonly<Record<string, string>> | null | undefined
}

export interface Webhooks {
  /**
   * @param record keeps what was made, with its secret
   * @returns the webhook with its signing secret (whsec_…, Standard Webhooks), which is shown this once
   * @throws GatewayError bad_request (a URL or headers that aren't taken, an unknown event), conflict (the identity has this URL already, or as many webhooks as it may have)
   */
  create(
    identityId: string,
    webhook: WebhookRequest,
    record?: Recorder<WebhookWithSecret>,
  ): Promise<WebhookWithSecret>
  list(identityId: string): Promise<WebhookView[]>
  /** @throws GatewayError not_found */
  get(identityId: string, id: number): Promise<WebhookView>
  /** @throws GatewayError not_found, bad_request, conflict */
  update(identityId: string, id: number, change: WebhookChange): Promise<WebhookView>
  /**
   * Gives it a new signing secret, which is shown this once.
   * @param overlapS seconds for which the old one signs as well; a day by default, 0: it ends at once, as does one before it that still signs
   * @throws GatewayError not_found, conflict (the one before the present one still signs, and `overlapS` isn't 0)
   */
  rotateSecret(
    identityId: string,
    id: number,
    overlapS?: number,
    record?: Recorder<WebhookWithSecret>,
  ): Promise<WebhookWithSecret>
  /** Also gives up what was still to be delivered to it. @throws GatewayError not_found */
  remove(identityId: string, id: number): Promise<void>
  /** Removes every webhook of the identity. */
  removeAll(identityId: string): Promise<void>
}

export interface DeliveryQuery {
  limit: number
  /** Id of a delivery: only older ones. */
  before?: string | undefined
  status?: DeliveryStatus | undefined
  event?: string | undefined
}

export interface DeliveryLog {
  /**
   * @returns newest event first, and what `before` takes to go on, null at the end
   * @throws GatewayError not_found (webhook, or the delivery `before`), bad_request (an unknown event)
   */
  list(identityId: string, webhookId: number, query: DeliveryQuery): Promise<DeliveryPage>
  /** @throws GatewayError not_found */
  get(identityId: string, deliveryId: string): Promise<DeliveryView>
  /**
   * Delivers it now, whatever became of it, under the same id; if that fails, its retries begin anew.
   * @throws GatewayError not_found, conflict (it is under way, or the webhook is switched off)
   */
  retry(identityId: string, deliveryId: string): Promise<DeliveryView>
  /** Sends a `webhook.test` event and waits for the answer; also to a webhook that is switched off. @throws GatewayError not_found */
  test(identityId: string, webhookId: number): Promise<TestResult>
}

export interface ReplayRequest {
  /** RFC 3339: events received from then on. */
  since: string
  /** RFC 3339: and before then; by default now. */
  until?: string | undefined
  /** Only what was tried and hasn't succeeded. */
  onlyFailed?: boolean | undefined
}

export interface Replays {
  /**
   * Delivers past events that the webhook asks for, once more or for the first time, in the order they happened in each chat. It goes on
   * behind the answer, and after a restart.
   * @returns how many events that are
   * @throws GatewayError not_found, bad_request, conflict (switched off, or a replay of it is under way)
   */
  start(identityId: string, webhookId: number, request: ReplayRequest): Promise<{ events: number }>
}
