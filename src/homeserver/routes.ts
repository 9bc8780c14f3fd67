/** The whole client-server API as a table. */
import type { Answer, Handler } from './call.ts'
import type { Core } from './core.ts'
import {
  capabilities,
  logIn,
  loginFlows,
  logOut,
  logOutAll,
  register,
  versions,
  whoami,
} from './endpoints/account.ts'
import {
  deleteTag,
  getAccountData,
  getFilter,
  getTags,
  postFilter,
  putAccountData,
  putTag,
} from './endpoints/account-data.ts'
import { ping } from './endpoints/appservice-ping.ts'
import { createRoom } from './endpoints/create-room.ts'
import { deleteDevice, deleteDevices, getDevice, listDevices, putDevice } from './endpoints/devices.ts'
import {
  deleteAlias,
  getAlias,
  publicRooms,
  putAlias,
  putRoomVisibility,
  roomAliases,
  roomVisibility,
} from './endpoints/directory.ts'
import { getHierarchy } from './endpoints/hierarchy.ts'
import { getContext, getEvent, getMessages, getRelations, getThreads } from './endpoints/history.ts'
import {
  claimKeys,
  keyChanges,
  queryKeys,
  uploadCrossSigning,
  uploadKeys,
  uploadSignatures,
} from './endpoints/keys.ts'
import { createMedia, download, mediaConfig, upload, uploadReserved } from './endpoints/media.ts'
import { ban, forget, invite, join, joinedRooms, kick, knock, leave, unban } from './endpoints/membership.ts'
import {
  absent,
  NO_REGISTRATION,
  notifications,
  pushers,
  refused,
  setPusher,
  thirdPartyIdDenied,
  thirdPartyIds,
  thirdPartyProtocols,
  turnServer,
  unknownRefreshToken,
  urlPreview,
  whois,
} from './endpoints/nothing-here.ts'
import { getPresence, putPresence } from './endpoints/presence.ts'
import {
  getAvatar,
  getDisplayname,
  getProfile,
  putAvatar,
  putDisplayname,
  searchUsers,
} from './endpoints/profile.ts'
import {
  deletePushRule,
  getGlobalPushRules,
  getPushRule,
  getPushRuleField,
  getPushRules,
  putPushRule,
  putPushRuleField,
} from './endpoints/push-rules.ts'
import { getJoinedMembers, getMembers, getState, getStateEvent } from './endpoints/read-state.ts'
import { postReadMarkers, postReceipt, putTyping } from './endpoints/receipts.ts'
import { putState, redact, send } from './endpoints/send.ts'
import { sync } from './endpoints/sync.ts'
import { sendToDevice } from './endpoints/to-device.ts'
import { Router } from './router.ts'

type Route = readonly [method: string, path: string, handler: Handler]

/** Answers any requester, with an account or without. */
type OpenHandler = (core: Core, request: Request, query: URLSearchParams) => Answer | Promise<Answer>
type OpenRoute = readonly [method: string, path: string, handler: OpenHandler]

/** A route's handler and who may call it. */
export type Endpoint = { isOpen: true; handler: OpenHandler } | { isOpen: false; handler: Handler }

