/** Refusals over the Matrix APIs, in the specification's standard error response. */
import { errorText } from './error-text.ts'

/** An expected refusal: it becomes `{"errcode", "error"}` with its HTTP status. */
export class MatrixError extends Error {
  override readonly name: string = 'MatrixError'

  constructor(
    readonly status: number,
    readonly errcode: string,
    message: string,
    readonly extra: Readonly<Record<string, unknown>> = {},
  ) {
    super(message)
  }

  /** @see https://spec.matrix.org/v1.12/client-server-api/#standard-error-response */
  toResponse(): Response {
    return Response.json(
      { ...this.extra, errcode: this.errcode, error: errorText(this.message) },
      { status: this.status },
    )
  }
}

/** A refusal as an answer. */
export function matrixRefusal(...refusal: ConstructorParameters<typeof MatrixError>): Response {
  return new MatrixError(...refusal).toResponse()
}
