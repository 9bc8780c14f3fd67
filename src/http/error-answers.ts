/** Failures as HTTP answers: which status each code has, and the body that all of them share. */
import type { ErrorCode, GatewayError } from '../domain/errors.ts'
import { errorText } from '../lib/error-text.ts'

/** The status of each code; the last three are HTTP's own. */
export const STATUS_OF = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  gone: 410,
  payload_too_large: 413,
  quota_exceeded: 413,
  unsupported_media_type: 415,
  unprocessable: 422,
  unsupported_by_chat: 422,
  too_many_requests: 429,
  bridge_error: 502,
  homeserver_error: 502,
  bridge_unavailable: 503,
  homeserver_unavailable: 503,
  storage_full: 507,
  storage_unavailable: 503,
  shutting_down: 503,
  bridge_timeout: 504,
  not_supported: 501,
  misdirected_request: 421,
  upgrade_required: 426,
  internal_error: 500,
} as const satisfies Record<ErrorCode, number> & Record<string, number>

/** `code` of an error's body. */
export type AnsweredCode = keyof typeof STATUS_OF
export type ErrorStatus = (typeof STATUS_OF)[AnsweredCode]

/** A failure as HTTP answers it: with headers of its own, or a code that no use case has. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly status: ErrorStatus

  constructor(
    readonly code: AnsweredCode,
    message: string,
    readonly headers: Record<string, string> = {},
    /** Further fields of the body. */
    readonly details: Readonly<Record<string, string | number | null>> = {},
  ) {
    super(message)
    this.status = STATUS_OF[code]
  }
}

/** The realm of both authentication schemes. */
export type AuthScheme = 'Basic' | 'Bearer'

/**
 * Makes the 401 for authentication that is missing, malformed or wrong, with the challenge that RFC
 * 9110 section 11.6.1 asks for.
 */
export function challenge(scheme: AuthScheme, message: string): HttpError {
  const parameters = scheme === 'Basic' ? 'realm="meshgate", charset="UTF-8"' : 'realm="meshgate"'
  return new HttpError('unauthorized', message, {
    'WWW-Authenticate': `${scheme} ${parameters}`,
  })
}

/** How an expected failure is answered. */
export function httpErrorOf(error: GatewayError): HttpError {
  const headers: Record<string, string> = {}
  if (error.retryAfterS !== undefined) headers['Retry-After'] = String(Math.ceil(error.retryAfterS))
  else if (error.code === 'too_many_requests') headers['Retry-After'] = '1'
  return new HttpError(error.code, error.message, headers, error.details)
}

interface ErrorBody {
  error: string
  code: string
  request_id: string
}

export function errorResponse(error: HttpError, requestId: string): Response {
  const body: ErrorBody = {
    ...error.details,
    error: errorText(error.message),
    code: error.code,
    request_id: requestId,
  }
  return Response.json(body, { status: error.status, headers: error.headers })
}
