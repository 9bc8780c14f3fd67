/** What the linking use cases offer to the HTTP routes and the QR WebSocket. */
import type { LinkEvent, LinkView } from '../../domain/views/link.ts'

export interface LinkSubscription {
  linkId: string
  /** The newest event so far, null before the first. */
  latest: LinkEvent | null
  unsubscribe(): void
}

export interface LinkRequest {
  platform: string
  /** One of the bridge's login flows; by default its QR flow. */
  flow?: string | undefined
  /** A device that is to be linked again, in place of its old login. */
  deviceId?: string | undefined
  /** Answers known beforehand, by a field's id or type. Each is given once, as soon as the login asks for it. */
  inputs?: Record<string, string> | undefined
}

export interface Linking {
  /**
   * Starts the platform's login at its bridge. A link of the same identity and platform under way is superseded.
   * @returns once the first step is there that waits for the person, so a bridge that can't start fails here
   * @throws GatewayError bad_request (unknown platform or flow, an input that isn't taken), not_found (no such device), bridge_error,
   *   bridge_unavailable, bridge_timeout
   */
  start(identity: { id: string; matrixUserId: string }, request: LinkRequest): Promise<LinkView>
  /** @throws GatewayError not_found: also for another identity's link, and two minutes after its end */
  get(identityId: string, linkId: string): LinkView
  /**
   * Gives what the link's step asks for, by a field's id or type.
   * @returns once the bridge has answered with the next step
   * @throws GatewayError not_found; conflict when nothing is asked for; bad_request naming the field, and saying whether the link goes on;
   *   bridge_error, bridge_unavailable, bridge_timeout
   */
  answer(identityId: string, linkId: string, inputs: Readonly<Record<string, string>>): Promise<LinkView>
  /** @throws GatewayError not_found; conflict when it has ended */
  cancel(identityId: string, linkId: string): void
  /**
   * Follows the identity's newest link (of `platform`, if given). `latest` is to be shown at once, `listener` gets what comes after. A link that
   * ended in the last two minutes, or that the bridge couldn't even start, can still be followed: `latest` is then its end.
   * @throws GatewayError not_found when there is none: POST /api/v1/devices first
   */
  follow(
    identityId: string,
    platform: string | undefined,
    listener: (event: LinkEvent) => void,
  ): LinkSubscription
}
