/**
 * A small Matrix homeserver without federation: the client-server API for users of its appservices,
 * and pushing of events to these. It knows nothing of the program around it.
 *
 *     request ─▶ endpoints (all routes) ─▶ call (who asks?) ─▶ one endpoint ──┐ read
 *                                                                  │ write    ▼
 *                                             core.commit(tx ─▶ rooms) ──▶ rooms, store
 *                                                                  │ once it is on disk
 *                                                                  ▼
 *     long poll (sync) ◀── wakes ── stream ── wakes ──▶ appservices/pusher ─▶ appservice
 *
 * A write is synchronous work in the program's shared transaction; only its `tx` appends events.
 * `rooms`: rooms in use in memory, what their state allows, their history. `appservices`: who they
 * are, whom they speak for, and pushing to them. `sync`: the long poll and what it tells. `store`:
 * the SQL, one file for each group of tables. Whatever may be large is read in pages and answered
 * in pieces; `limits` bounds the rest.
 */

import { isOutOfSpace } from '../lib/error-codes.ts'
import { streamed } from '../lib/json-answer.ts'
import { MalformedPath } from '../lib/path-router.ts'
import type { AppserviceRegistration } from './appservices/appservices.ts'
import { assertMaySpeak } from './appservices/puppets.ts'
import { Pusher } from './appservices/pusher.ts'
import { type Answer, accessToken, authenticate, type Call, isKnownToken } from './call.ts'
import { Core, type CoreOptions } from './core.ts'
import { createRouter } from './endpoints/index.ts'
import { pathOfUri } from './endpoints/media.ts'
import { eraseRoom } from './erasure.ts'
import { invalidParam, MatrixError, notFound, unrecognized } from './errors.ts'
import { randomId, tokenHash } from './identifiers.ts'
import { forgetEvents, forgetMedia } from './retention.ts'
import type { AppserviceRow } from './store/appservices.ts'

export type { AppserviceRegistration } from './appservices/appservices.ts'

export type Homeserver = ReturnType<typeof createHomeserver>

