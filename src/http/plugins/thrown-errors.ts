/**
 * Maps whatever a route throws to the error body. An unknown error is logged in full, and its
 * answer says nothing of it.
 */
import { Elysia, NotFoundError, ParseError, ValidationError } from 'elysia'
import { GatewayError } from '../../domain/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { errorResponse, HttpError, httpErrorOf } from '../error-answers.ts'
import { REQUEST_ID_HEADER } from '../request-id.ts'
import { shownPath } from '../shown-path.ts'
import { explain } from '../validation.ts'

/** @param allowedMethods the methods that a path has, empty when it is no path of ours */
export function errors(logger: Logger, allowedMethods: (path: string) => string[]) {
  return new Elysia({ name: 'errors' }).onError({ as: 'global' }, ({ error, request, set, path }) => {
    const requestId = String(set.headers[REQUEST_ID_HEADER])
    const answer = expected(error, request.method, () => allowedMethods(path))
    if (!answer) {
      logger.error(
        { err: error, request_id: requestId, method: request.method, path: shownPath(request) },
        'request failed',
      )
    }
    const response = errorResponse(answer ?? INTERNAL, requestId)
    set.status = response.status
    return response
  })
}

const INTERNAL = new HttpError('internal_error', 'Internal error: the log has it under this request_id')

function expected(thrown: unknown, method: string, allowed: () => string[]): HttpError | null {
  const error = thrown instanceof ParseError ? thrown.cause : thrown
  if (error instanceof HttpError) return error
  if (error instanceof GatewayError) return httpErrorOf(error)
  if (error instanceof ValidationError) return badRequest(explain(error))
  if (thrown instanceof ParseError) return badRequest('The request could not be read')
  if (error instanceof NotFoundError) return noRoute(method, allowed())
  return null
}

function badRequest(message: string): HttpError {
  return httpErrorOf(new GatewayError('bad_request', message))
}

function noRoute(method: string, allowed: string[]): HttpError {
  if (allowed.length === 0) return httpErrorOf(new GatewayError('not_found', 'There is nothing at this path'))
  const list = allowed.join(', ')
  const { code, message } = httpErrorOf(
    new GatewayError('method_not_allowed', `${method} is not allowed here, use ${list}`),
  )
  return new HttpError(code, message, { Allow: list })
}
