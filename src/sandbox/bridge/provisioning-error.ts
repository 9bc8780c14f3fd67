/** A refusal in the form of a Matrix error. */
import { errorText } from '../../lib/error-text.ts'

export class ProvisioningError extends Error {
  constructor(
    readonly status: number,
    readonly errcode: string,
    message: string,
  ) {
    super(message)
  }

  toResponse(): Response {
    return Response.json({ errcode: this.errcode, error: errorText(this.message) }, { status: this.status })
  }
}
