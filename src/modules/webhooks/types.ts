/** What the webhook use cases offer to the HTTP routes. */
import type { EventName } from '../../domain/states.ts'

export interface WebhookView {
  id: number
  url: string
  active: boolean
  /** The events it gets, or `*` alone for all. */
  events: (EventName | '*')[]
  created_at: string
  updated_at: string
}

/** What is undefined stays as it is. */
export interface WebhookChange {
  url?: string | undefined
  active?: boolean | undefined
  /** Null: the default again. */
  events?: readonly string[] | string | null | undefined
}

export interface Webhooks {
  /**
   * @param events names, `*` for all; by default those about messages received
   * @returns the webhook with its signing secret (whsec_…, Standard Webhooks), which is shown this once
   * @throws GatewayError bad_request (not an http(s) URL, an unknown event), conflict (the identity has this URL already)
   */
  create(
    identityId: string,
    url: string,
    events?: readonly string[] | string,
  ): Promise<WebhookView & { secret: string }>
  list(identityId: string): Promise<WebhookView[]>
  /** @throws GatewayError not_found, bad_request, conflict */
  update(identityId: string, id: number, change: WebhookChange): Promise<WebhookView>
  /** Also gives up what was still to be delivered to it. @throws GatewayError not_found */
  remove(identityId: string, id: number): Promise<void>
  /** Removes every webhook of the identity. */
  removeAll(identityId: string): Promise<void>
}
