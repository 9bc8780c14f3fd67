/** Versions, capabilities, registration, login and whoami. */
import { z } from 'zod'
import type { Appservice } from '../appservices/appservices.ts'
import { accessToken, type Call, type OpenCall, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, MatrixError } from '../errors.ts'
import { isValidLocalpart, randomId, tokenHash } from '../identifiers.ts'
import type { JsonObject } from '../json.ts'
import { assertMayAddDevice, removeDevices } from './devices.ts'
import { answered, NO_REGISTRATION } from './nothing-here.ts'

const APPSERVICE_LOGIN = 'm.login.application_service'

/**
 * Bridges need v1.4 and recognise later features by name: asynchronous uploads and appservice pings
 * (v1.7), authenticated media (v1.11), fields of profiles (v1.16). Every endpoint of the announced
 * versions is answered.
 * @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientversions
 */
export const versions = answered({
  versions: ['r0.6.0', 'r0.6.1', 'v1.1', 'v1.2', 'v1.3', 'v1.4'],
  unstable_features: {
    'com.beeper.arbitrary_profile_meta': true,
    'com.beeper.batch_sending': true,
    'fi.mau.msc2246.stable': true,
    'fi.mau.msc2659.stable': true,
    'org.matrix.msc3916.stable': true,
    'org.matrix.msc4190': true,
    'uk.tcpip.msc4133': true,
    'uk.tcpip.msc4133.stable': true,
  },
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#capabilities-negotiation */
export const capabilities = answered({
  capabilities: {
    'm.change_password': { enabled: false },
    'm.room_versions': { default: '11', available: { '10': 'stable', '11': 'stable' } },
    'm.set_displayname': { enabled: true },
    'm.set_avatar_url': { enabled: true },
    'm.profile_fields': { enabled: true },
    'm.3pid_changes': { enabled: false },
    'm.get_login_token': { enabled: false },
  },
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3accountwhoami */
export function whoami({ userId, deviceId }: Call): JsonObject {
  const user = { user_id: userId, is_guest: false }
  return deviceId === undefined ? user : { ...user, device_id: deviceId }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3login */
export const loginFlows = answered({ flows: [{ type: APPSERVICE_LOGIN }] })

const device = z.object({
  device_id: z.string().min(1).max(255).optional(),
  initial_device_display_name: z.string().max(255).optional(),
})

const registration = device.extend({
  type: z.string().optional(),
  username: z.string().optional(),
  inhibit_login: z.boolean().optional(),
})

/**
 * Only appservices register users, each in its own namespace.
 * @see https://spec.matrix.org/v1.12/application-service-api/#server-admin-style-permissions
 */
export async function register(call: OpenCall): Promise<JsonObject> {
  const { core } = call
  const appservice = requireAppservice(call)
  const body = await readBody(call, registration)
  if (body.type !== APPSERVICE_LOGIN) throw forbidden(NO_REGISTRATION)
  if (body.username === undefined) throw new MatrixError(400, 'M_MISSING_PARAM', 'Missing field: username')
  if (!isValidLocalpart(body.username, core.serverName))
    throw new MatrixError(400, 'M_INVALID_USERNAME', 'A username may contain only a-z, 0-9 and ._=-/+')
  const userId = `@${body.username}:${core.serverName}`
  if (!appservice.namespaces.has('users', userId) || core.appservices.isClaimed('users', userId, appservice))
    throw new MatrixError(400, 'M_EXCLUSIVE', `${userId} is not in this application service's namespace`)
  const device = body.inhibit_login === true ? undefined : newDevice(body)
  const now = core.clock.now()
  await core.commit(() => {
    if (core.users.profile(userId)) throw new MatrixError(400, 'M_USER_IN_USE', 'This user id is taken')
    core.users.insert(userId, now)
    if (device) core.users.logIn(userId, device.id, device.name, tokenHash(device.token), now)
  })
  return signedIn(core, userId, device)
}

const login = device.extend({
  type: z.string(),
  identifier: z.object({ type: z.string(), user: z.string() }).optional(),
  user: z.string().optional(),
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#appservice-login */
export async function logIn(call: OpenCall): Promise<JsonObject> {
  const { core } = call
  const appservice = requireAppservice(call)
  const body = await readBody(call, login)
  if (body.type !== APPSERVICE_LOGIN) throw forbidden('Login is only open to application services')
  const user = body.identifier?.user ?? body.user
  if (user === undefined) throw new MatrixError(400, 'M_MISSING_PARAM', 'Missing field: identifier.user')
  const userId = user.startsWith('@') ? user : `@${user}:${core.serverName}`
  if (!appservice.namespaces.has('users', userId) || !core.userExists(userId))
    throw forbidden(`${userId} is no user of this application service`)
  const device = newDevice(body)
  const now = core.clock.now()
  await core.commit(() => {
    if (!core.users.device(userId, device.id)) assertMayAddDevice(core, userId)
    core.users.logIn(userId, device.id, device.name, tokenHash(device.token), now)
  })
  core.sessions.clear()
  return signedIn(core, userId, device)
}

function signedIn(core: Core, userId: string, device?: ReturnType<typeof newDevice>): JsonObject {
  const user = { user_id: userId, home_server: core.serverName }
  return device ? { ...user, access_token: device.token, device_id: device.id } : user
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3logout */
export async function logOut({ core, userId, deviceId }: Call): Promise<undefined> {
  if (deviceId !== undefined) await removeDevices(core, userId, [deviceId])
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3logoutall */
export async function logOutAll({ core, userId }: Call): Promise<undefined> {
  const deviceIds = core.users.devices(userId).map(device => device.device_id)
  await removeDevices(core, userId, deviceIds)
}

function newDevice({ device_id: id, initial_device_display_name: name }: z.infer<typeof device>) {
  return { id: id ?? randomId('', 9), name: name ?? null, token: randomId('mhs_', 32) }
}

/** Checked before the body, so that a stranger's body is never read. */
function requireAppservice(call: OpenCall): Appservice {
  const token = accessToken(call)
  const missing = 'Missing access token: this is only open to application services'
  if (!token) throw new MatrixError(401, 'M_MISSING_TOKEN', missing)
  const appservice = call.core.appservices.authenticate(token)
  if (!appservice) throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Unrecognised access token')
  return appservice
}
