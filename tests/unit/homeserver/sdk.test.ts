/** matrix-js-sdk as the client: the server meets a real client's expectations. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Logger } from 'matrix-js-sdk/lib/logger.js'
import {
  ClientEvent,
  ClientPrefix,
  type IRequestOpts,
  MatrixClient,
  MemoryStore,
  Method,
  MsgType,
  Preset,
  RoomEvent,
  Visibility,
} from 'matrix-js-sdk/lib/matrix.js'
import { type Answer, bodies, serverWith, type TestServer, until, userId } from './harness.ts'

const silent: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  getChild: () => silent,
}

let server: TestServer
beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob')
})
afterAll(() => server.close())

function client(options: Partial<ConstructorParameters<typeof MatrixClient>[0]>): MatrixClient {
  return new MatrixClient({
    baseUrl: 'http://homeserver.internal',
    fetchFn: Object.assign(inProcess, { preconnect: fetch.preconnect }),
    logger: silent,
    ...options,
  })
}

const inProcess = (input: string | URL | Request, init?: RequestInit) =>
  server.hs.fetch(input instanceof Request ? input : new Request(input.toString(), init))

const masquerading = (localpart: string) =>
  client({ accessToken: 'as_gw', userId: userId(localpart), queryParams: { user_id: userId(localpart) } })

test('an appservice works through the SDK', async () => {
  const alice = masquerading('gw_alice')
  const bob = masquerading('gw_bob')
  expect((await alice.whoami()).user_id).toBe(userId('gw_alice'))
  expect(await alice.isVersionSupported('v1.4')).toBe(true)
  await alice.setDisplayName('Alice')
  const { room_id: roomId } = await alice.createRoom({
    name: 'SDK',
    preset: Preset.PrivateChat,
    visibility: Visibility.Private,
    invite: [userId('gw_bob')],
    is_direct: true,
  })
  await bob.http.authedRequest(Method.Post, `/join/${encodeURIComponent(roomId)}`, undefined, {})
  const sent = await alice.http.authedRequest<{ event_id: string }>(
    Method.Put,
    `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/sdk1`,
    undefined,
    { msgtype: MsgType.Text, body: 'from the SDK' },
  )
  await bob.http.authedRequest(
    Method.Post,
    `/rooms/${encodeURIComponent(roomId)}/receipt/m.read/${encodeURIComponent(sent.event_id)}`,
    undefined,
    {},
  )
  expect((await bob.getJoinedRooms()).joined_rooms).toContain(roomId)
  expect(Object.keys((await bob.getJoinedRoomMembers(roomId)).joined)).toHaveLength(2)
  expect((await bob.getProfileInfo(userId('gw_alice'))).displayname).toBe('Alice')
  expect((await bob.getStateEvent(roomId, 'm.room.name', '')).name).toBe('SDK')
  const uploaded = await alice.uploadContent(new Blob(['media']), { type: 'text/plain', name: 'a.txt' })
  const path = uploaded.content_uri.slice('mxc://'.length)
  const media = await bob.http.authedRequest<Blob>(
    Method.Get,
    `/media/download/${path}`,
    undefined,
    undefined,
    { prefix: ClientPrefix.V1, rawResponseBody: true } as IRequestOpts,
  )
  expect(await media.text()).toBe('media')
  const error = await bob.getStateEvent('!none:hs.test', 'm.room.name', '').catch((reason: unknown) => reason)
  expect(error).toMatchObject({ errcode: 'M_FORBIDDEN', httpStatus: 403 })
})

test('a client syncs, receives and answers', async () => {
  const { token, deviceId } = await server.logIn('gw_bob')
  const bob = client({ accessToken: token, userId: userId('gw_bob'), deviceId, store: new MemoryStore() })
  const seen: string[] = []
  bob.on(RoomEvent.Timeline, event => {
    if (event.getType() === 'm.room.message') seen.push(event.getContent().body)
  })
  let ready = false
  bob.on(ClientEvent.Sync, state => {
    if (state === 'SYNCING') ready = true
  })
  try {
    await bob.startClient({ initialSyncLimit: 5, lazyLoadMembers: true })
    await until(() => ready, 'the first sync')
    const roomId = await server.room('gw_alice', [], { invite: [userId('gw_bob')] })
    await until(() => bob.getRoom(roomId)?.getMyMembership() === 'invite', 'the invite')
    await bob.joinRoom(roomId)
    await until(() => bob.getRoom(roomId)?.getMyMembership() === 'join', 'the room')
    await server.send(roomId, 'gw_alice', 'hello bob')
    await until(() => seen.includes('hello bob'), 'the message')
    await bob.sendTextMessage(roomId, 'hello alice')
    const page: Answer = await server.call('GET', `/rooms/${roomId}/messages`, undefined, {
      as: 'gw_alice',
      query: { dir: 'b' },
    })
    expect(bodies(page.list('chunk'))).toEqual(['hello alice', 'hello bob'])
  } finally {
    bob.stopClient()
  }
})
