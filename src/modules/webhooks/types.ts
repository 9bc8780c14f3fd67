/** What the webhook use cases offer to the HTTP routes. */

export interface WebhookView {
  id: number
  url: string
  active: boolean
  created_at: string
  updated_at: string
}

export interface Webhooks {
  /**
   * @returns the webhook with its signing secret (whsec_…, Standard Webhooks), which is shown this once
   * @throws GatewayError bad_request (not an http(s) URL), conflict (the identity has this URL already)
   */
  create(identityId: string, url: string): Promise<WebhookView & { secret: string }>
  list(identityId: string): Promise<WebhookView[]>
  /** @throws GatewayError not_found, bad_request, conflict */
  update(
    identityId: string,
    id: number,
    change: { url?: string | undefined; active?: boolean | undefined },
  ): Promise<WebhookView>
  /** Also gives up what was still to be delivered to it. @throws GatewayError not_found */
  remove(identityId: string, id: number): Promise<void>
  /** Removes every webhook of the identity. */
  removeAll(identityId: string): Promise<void>
}
