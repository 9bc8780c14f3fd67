/** The whole client-server API as a table. */
import type { Handler } from './call.ts'
import { capabilities, logOut, logOutAll, whoami } from './endpoints/account.ts'
import { ping } from './endpoints/appservice-ping.ts'
import { createRoom } from './endpoints/create-room.ts'
import { deleteDevice, deleteDevices, getDevice, listDevices, putDevice } from './endpoints/devices.ts'
import {
  deleteAlias,
  getAlias,
  publicRooms,
  putAlias,
  roomAliases,
  roomVisibility,
} from './endpoints/directory.ts'
import { ban, forget, invite, join, joinedRooms, kick, knock, leave, unban } from './endpoints/membership.ts'
import {
  getAvatar,
  getDisplayname,
  getProfile,
  putAvatar,
  putDisplayname,
  searchUsers,
} from './endpoints/profile.ts'
import { putState, redact, send } from './endpoints/send.ts'
import { Router } from './router.ts'

type Route = readonly [method: string, path: string, handler: Handler]

/** Paths below /_matrix/client/v3 (and /r0, its name in older versions). */
const V3: readonly Route[] = [
  ['GET', '/capabilities', capabilities],
  ['GET', '/account/whoami', whoami],
  ['POST', '/logout', logOut],
  ['POST', '/logout/all', logOutAll],
  ['GET', '/devices', listDevices],
  ['GET', '/devices/{deviceId}', getDevice],
  ['PUT', '/devices/{deviceId}', putDevice],
  ['DELETE', '/devices/{deviceId}', deleteDevice],
  ['POST', '/delete_devices', deleteDevices],
  ['GET', '/profile/{userId}', getProfile],
  ['GET', '/profile/{userId}/displayname', getDisplayname],
  ['PUT', '/profile/{userId}/displayname', putDisplayname],
  ['GET', '/profile/{userId}/avatar_url', getAvatar],
  ['PUT', '/profile/{userId}/avatar_url', putAvatar],
  ['POST', '/user_directory/search', searchUsers],
  ['POST', '/createRoom', createRoom],
  ['POST', '/join/{roomIdOrAlias}', join],
  ['POST', '/knock/{roomIdOrAlias}', knock],
  ['POST', '/rooms/{roomId}/join', join],
  ['POST', '/rooms/{roomId}/invite', invite],
  ['POST', '/rooms/{roomId}/leave', leave],
  ['POST', '/rooms/{roomId}/forget', forget],
  ['POST', '/rooms/{roomId}/kick', kick],
  ['POST', '/rooms/{roomId}/ban', ban],
  ['POST', '/rooms/{roomId}/unban', unban],
  ['GET', '/joined_rooms', joinedRooms],
  ['PUT', '/rooms/{roomId}/send/{eventType}/{txnId}', send],
  ['PUT', '/rooms/{roomId}/state/{eventType}', putState],
  ['PUT', '/rooms/{roomId}/state/{eventType}/{stateKey}', putState],
  ['PUT', '/rooms/{roomId}/redact/{eventId}/{txnId}', redact],
  ['GET', '/rooms/{roomId}/aliases', roomAliases],
  ['GET', '/directory/room/{roomAlias}', getAlias],
  ['PUT', '/directory/room/{roomAlias}', putAlias],
  ['DELETE', '/directory/room/{roomAlias}', deleteAlias],
  ['GET', '/directory/list/room/{roomId}', roomVisibility],
  ['GET', '/publicRooms', publicRooms],
  ['POST', '/publicRooms', publicRooms],
]

/** Paths that stand alone. */
const OTHERS: readonly Route[] = [['POST', '/_matrix/client/v1/appservice/{appserviceId}/ping', ping]]

export function createRouter(): Router<Handler> {
  const router = new Router<Handler>()
  for (const [method, path, handler] of V3)
    for (const version of ['v3', 'r0']) router.add(method, `/_matrix/client/${version}${path}`, handler)
  for (const [method, path, handler] of OTHERS) router.add(method, path, handler)
  return router
}
