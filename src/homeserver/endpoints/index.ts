/** The whole client-server API as a table. */
import { PathRouter } from '../../lib/path-router.ts'
import type { Answer, Handler, OpenCall } from '../call.ts'
import { sync } from '../sync/sync.ts'
import * as account from './account.ts'
import * as accountData from './account-data.ts'
import { ping } from './appservice-ping.ts'
import { batchSend } from './batch-send.ts'
import { createRoom } from './create-room.ts'
import * as devices from './devices.ts'
import * as directory from './directory.ts'
import { getHierarchy } from './hierarchy.ts'
import * as history from './history.ts'
import * as keys from './keys.ts'
import * as media from './media.ts'
import * as membership from './membership.ts'
import * as nothing from './nothing-here.ts'
import * as profile from './profile.ts'
import * as pushRules from './push-rules.ts'
import * as receipts from './receipts.ts'
import * as sending from './send.ts'

/** Marks a call that neither names nor reveals a room, which a puppet may make, too. */
const ROOMLESS = true

type Route = readonly [method: string, path: string, handler: Handler, isRoomless?: true]

/** Answers any requester, with an account or without. */
type OpenHandler = (call: OpenCall) => Answer | Promise<Answer>
type OpenRoute = readonly [method: string, path: string, handler: OpenHandler]

/** A route's handler and who may call it. */
export type Endpoint =
  | { isOpen: true; handler: OpenHandler }
  | { isOpen: false; handler: Handler; isRoomless: boolean }

const { absent, refused } = nothing
const noBackup = absent('This server keeps no backups of keys')
const noNetwork = absent('This server knows no third-party networks')
const noSignOn = absent('This server has no single sign-on, and no pages for it')
const onlySync = absent('This server tells what is new only by /sync')
const noChangeOfAccount = refused('Accounts of this server have no passwords, addresses or numbers')

const PROFILE_FIELD: readonly Route[] = [
  ['GET', '/profile/:userId/:keyName', profile.getField, ROOMLESS],
  ['PUT', '/profile/:userId/:keyName', profile.putField],
  ['DELETE', '/profile/:userId/:keyName', profile.deleteField],
]

