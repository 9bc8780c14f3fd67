/**
 * Calls of the specification for things that this server never has: each has the specification's
 * own answer for a server without them, as clients take M_UNRECOGNIZED for a server that is older
 * than it says.
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
 * Nothing is kept of when a user was here, and from where.
 * @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3adminwhoisuserid
 */
export function whois(call: Call): JsonObject {
  const userId = param(call, 'userId')
  assertOwn(call, userId)
  return { user_id: userId, devices: {} }
}

/** A call for something that can't be found here. */
export const absent = (message: string) => (): never => {
  throw notFound(message)
}

/** A call for something that nobody may do here. */
export const refused = (message: string) => (): never => {
  throw forbidden(message)
}

/** @see https://spec.matrix.org/v1.4/client-server-api/#post_matrixclientv3registeremailrequesttoken */
export function thirdPartyIdDenied(): never {
  throw new MatrixError(403, 'M_THREEPID_DENIED', 'Accounts of this server have no addresses or numbers')
}

/** @see https://spec.matrix.org/v1.4/client-server-api/#post_matrixclientv3refresh */
export function unknownRefreshToken(): never {
  throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'This server gives out no refresh tokens')
}
