/** Errors that leave the homeserver, in the specification's standard error response. */
import { errorText } from '../lib/error-text.ts'
import type { JsonObject } from './json.ts'

/** An expected refusal: it becomes `{"errcode", "error"}` with its HTTP status. */
export class MatrixError extends Error {
  constructor(
    readonly status: number,
    readonly errcode: string,
    message: string,
    readonly extra: JsonObject = {},
  ) {
    super(message)
    this.name = 'MatrixError'
  }

  /** @see https://spec.matrix.org/v1.12/client-server-api/#standard-error-response */
  toResponse(): Response {
    return Response.json(
      { ...this.extra, errcode: this.errcode, error: errorText(this.message) },
      { status: this.status },
    )
  }
}

export const forbidden = (message: string) => new MatrixError(403, 'M_FORBIDDEN', message)
export const notFound = (message: string) => new MatrixError(404, 'M_NOT_FOUND', message)
export const badJson = (message: string) => new MatrixError(400, 'M_BAD_JSON', message)
export const invalidParam = (message: string) => new MatrixError(400, 'M_INVALID_PARAM', message)
export const tooLarge = (message: string) => new MatrixError(413, 'M_TOO_LARGE', message)
export const unrecognized = (status: 404 | 405) =>
  new MatrixError(status, 'M_UNRECOGNIZED', status === 404 ? 'Unrecognized request' : 'Method not allowed')