/** Paths below /_matrix/client/v3 (and /r0, its name in older versions). */
const V3: readonly Route[] = [
  ['GET', '/capabilities', account.capabilities, ROOMLESS],
  ['GET', '/account/whoami', account.whoami, ROOMLESS],
  ['POST', '/logout', account.logOut],
  ['POST', '/logout/all', account.logOutAll],
  ['GET', '/devices', devices.listDevices],
  ['GET', '/devices/:deviceId', devices.getDevice],
  ['PUT', '/devices/:deviceId', devices.putDevice],
  ['DELETE', '/devices/:deviceId', devices.deleteDevice],
  ['POST', '/delete_devices', devices.deleteDevices],
  ['GET', '/profile/:userId', profile.getProfile, ROOMLESS],
  ['PATCH', '/profile/:userId', profile.patchProfile],
  ...PROFILE_FIELD,
  ['POST', '/user_directory/search', profile.searchUsers],
  ['POST', '/createRoom', createRoom],
  ['POST', '/join/:roomIdOrAlias', membership.join],
  ['POST', '/knock/:roomIdOrAlias', membership.knock],
  ['POST', '/rooms/:roomId/join', membership.join],
  ['POST', '/rooms/:roomId/invite', membership.invite],
  ['POST', '/rooms/:roomId/leave', membership.leave],
  ['POST', '/rooms/:roomId/forget', membership.forget],
  ['POST', '/rooms/:roomId/kick', membership.kick],
  ['POST', '/rooms/:roomId/ban', membership.ban],
  ['POST', '/rooms/:roomId/unban', membership.unban],
  ['GET', '/joined_rooms', membership.joinedRooms, ROOMLESS],
  ['PUT', '/rooms/:roomId/send/:eventType/:txnId', sending.send],
  ['PUT', '/rooms/:roomId/state/:eventType', sending.putState],
  ['PUT', '/rooms/:roomId/state/:eventType/', sending.putState],
  ['PUT', '/rooms/:roomId/state/:eventType/:stateKey', sending.putState],
  ['PUT', '/rooms/:roomId/redact/:eventId/:txnId', sending.redact],
  ['GET', '/rooms/:roomId/aliases', directory.roomAliases],
  ['GET', '/directory/room/:roomAlias', directory.getAlias, ROOMLESS],
  ['PUT', '/directory/room/:roomAlias', directory.putAlias],
  ['DELETE', '/directory/room/:roomAlias', directory.deleteAlias],
  ['GET', '/directory/list/room/:roomId', directory.roomVisibility],
  ['PUT', '/directory/list/room/:roomId', directory.putRoomVisibility],
  ['PUT', '/directory/list/appservice/:networkId/:roomId', directory.putRoomVisibility],
  ['GET', '/publicRooms', directory.publicRooms, ROOMLESS],
  ['POST', '/publicRooms', directory.publicRooms, ROOMLESS],
  ['GET', '/rooms/:roomId/state', history.getState],
  ['GET', '/rooms/:roomId/state/:eventType', history.getStateEvent],
  ['GET', '/rooms/:roomId/state/:eventType/', history.getStateEvent],
  ['GET', '/rooms/:roomId/state/:eventType/:stateKey', history.getStateEvent],
  ['GET', '/rooms/:roomId/members', history.getMembers],
  ['GET', '/rooms/:roomId/joined_members', history.getJoinedMembers],
  ['GET', '/rooms/:roomId/messages', history.getMessages],
  ['GET', '/rooms/:roomId/event/:eventId', history.getEvent],
  ['GET', '/rooms/:roomId/context/:eventId', history.getContext],
  ['POST', '/rooms/:roomId/receipt/:receiptType/:eventId', receipts.postReceipt],
  ['POST', '/rooms/:roomId/read_markers', receipts.postReadMarkers],
  ['PUT', '/rooms/:roomId/typing/:userId', receipts.putTyping],
  ['GET', '/sync', sync, ROOMLESS],
  ['POST', '/user/:userId/filter', accountData.postFilter, ROOMLESS],
  ['GET', '/user/:userId/filter/:filterId', accountData.getFilter, ROOMLESS],
  ['GET', '/user/:userId/account_data/:type', accountData.getAccountData, ROOMLESS],
  ['PUT', '/user/:userId/account_data/:type', accountData.putAccountData, ROOMLESS],
  ['GET', '/user/:userId/rooms/:roomId/account_data/:type', accountData.getAccountData],
  ['PUT', '/user/:userId/rooms/:roomId/account_data/:type', accountData.putAccountData],
  ['GET', '/user/:userId/rooms/:roomId/tags', accountData.getTags],
  ['PUT', '/user/:userId/rooms/:roomId/tags/:tag', accountData.putTag],
  ['DELETE', '/user/:userId/rooms/:roomId/tags/:tag', accountData.deleteTag],
  ['GET', '/presence/:userId/status', nothing.getPresence, ROOMLESS],
  ['PUT', '/presence/:userId/status', nothing.putPresence, ROOMLESS],
  ['GET', '/pushrules', pushRules.getPushRules, ROOMLESS],
  ['GET', '/pushrules/', pushRules.getPushRules, ROOMLESS],
  ['GET', '/pushrules/global', pushRules.getGlobalPushRules],
  ['GET', '/pushrules/global/', pushRules.getGlobalPushRules],
  ['GET', '/pushrules/global/:kind/:ruleId', pushRules.getPushRule],
  ['PUT', '/pushrules/global/:kind/:ruleId', pushRules.putPushRule],
  ['DELETE', '/pushrules/global/:kind/:ruleId', pushRules.deletePushRule],
  ['GET', '/pushrules/global/:kind/:ruleId/enabled', pushRules.getPushRuleField],
  ['PUT', '/pushrules/global/:kind/:ruleId/enabled', pushRules.putPushRuleField],
  ['GET', '/pushrules/global/:kind/:ruleId/actions', pushRules.getPushRuleField],
  ['PUT', '/pushrules/global/:kind/:ruleId/actions', pushRules.putPushRuleField],
  ['GET', '/voip/turnServer', nothing.answered({})],
  ['GET', '/thirdparty/protocols', nothing.answered({})],
  ['GET', '/thirdparty/protocol/:protocol', noNetwork],
  ['GET', '/thirdparty/location', noNetwork],
  ['GET', '/thirdparty/location/:protocol', noNetwork],
  ['GET', '/thirdparty/user', noNetwork],
  ['GET', '/thirdparty/user/:protocol', noNetwork],
  ['GET', '/pushers', nothing.answered({ pushers: [] })],
  ['POST', '/pushers/set', nothing.setPusher],
  ['GET', '/notifications', nothing.answered({ notifications: [] })],
  ['GET', '/account/3pid', nothing.answered({ threepids: [] })],
  ['POST', '/account/3pid', noChangeOfAccount],
  ['POST', '/account/3pid/add', noChangeOfAccount],
  ['POST', '/account/3pid/bind', noChangeOfAccount],
  ['POST', '/account/3pid/delete', noChangeOfAccount],
  ['POST', '/account/3pid/unbind', noChangeOfAccount],
  ['POST', '/account/deactivate', refused('Only who runs this server removes accounts')],
  ['GET', '/admin/whois/:userId', nothing.whois],
  ['POST', '/user/:userId/openid/request_token', refused('This server vouches for nobody elsewhere')],
  ['POST', '/search', refused('This server searches no messages')],
  ['POST', '/rooms/:roomId/report/:eventId', refused('Nobody reads reports on this server')],
  ['POST', '/rooms/:roomId/upgrade', refused('This server upgrades no rooms')],
  ['GET', '/rooms/:roomId/initialSync', onlySync],
  ['GET', '/initialSync', onlySync],
  ['GET', '/events', onlySync],
  ['GET', '/events/:eventId', absent('Unknown event')],
  ['GET', '/room_keys/version', noBackup],
  ['POST', '/room_keys/version', refused('This server keeps no backups of keys')],
  ...['/version/:version', '/keys', '/keys/:roomId', '/keys/:roomId/:sessionId'].flatMap(path =>
    ['GET', 'PUT', 'DELETE'].map((method): Route => [method, `/room_keys${path}`, noBackup]),
  ),
  ['POST', '/keys/upload', keys.uploadKeys],
  ['POST', '/keys/query', keys.queryKeys],
  ['POST', '/keys/claim', keys.claimKeys],
  ['GET', '/keys/changes', keys.keyChanges],
  ['POST', '/keys/device_signing/upload', keys.uploadCrossSigning],
  ['POST', '/keys/signatures/upload', keys.uploadSignatures],
  ['PUT', '/sendToDevice/:eventType/:txnId', keys.sendToDevice],
]

