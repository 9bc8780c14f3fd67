/**
 * Calls for things that this server never has. Each gets the specification's answer for "none":
 * clients read M_UNRECOGNIZED as a server that is older than it claims.
 */
import { z } from 'zod'
import { type Call, ownUserId, param, readBody, readObject } from '../call.ts'
import { forbidden, MatrixError, notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'

export const NO_REGISTRATION = 'Registration is only open to application services'

/** Handler that always gives the same answer. */
export const answered = (answer: JsonObject) => () => answer

/** Handler that always throws the same error. */
const failing = (error: MatrixError) => (): never => {
  throw error
}

/** Handler for something that doesn't exist here. */
export const absent = (message: string) => failing(notFound(message))

/** Handler for something nobody may do here. */
export const refused = (message: string) => failing(forbidden(message))

/** @see https://spec.matrix.org/v1.4/client-server-api/#post_matrixclientv3pushersset */
export async function setPusher(call: Call): Promise<undefined> {
  const { kind } = await readObject(call)
  if (kind !== null) throw forbidden('This server has no pushers')
}

/**
 * The server records neither when nor from where a user was active.
 * @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv3adminwhoisuserid
 */
export function whois(call: Call): JsonObject {
  return { user_id: ownUserId(call), devices: {} }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3presenceuseridstatus */
export function getPresence(call: Call): JsonObject {
  if (!call.core.userExists(param(call, 'userId'))) throw notFound('Unknown user')
  return { presence: 'offline' }
}

const presence = z.object({
  presence: z.enum(['online', 'offline', 'unavailable']),
  status_msg: z.string().optional(),
})

/**
 * Presence is accepted and ignored: nobody here needs it, and it causes floods of updates.
 * @see https://spec.matrix.org/v1.12/client-server-api/#put_matrixclientv3presenceuseridstatus
 */
export async function putPresence(call: Call): Promise<undefined> {
  ownUserId(call)
  await readBody(call, presence)
}

/** @see Matrix v1.4, POST /_matrix/client/v3/register/email/requestToken */
export const thirdPartyIdDenied = failing(
  new MatrixError(403, 'M_THREEPID_DENIED', 'Accounts of this server have no addresses or numbers'),
)

/** @see https://spec.matrix.org/v1.4/client-server-api/#post_matrixclientv3refresh */
export const unknownRefreshToken = failing(
  new MatrixError(401, 'M_UNKNOWN_TOKEN', 'This server gives out no refresh tokens'),
)
