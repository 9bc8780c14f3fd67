/**
 * Calls for things that this server never has. Each gets the specification's answer for "none":
 * clients read M_UNRECOGNIZED as a server that is older than it claims.
 */
import { readObject } from '../body.ts'
import { assertOwn, type Call, param } from '../call.ts'
import { forbidden, MatrixError, notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'

export const NO_REGISTRATION = 'Registration is only open to application services'

/** @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3voipturnserver */
export const turnServer = (): JsonObject => ({})

/** @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3thirdpartyprotocols */
export const thirdPartyProtocols = (): JsonObject => ({})

/** @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3pushers */
export const pushers = (): JsonObject => ({ pushers: [] })

/** @see https://spec.matrix.org/v1.4/client-server-api/#post_matrixclientv3pushersset */
export async function setPusher({ request }: Call): Promise<JsonObject> {
  const { kind } = await readObject(request)
  if (kind !== null) throw forbidden('This server has no pushers')
  return {}
}

/** @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3notifications */
export const notifications = (): JsonObject => ({ notifications: [] })

/** @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3account3pid */
export const thirdPartyIds = (): JsonObject => ({ threepids: [] })

/** @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixmediav3preview_url */
export const urlPreview = (): JsonObject => ({})

/**
 * The server records neither when nor from where a user was active.
 * @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3adminwhoisuserid
 */
export function whois(call: Call): JsonObject {
  const userId = param(call, 'userId')
  assertOwn(call, userId)
  return { user_id: userId, devices: {} }
}

/** Handler for something that doesn't exist here. */
export const absent = (message: string) => (): never => {
  throw notFound(message)
}

/** Handler for something nobody may do here. */
export const refused = (message: string) => (): never => {
  throw forbidden(message)
}

/** @see Matrix v1.4, POST /_matrix/client/v3/register/email/requestToken */
export function thirdPartyIdDenied(): never {
  throw new MatrixError(403, 'M_THREEPID_DENIED', 'Accounts of this server have no addresses or numbers')
}

/** @see https://spec.matrix.org/v1.4/client-server-api/#post_matrixclientv3refresh */
export function unknownRefreshToken(): never {
  throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'This server gives out no refresh tokens')
}