/** Paths below /_matrix/client/v3 that clients need before they have an account. */
const OPEN_V3: readonly OpenRoute[] = [
  ['GET', '/login', account.loginFlows],
  ['POST', '/login', account.logIn],
  ['GET', '/login/sso/redirect', noSignOn],
  ['GET', '/login/sso/redirect/:idpId', noSignOn],
  ['GET', '/auth/:authType/fallback/web', noSignOn],
  ['POST', '/auth/:authType/fallback/web', noSignOn],
  ['POST', '/refresh', nothing.unknownRefreshToken],
  ['POST', '/register', account.register],
  ['GET', '/register/available', refused(nothing.NO_REGISTRATION)],
  ['POST', '/account/password', noChangeOfAccount],
  ...['/register', '/account/password', '/account/3pid'].flatMap(path =>
    ['email', 'msisdn'].map(
      (medium): OpenRoute => ['POST', `${path}/${medium}/requestToken`, nothing.thirdPartyIdDenied],
    ),
  ),
]

const OPEN: readonly OpenRoute[] = [
  ['GET', '/_matrix/client/versions', account.versions],
  [
    'GET',
    '/_matrix/client/v1/register/m.login.registration_token/validity',
    refused(nothing.NO_REGISTRATION),
  ],
  ['GET', '/_matrix/static/client/login/', noSignOn],
]

