/** How large what is sent may be. */

/**
 * A text in JSON, without its quotes: a Matrix event has 64 KiB (client-server API, "Size limits").
 */
export const MAX_TEXT_BYTES = 50_000
/** As browsers and proxies take them. */
export const MAX_FILE_URL_LENGTH = 2_048
/** Longer than any phone number, invite link or id. */
export const MAX_RECIPIENT_LENGTH = 512
/** How long a message may be told to wait, in seconds: thirty days. */
export const MAX_EXPIRES_IN_S = 2_592_000
/** How far ahead a message may be scheduled, in milliseconds: thirty days. */
export const MAX_SEND_AT_MS = 30 * 24 * 3_600_000
/** The length of a Matrix event id (client-server API, "Size limits"). */
export const MAX_REPLY_ID_LENGTH = 255