export function createHomeserver(options: CoreOptions) {
  const core = new Core(options)
  const router = createRouter()
  const pushers = new Map<number, Pusher>()
  core.pushers = pushers
  let started = false

  function answer(request: Request): Answer | Promise<Answer> {
    const { path, query } = splitUrl(request.url)
    const open = { core, request, query }
    const match = router.find(request.method, path)
    if (!match) throw unrecognized(router.methodsOf(path).length > 0 ? 405 : 404)
    const { handler: endpoint, params } = match
    if (endpoint.isOpen) return endpoint.handler(open)
    if (isLegacyDownload(path) && !accessToken(open)) throw notFound('Media needs an access token')
    const call: Call = { ...open, params, ...authenticate(open) }
    const answered = () => {
      assertMaySpeak(call, endpoint.isRoomless)
      return endpoint.handler(call)
    }
    const roomId = core.roomIdOf(params.roomId ?? params.roomIdOrAlias ?? params.roomAlias ?? '')
    const prepared = roomId ? core.rooms.prepare(roomId) : undefined
    return prepared === undefined ? answered() : prepared.then(answered)
  }

  function refusalOf(error: unknown, request: Request): MatrixError {
    if (error instanceof MatrixError) return error
    if (error instanceof MalformedPath) return invalidParam(error.message)
    if (isOutOfSpace(error)) return new MatrixError(507, 'M_UNKNOWN', 'There is no space left to store this')
    if (request.signal.aborted) return new MatrixError(400, 'M_UNKNOWN', 'The request was broken off')
    core.logger.error({ error, method: request.method }, 'a Matrix request failed')
    return new MatrixError(500, 'M_UNKNOWN', 'Internal server error')
  }

  async function stopPushing(): Promise<void> {
    await Promise.all([...pushers.values()].map(pusher => pusher.stop()))
  }

  return {
    serverName: core.serverName,

    /** The whole client-server API; the request's path is /_matrix/… on any host. */
    async fetch(request: Request): Promise<Response> {
      try {
        const given = (await answer(request)) ?? {}
        if (given instanceof Response) return given
        return Symbol.asyncIterator in given ? await streamed(given) : Response.json(given)
      } catch (error) {
        return refusalOf(error, request).toResponse()
      }
    },

    /** True for an access token of a user or an appservice. */
    isRightToken: (token: string) => isKnownToken(core, token),

    /**
     * Idempotent by id: replaces tokens, url and namespaces, keeps the place in the queue. A new
     * appservice starts at the current end of the stream.
     */
    async registerAppservice(registration: AppserviceRegistration): Promise<void> {
      const now = core.clock.now()
      const senderUserId = `@${registration.senderLocalpart}:${core.serverName}`
      const row = await core.commit(() => {
        core.users.insert(senderUserId, now)
        return core.appserviceRows.upsert({
          id: registration.id,
          as_token_hash: tokenHash(registration.asToken),
          sender_localpart: registration.senderLocalpart,
          namespaces: JSON.stringify(registration.namespaces),
          receive_ephemeral: registration.receiveEphemeral ? 1 : 0,
          position: core.stream.position,
          txn_prefix: randomId('', 6),
        }) as AppserviceRow
      })
      core.appservices.put(row, registration)
      const known = pushers.get(row.num)
      if (known) {
        known.resume()
        return
      }
      const pusher = new Pusher(core, row)
      pushers.set(row.num, pusher)
      if (started) pusher.start()
    },

    async removeAppservice(id: string): Promise<void> {
      const appservice = core.appservices.remove(id)
      if (!appservice) return
      const pusher = pushers.get(appservice.num)
      pushers.delete(appservice.num)
      await pusher?.stop()
      await core.commit(() => core.appserviceRows.remove(id))
    },

    /** Ids of every appservice that may use this server, including those of earlier runs. */
    appserviceIds: () => [...core.appservices.all()].map(appservice => appservice.id),

    /** Path of an mxc:// URI's content, which never changes; null unless it is this server's. */
    pathOfMedia: (mxcUri: string) => pathOfUri(core, mxcUri),

    /**
     * Removes media older than `before` that no kept data names.
     * @param before in milliseconds since 1970
     * @param signal ends it early
     * @returns how many
     */
    forgetMedia: (before: number, signal: AbortSignal) => forgetMedia(core, before, signal),

    /** Removes leftovers of uploads cut off by a kill. Call it before the first request. */
    sweep: () => core.files.sweep(mediaId => core.media.find(mediaId) !== undefined),

    /**
     * Forgets some old events.
     * @param after the position at which the last step ended
     * @param before in milliseconds since 1970
     */
    forget: (after: number, before: number) => forgetEvents(core, after, before),

    /**
     * Forgets what was said in a room so far, with its media; the room stays.
     * @returns how many events stay, as an appservice hasn't fetched them
     */
    eraseRoom: (roomId: string) => eraseRoom(core, roomId),

    /** Begins pushing to appservices. */
    start(): void {
      started = true
      for (const pusher of pushers.values()) pusher.start()
      core.profiles.start()
    },

    /** Stops pushing to appservices; everything else goes on. */
    stopPushing,

    /** Ends long polls and pushes without losing anything. */
    async stop(): Promise<void> {
      core.stopping.abort()
      await Promise.all([core.profiles.stop(), stopPushing()])
    },
  }
}

/** Legacy downloads needed no account; here they find nothing without one. */
function isLegacyDownload(path: string): boolean {
  return /^\/_matrix\/media\/[^/]+\/(download|thumbnail)\//.test(path)
}

const NO_QUERY = new URLSearchParams()

/** Splits a URL into path and query; the URL parser would take as long as all other routing. */
function splitUrl(url: string): { path: string; query: URLSearchParams } {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const hash = url.indexOf('#', start)
  const whole = hash === -1 ? url.slice(start) : url.slice(start, hash)
  const question = whole.indexOf('?')
  if (question === -1) return { path: whole, query: NO_QUERY }
  return { path: whole.slice(0, question), query: new URLSearchParams(whole.slice(question + 1)) }
}