/** Paths that stand alone. */
const OTHERS: readonly Route[] = [
  ['POST', '/_matrix/client/v1/appservice/:appserviceId/ping', ping],
  ['GET', '/_matrix/client/v1/rooms/:roomId/relations/:eventId', history.getRelations],
  ['GET', '/_matrix/client/v1/rooms/:roomId/relations/:eventId/:relType', history.getRelations],
  ['GET', '/_matrix/client/v1/rooms/:roomId/relations/:eventId/:relType/:eventType', history.getRelations],
  ['GET', '/_matrix/client/v1/rooms/:roomId/threads', history.getThreads],
  ['GET', '/_matrix/client/v1/rooms/:roomId/hierarchy', getHierarchy],
  ['GET', '/_matrix/client/v1/media/config', media.mediaConfig, ROOMLESS],
  ['GET', '/_matrix/client/v1/media/preview_url', nothing.answered({})],
  ['GET', '/_matrix/client/v1/media/download/:serverName/:mediaId', media.download, ROOMLESS],
  ['GET', '/_matrix/client/v1/media/download/:serverName/:mediaId/:fileName', media.download, ROOMLESS],
  ['GET', '/_matrix/client/v1/media/thumbnail/:serverName/:mediaId', media.download, ROOMLESS],
  ['POST', '/_matrix/media/v1/create', media.createMedia, ROOMLESS],
  ['POST', '/_matrix/client/unstable/org.meshgate/rooms/:roomId/send/:eventType', sending.sendTogether],
  ['POST', '/_matrix/client/unstable/com.beeper.backfill/rooms/:roomId/batch_send', batchSend],
]

/** Paths below /_matrix/media/v3 and /r0, the legacy place of media; here they need an account. */
const MEDIA_V3: readonly Route[] = [
  ['GET', '/config', media.mediaConfig, ROOMLESS],
  ['GET', '/preview_url', nothing.answered({})],
  ['POST', '/upload', media.upload, ROOMLESS],
  ['PUT', '/upload/:serverName/:mediaId', media.uploadReserved, ROOMLESS],
  ['GET', '/download/:serverName/:mediaId', media.download, ROOMLESS],
  ['GET', '/download/:serverName/:mediaId/:fileName', media.download, ROOMLESS],
  ['GET', '/thumbnail/:serverName/:mediaId', media.download, ROOMLESS],
]

export function createRouter(): PathRouter<Endpoint> {
  const router = new PathRouter<Endpoint>()
  const add = (routes: readonly Route[], base = '') => {
    for (const [method, path, handler, isRoomless = false] of routes)
      router.add(method, base + path, { isOpen: false, handler, isRoomless })
  }
  const addOpen = (routes: readonly OpenRoute[], base = '') => {
    for (const [method, path, handler] of routes) router.add(method, base + path, { isOpen: true, handler })
  }
  for (const version of ['v3', 'r0']) {
    add(V3, `/_matrix/client/${version}`)
    addOpen(OPEN_V3, `/_matrix/client/${version}`)
    add(MEDIA_V3, `/_matrix/media/${version}`)
  }
  add(PROFILE_FIELD, '/_matrix/client/unstable/uk.tcpip.msc4133')
  add(OTHERS)
  addOpen(OPEN)
  return router
}