const noBackup = absent('This server keeps no backups of keys')
const noNetwork = absent('This server knows no third-party networks')
const noSignOn = absent('This server has no single sign-on, and no pages for it')
const onlySync = absent('This server tells what is new only by /sync')
const noChangeOfAccount = refused('Accounts of this server have no passwords, addresses or numbers')

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
  ['PUT', '/directory/list/room/{roomId}', putRoomVisibility],
  ['PUT', '/directory/list/appservice/{networkId}/{roomId}', putRoomVisibility],
  ['GET', '/publicRooms', publicRooms],
  ['POST', '/publicRooms', publicRooms],
  ['GET', '/rooms/{roomId}/state', getState],
  ['GET', '/rooms/{roomId}/state/{eventType}', getStateEvent],
  ['GET', '/rooms/{roomId}/state/{eventType}/{stateKey}', getStateEvent],
  ['GET', '/rooms/{roomId}/members', getMembers],
  ['GET', '/rooms/{roomId}/joined_members', getJoinedMembers],
  ['GET', '/rooms/{roomId}/messages', getMessages],
  ['GET', '/rooms/{roomId}/event/{eventId}', getEvent],
  ['GET', '/rooms/{roomId}/context/{eventId}', getContext],
  ['POST', '/rooms/{roomId}/receipt/{receiptType}/{eventId}', postReceipt],
  ['POST', '/rooms/{roomId}/read_markers', postReadMarkers],
  ['PUT', '/rooms/{roomId}/typing/{userId}', putTyping],
  ['GET', '/sync', sync],
  ['POST', '/user/{userId}/filter', postFilter],
  ['GET', '/user/{userId}/filter/{filterId}', getFilter],
  ['GET', '/user/{userId}/account_data/{type}', getAccountData],
  ['PUT', '/user/{userId}/account_data/{type}', putAccountData],
  ['GET', '/user/{userId}/rooms/{roomId}/account_data/{type}', getAccountData],
  ['PUT', '/user/{userId}/rooms/{roomId}/account_data/{type}', putAccountData],
  ['GET', '/user/{userId}/rooms/{roomId}/tags', getTags],
  ['PUT', '/user/{userId}/rooms/{roomId}/tags/{tag}', putTag],
  ['DELETE', '/user/{userId}/rooms/{roomId}/tags/{tag}', deleteTag],
  ['GET', '/presence/{userId}/status', getPresence],
  ['PUT', '/presence/{userId}/status', putPresence],
  ['GET', '/pushrules', getPushRules],
  ['GET', '/pushrules/', getPushRules],
  ['GET', '/pushrules/global', getGlobalPushRules],
  ['GET', '/pushrules/global/', getGlobalPushRules],
  ['GET', '/pushrules/global/{kind}/{ruleId}', getPushRule],
  ['PUT', '/pushrules/global/{kind}/{ruleId}', putPushRule],
  ['DELETE', '/pushrules/global/{kind}/{ruleId}', deletePushRule],
  ['GET', '/pushrules/global/{kind}/{ruleId}/enabled', getPushRuleField],
  ['PUT', '/pushrules/global/{kind}/{ruleId}/enabled', putPushRuleField],
  ['GET', '/pushrules/global/{kind}/{ruleId}/actions', getPushRuleField],
  ['PUT', '/pushrules/global/{kind}/{ruleId}/actions', putPushRuleField],
  ['GET', '/voip/turnServer', turnServer],
  ['GET', '/thirdparty/protocols', thirdPartyProtocols],
  ['GET', '/thirdparty/protocol/{protocol}', noNetwork],
  ['GET', '/thirdparty/location', noNetwork],
  ['GET', '/thirdparty/location/{protocol}', noNetwork],
  ['GET', '/thirdparty/user', noNetwork],
  ['GET', '/thirdparty/user/{protocol}', noNetwork],
  ['GET', '/pushers', pushers],
  ['POST', '/pushers/set', setPusher],
  ['GET', '/notifications', notifications],
  ['GET', '/account/3pid', thirdPartyIds],
  ['POST', '/account/3pid', noChangeOfAccount],
  ['POST', '/account/3pid/add', noChangeOfAccount],
  ['POST', '/account/3pid/bind', noChangeOfAccount],
  ['POST', '/account/3pid/delete', noChangeOfAccount],
  ['POST', '/account/3pid/unbind', noChangeOfAccount],
  ['POST', '/account/deactivate', refused('Only who runs this server removes accounts')],
  ['GET', '/admin/whois/{userId}', whois],
  ['POST', '/user/{userId}/openid/request_token', refused('This server vouches for nobody elsewhere')],
  ['POST', '/search', refused('This server searches no messages')],
  ['POST', '/rooms/{roomId}/report/{eventId}', refused('Nobody reads reports on this server')],
  ['POST', '/rooms/{roomId}/upgrade', refused('This server upgrades no rooms')],
  ['GET', '/rooms/{roomId}/initialSync', onlySync],
  ['GET', '/initialSync', onlySync],
  ['GET', '/events', onlySync],
  ['GET', '/events/{eventId}', absent('Unknown event')],
  ['GET', '/room_keys/version', noBackup],
  ['POST', '/room_keys/version', refused('This server keeps no backups of keys')],
  ...['/version/{version}', '/keys', '/keys/{roomId}', '/keys/{roomId}/{sessionId}'].flatMap(path =>
    ['GET', 'PUT', 'DELETE'].map((method): Route => [method, `/room_keys${path}`, noBackup]),
  ),
  ['POST', '/keys/upload', uploadKeys],
  ['POST', '/keys/query', queryKeys],
  ['POST', '/keys/claim', claimKeys],
  ['GET', '/keys/changes', keyChanges],
  ['POST', '/keys/device_signing/upload', uploadCrossSigning],
  ['POST', '/keys/signatures/upload', uploadSignatures],
  ['PUT', '/sendToDevice/{eventType}/{txnId}', sendToDevice],
]

