/** What the linking use cases offer to the HTTP routes and the QR WebSocket. */

/** Something that a person has to type in, or that a web login leaves behind in the browser. */
export interface LinkField {
  id: string
  /** phone_number, 2fa_code, password, select, cookie, … */
  type: string
  name: string
  description: string
  required: boolean
  /** What may be chosen from; empty when anything may be typed. */
  options: string[]
  pattern: string | null
  default_value: string | null
}

/** A field of a web login, and where in the browser its value is found: any one of `sources`. */
export interface LinkCookieField extends LinkField {
  sources: { type: string; name: string; cookie_domain: string | null; request_url_regex: string | null }[]
}

export const LINK_ENDS = ['timeout', 'failed', 'superseded', 'cancelled'] as const
export type LinkEnd = (typeof LINK_ENDS)[number]

/** What a link has to show. The last two end it. */
export type LinkEvent =
  | { type: 'qr'; payload: string; instructions: string }
  | { type: 'code'; code: string; instructions: string }
  | { type: 'emoji'; emoji: string; image_url: string | null; instructions: string }
  | { type: 'wait'; instructions: string }
  | {
      type: 'input'
      fields: LinkField[]
      /** Files to look at, such as the picture of a captcha, in base64. */
      attachments: { file_name: string; mime_type: string; content: string }[]
      instructions: string
    }
  | {
      type: 'cookies'
      url: string
      user_agent: string | null
      extract_js: string | null
      wait_for_url_pattern: string | null
      fields: LinkCookieField[]
      instructions: string
    }
  | { type: 'connected'; platform: string; device_id: string; name: string }
  | { type: 'error'; code: LinkEnd; message: string }

/** What a link waits for, or how it ended. */
export const LINK_STATES = [
  'waiting_for_scan',
  'waiting_for_code',
  'waiting_for_input',
  'waiting',
  'connected',
  ...LINK_ENDS,
] as const
export type LinkState = (typeof LINK_STATES)[number]

export interface LinkView {
  id: string
  platform: string
  flow: string
  state: LinkState
  step: LinkEvent
  created_at: string
  /**
   * Until when the link is good for sure: each step, and each renewed code, moves it. No bridge
   * says when it ends a login. Null when it has ended.
   */
  expires_at: string | null
}

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
