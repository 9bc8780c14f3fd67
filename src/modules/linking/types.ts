/** What the linking use cases offer to the HTTP routes and the QR WebSocket. */
import type { LoginField } from '../../domain/ports.ts'

/** What a link has to show. The last three end it. */
export type LinkEvent =
  | { type: 'qr'; payload: string; instructions: string }
  | { type: 'code'; code: string; instructions: string }
  | { type: 'input'; fields: LoginField[]; instructions: string }
  | { type: 'connected'; platform: string; device_id: string; name: string }
  | { type: 'error'; code: 'timeout' | 'failed' | 'superseded' | 'cancelled'; message: string }

export interface LinkSubscription {
  /** The newest event so far, null before the first. */
  latest: LinkEvent | null
  unsubscribe(): void
}

export interface Linking {
  /**
   * Starts the platform's login at its bridge. A link of the same identity and platform under way is superseded.
   * @param flow one of the bridge's login flows; by default its QR flow
   * @returns once the first step is there, so a bridge that can't start fails here
   * @throws GatewayError bad_request (unknown platform or flow), bridge_error, bridge_unavailable, bridge_timeout
   */
  start(identity: { id: string; matrixUserId: string }, platform: string, flow?: string): Promise<void>
  /**
   * Follows the identity's newest link (of `platform`, if given). `latest` is to be shown at once, `listener` gets what comes after. A link that
   * ended in the last two minutes can still be followed: `latest` is then its end.
   * @throws GatewayError not_found when there is none: POST /api/v1/devices first
   */
  follow(
    identityId: string,
    platform: string | undefined,
    listener: (event: LinkEvent) => void,
  ): LinkSubscription
}