/** Paths below /_matrix/client/v3 that clients need before they have an account. */
const OPEN_V3: readonly OpenRoute[] = [
  ['GET', '/login', loginFlows],
  ['POST', '/login', logIn],
  ['GET', '/login/sso/redirect', noSignOn],
  ['GET', '/login/sso/redirect/{idpId}', noSignOn],
  ['GET', '/auth/{authType}/fallback/web', noSignOn],
  ['POST', '/auth/{authType}/fallback/web', noSignOn],
  ['POST', '/refresh', unknownRefreshToken],
  ['POST', '/register', register],
  ['GET', '/register/available', refused(NO_REGISTRATION)],
  ['POST', '/account/password', noChangeOfAccount],
  ...['/register', '/account/password', '/account/3pid'].flatMap(path =>
    ['email', 'msisdn'].map(
      (medium): OpenRoute => ['POST', `${path}/${medium}/requestToken`, thirdPartyIdDenied],
    ),
  ),
]

const OPEN: readonly OpenRoute[] = [
  ['GET', '/_matrix/client/versions', versions],
  ['GET', '/_matrix/client/v1/register/m.login.registration_token/validity', refused(NO_REGISTRATION)],
  ['GET', '/_matrix/static/client/login/', noSignOn],
]

/** Paths that stand alone. */
const OTHERS: readonly Route[] = [
  ['POST', '/_matrix/client/v1/appservice/{appserviceId}/ping', ping],
  ['GET', '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}', getRelations],
  ['GET', '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}', getRelations],
  ['GET', '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}', getRelations],
  ['GET', '/_matrix/client/v1/rooms/{roomId}/threads', getThreads],
  ['GET', '/_matrix/client/v1/rooms/{roomId}/hierarchy', getHierarchy],
  ['GET', '/_matrix/client/v1/media/config', mediaConfig],
  ['GET', '/_matrix/client/v1/media/preview_url', urlPreview],
  ['GET', '/_matrix/client/v1/media/download/{serverName}/{mediaId}', download],
  ['GET', '/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}', download],
  ['GET', '/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}', download],
  ['POST', '/_matrix/media/v1/create', createMedia],
]

/** Paths below /_matrix/media/v3 and /r0, the legacy place of media; here they need an account. */
const MEDIA_V3: readonly Route[] = [
  ['GET', '/config', mediaConfig],
  ['GET', '/preview_url', urlPreview],
  ['POST', '/upload', upload],
  ['PUT', '/upload/{serverName}/{mediaId}', uploadReserved],
  ['GET', '/download/{serverName}/{mediaId}', download],
  ['GET', '/download/{serverName}/{mediaId}/{fileName}', download],
  ['GET', '/thumbnail/{serverName}/{mediaId}', download],
]

export function createRouter(): Router<Endpoint> {
  const router = new Router<Endpoint>()
  const add = (routes: readonly Route[], base = '') => {
    for (const [method, path, handler] of routes) router.add(method, base + path, { isOpen: false, handler })
  }
  const addOpen = (routes: readonly OpenRoute[], base = '') => {
    for (const [method, path, handler] of routes) router.add(method, base + path, { isOpen: true, handler })
  }
  for (const version of ['v3', 'r0']) {
    add(V3, `/_matrix/client/${version}`)
    addOpen(OPEN_V3, `/_matrix/client/${version}`)
    add(MEDIA_V3, `/_matrix/media/${version}`)
  }
  add(OTHERS)
  addOpen(OPEN)
  return router
}
