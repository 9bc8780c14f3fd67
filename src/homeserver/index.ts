/**
 * A small Matrix homeserver without federation: the client-server API for users of its appservices,
 * and pushing of events to these. It knows nothing of the program around it.
 */

import type { ForgottenRows } from '../lib/aged-rows.ts'
import { isOutOfSpace } from '../lib/out-of-space.ts'
import { MalformedPath } from '../lib/path-router.ts'
import type { AppserviceRegistration } from './appservices.ts'
import { type Answer, accessToken, authenticate, isKnownToken } from './call.ts'
import { Core, type CoreOptions } from './core.ts'
import { pathOfUri, sweepUploads } from './endpoints/media.ts'
import { invalidParam, MatrixError, notFound, unrecognized } from './errors.ts'
import { randomId, tokenHash } from './identifiers.ts'
import { forgetMedia } from './media-retention.ts'
import { assertMaySpeak } from './puppets.ts'
import { Pusher } from './pusher.ts'
import { forgetEvents } from './retention.ts'
import { createRouter } from './routes.ts'

export type { AppserviceRegistration } from './appservices.ts'
export type HomeserverOptions = CoreOptions

export interface Homeserver {
  readonly serverName: string
  /** The whole client-server API; the request's path is /_matrix/… on any host. */
  fetch(request: Request): Promise<Response>
  /** True for an access token of a user or an appservice. */
  isRightToken(token: string): boolean
  /**
   * Idempotent by id: replaces tokens, url and namespaces, keeps the place in the queue. A new
   * appservice starts at the current end of the stream.
   */
  registerAppservice(registration: AppserviceRegistration): Promise<void>
  removeAppservice(id: string): Promise<void>
  /** Ids of every appservice that may use this server, including those of earlier runs. */
  appserviceIds(): string[]
  /** Path of an mxc:// URI's content, which never changes; null unless the URI is this server's. */
  pathOfMedia(mxcUri: string): string | null
  /**
   * Removes media older than `before` that no kept data names.
   * @param before in milliseconds since 1970
   * @param signal ends it early
   * @returns how many
   */
  forgetMedia(before: number, signal: AbortSignal): Promise<number>
  /** Removes leftovers of uploads cut off by a kill. Call it before the first request. */
  sweep(): Promise<void>
  /**
   * Forgets some old events.
   * @param after the position at which the last step ended
   * @param before in milliseconds since 1970
   */
  forget(after: number, before: number): Promise<ForgottenRows>
  /** Begins pushing to appservices. */
  start(): void
  /** Stops pushing to appservices; everything else goes on. */
  stopPushing(): Promise<void>
  /** Ends long polls and pushes without losing anything. */
  stop(): Promise<void>
}

export function createHomeserver(options: HomeserverOptions): Homeserver {
  return new EmbeddedHomeserver(new Core(options))
}

class EmbeddedHomeserver implements Homeserver {
  readonly serverName: string
  private readonly router = createRouter()
  private readonly pushers = new Map<number, Pusher>()
  private started = false

  constructor(private readonly core: Core) {
    this.serverName = core.serverName
    core.wakeAppservices = interest => {
      for (const num of interest.split(',')) this.pushers.get(Number(num))?.nudge()
    }
    core.wakeAllAppservices = () => {
      for (const pusher of this.pushers.values()) pusher.nudge()
    }
    core.resumeAppservice = num => this.pushers.get(num)?.resume()
  }

  async fetch(request: Request): Promise<Response> {
    try {
      const answer = await this.answer(request)
      return answer instanceof Response ? answer : Response.json(answer)
    } catch (error) {
      if (error instanceof MatrixError) return error.toResponse()
      if (error instanceof MalformedPath) return invalidParam(error.message).toResponse()
      if (isOutOfSpace(error))
        return new MatrixError(507, 'M_UNKNOWN', 'There is no space left to store this').toResponse()
      if (request.signal.aborted)
        return new MatrixError(400, 'M_UNKNOWN', 'The request was broken off').toResponse()
      this.core.logger.error({ error, method: request.method }, 'a Matrix request failed')
      return new MatrixError(500, 'M_UNKNOWN', 'Internal server error').toResponse()
    }
  }

  isRightToken(token: string): boolean {
    return isKnownToken(this.core, token)
  }

  private answer(request: Request): Answer | Promise<Answer> {
    const { path, query } = splitUrl(request.url)
    const match = this.router.find(request.method, path)
    if (!match) throw unrecognized(this.router.methodsOf(path).length > 0 ? 405 : 404)
    const { handler: endpoint, params } = match
    if (endpoint.isOpen) return endpoint.handler(this.core, request, query)
    if (isLegacyDownload(path) && !accessToken(request, query)) throw notFound('Media needs an access token')
    const requester = authenticate(this.core, request, query)
    const call = { core: this.core, request, params, query, requester }
    const answer = () => {
      assertMaySpeak(call, endpoint.isRoomless)
      return endpoint.handler(call)
    }
    const prepared = this.core.prepareRoom(params.roomId ?? params.roomIdOrAlias ?? params.roomAlias)
    return prepared === undefined ? answer() : prepared.then(answer)
  }

  async registerAppservice(registration: AppserviceRegistration): Promise<void> {
    const { core } = this
    const now = core.clock.now()
    const senderUserId = `@${registration.senderLocalpart}:${core.serverName}`
    const row = await core.commit(tx => {
      tx.wrote = true
      core.users.insert(senderUserId, now)
      return core.appserviceRows.upsert({
        id: registration.id,
        as_token_hash: tokenHash(registration.asToken),
        sender_localpart: registration.senderLocalpart,
        namespaces: JSON.stringify(registration.namespaces),
        receive_ephemeral: registration.receiveEphemeral ? 1 : 0,
        position: core.stream.position,
        txn_prefix: randomId('', 6),
      })
    })
    const { url, hsToken, deliver, untilReady } = registration
    core.appservices.put(row, { url, hsToken, deliver, untilReady })
    const known = this.pushers.get(row.num)
    if (known) known.resume()
    else {
      const pusher = new Pusher(core, row.num, row)
      this.pushers.set(row.num, pusher)
      if (this.started) pusher.start()
    }
  }

  async removeAppservice(id: string): Promise<void> {
    const { core } = this
    const appservice = core.appservices.remove(id)
    if (!appservice) return
    const pusher = this.pushers.get(appservice.num)
    this.pushers.delete(appservice.num)
    await pusher?.stop()
    await core.commit(tx => {
      tx.wrote = true
      core.appserviceRows.remove(id)
    })
  }

  appserviceIds(): string[] {
    return [...this.core.appservices.all()].map(appservice => appservice.id)
  }

  forgetMedia(before: number, signal: AbortSignal): Promise<number> {
    return forgetMedia(this.core, before, signal)
  }

  pathOfMedia(mxcUri: string): string | null {
    return pathOfUri(this.core, mxcUri)
  }

  sweep(): Promise<void> {
    return sweepUploads(this.core)
  }

  forget(after: number, before: number): Promise<ForgottenRows> {
    return forgetEvents(this.core, after, before)
  }

  start(): void {
    this.started = true
    for (const pusher of this.pushers.values()) pusher.start()
    this.core.profiles.start()
  }

  async stopPushing(): Promise<void> {
    await Promise.all([...this.pushers.values()].map(pusher => pusher.stop()))
  }

  async stop(): Promise<void> {
    this.core.stopping.abort()
    await Promise.all([this.core.profiles.stop(), this.stopPushing()])
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
