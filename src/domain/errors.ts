/**
 * The failures a caller can expect, as codes: src/http maps each code to one HTTP status.
 * Anything else that is thrown is a defect and becomes a bare 500.
 */

export const ERROR_CODES = [
  'bad_request',
  'unauthorized',
  'forbidden',
  'not_found',
  'method_not_allowed',
  'conflict',
  'gone',
  'unprocessable',
  'unsupported_by_chat',
  'payload_too_large',
  'quota_exceeded',
  'unsupported_media_type',
  'too_many_requests',
  'bridge_error',
  'bridge_unavailable',
  'bridge_timeout',
  'not_supported',
  'homeserver_error',
  'homeserver_unavailable',
  'storage_full',
  'storage_unavailable',
  'shutting_down',
] as const
export type ErrorCode = (typeof ERROR_CODES)[number]

/**
 * An expected failure. Callers see `message`: one sentence naming the field and what was expected.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'

  constructor(
    readonly code: ErrorCode,
    message: string,
    /** Seconds after which the same call may succeed (HTTP Retry-After), where that is known. */
    readonly retryAfterS?: number,
    /** Further fields of the answer, for programs. */
    readonly details: Readonly<Record<string, string | number | null>> = {},
  ) {
    super(message)
  }
}

/** A bridge that can't be reached or doesn't answer. */
const BRIDGE_AWAY: readonly ErrorCode[] = ['bridge_unavailable', 'bridge_timeout']
/**
 * Failures that mend themselves: the same call may succeed later. All other expected ones are
 * final.
 */
const PASSING: readonly ErrorCode[] = [
  ...BRIDGE_AWAY,
  'homeserver_unavailable',
  'storage_full',
  'storage_unavailable',
  'shutting_down',
]

export function isPassing({ code }: GatewayError): boolean {
  return PASSING.includes(code)
}

/** True when the bridge said nothing at all, as against refusing the request. */
export function isBridgeAway({ code }: GatewayError): boolean {
  return BRIDGE_AWAY.includes(code)
}

/** True when nothing could be stored, for now: the disk is full, or another process writes. */
export function isStorageTrouble(error: unknown): error is GatewayError {
  return (
    error instanceof GatewayError && (error.code === 'storage_full' || error.code === 'storage_unavailable')
  )
}

/** Keeps the program from starting until a setting is mended, which `message` names in one line. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** The message of anything that was thrown, for logs and `reason` fields. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
