/** Answers requests to mounts: only our own pages change things, and guesses are slowed down. */
import { GatewayError } from '../domain/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { AuthAttempts } from './auth-attempts.ts'
import { errorResponse, HttpError, httpErrorOf } from './error-answers.ts'
import { createMountGuard } from './mount-guard.ts'
import type { Mount } from './mounts.ts'
import { createOriginCheck } from './origin-check.ts'
import { newRequestId } from './request-id.ts'
import { BODILESS } from './rest-of-body.ts'
import { addMissing } from './security-headers.ts'

export interface MountAnswersOptions {
  publicUrl: string | undefined
  attempts: AuthAttempts
  /** Added to each answer that doesn't set them. */
  headers: Record<string, string>
  logger: Logger
}

/** @returns what answers a request to a mount; it never rejects */
export function createMountAnswers({ publicUrl, attempts, headers, logger }: MountAnswersOptions) {
  const guarded = createMountGuard(attempts)
  // CORS_ORIGINS names who may call the API with tokens. Calls without one are for our own pages.
  const isOwnPage = createOriginCheck(publicUrl, undefined)
  // A mount knows how long its own answers may be kept.
  const { 'Cache-Control': _ownMatter, ...missing } = headers

  function problemOf(mount: Mount, request: Request): GatewayError | null {
    // The mounts take the URL apart. Without a usable Host header it is a mere path.
    if (request.url.startsWith('/'))
      return new GatewayError('bad_request', 'Host: expected the name of the host')
    if (mount.onlyOwnPages && !BODILESS.has(request.method) && !isOwnPage(request))
      return new GatewayError('forbidden', 'Origin: this is not open to pages of other origins')
    return null
  }

  async function answer(mount: Mount, request: Request): Promise<Response> {
    const problem = problemOf(mount, request)
    if (problem) return errorResponse(httpErrorOf(problem), newRequestId(request))
    try {
      return await guarded(mount, request)
    } catch (error) {
      const requestId = newRequestId(request)
      logger.error({ err: error, request_id: requestId, mount: mount.prefix }, 'request failed')
      return errorResponse(new HttpError('internal_error', 'Internal error'), requestId)
    }
  }

  return async (mount: Mount, request: Request) => addMissing(await answer(mount, request), missing)
}
