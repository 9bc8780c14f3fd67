/** The homeserver's usual refusals. */
import { MatrixError } from '../lib/matrix-error.ts'

export { MatrixError }

export const forbidden = (message: string) => new MatrixError(403, 'M_FORBIDDEN', message)
export const notFound = (message: string) => new MatrixError(404, 'M_NOT_FOUND', message)
export const badJson = (message: string) => new MatrixError(400, 'M_BAD_JSON', message)
export const invalidParam = (message: string) => new MatrixError(400, 'M_INVALID_PARAM', message)
export const tooLarge = (message: string) => new MatrixError(413, 'M_TOO_LARGE', message)
export const unrecognized = (status: 404 | 405) =>
  new MatrixError(status, 'M_UNRECOGNIZED', status === 404 ? 'Unrecognized request' : 'Method not allowed')
