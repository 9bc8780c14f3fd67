/** An application service's client-server API: one token, any of its users by `?user_id=`. */
import { z } from 'zod'
import { MatrixError } from '../../lib/matrix-error.ts'

export interface HomeserverConnection {
  serverName: string
  fetch(request: Request): Promise<Response>
  /** Local path of an mxc:// URI's file, if it is on this disk: one copy then serves both. */
  pathOfMedia?(mxcUri: string): string | null
}

const errorBody = z.object({ errcode: z.string().default('M_UNKNOWN'), error: z.string().default('') })
const eventsAnswer = z.object({ event_ids: z.array(z.string()).min(1) })
const versionsAnswer = z.object({ unstable_features: z.record(z.string(), z.boolean()).default({}) })
const joinedRoomsAnswer = z.object({ joined_rooms: z.array(z.string()) })
const anything = z.looseObject({})

interface CallBody {
  /** User the call acts as; the bridge's bot by default. */
  as?: string | undefined
  query?: Record<string, string> | undefined
  json?: unknown
  body?: { stream: ReadableStream; type: string; sizeBytes: number } | undefined
}

/** An event to send. */
export interface OutgoingEvent {
  roomId: string
  type: string
  /** The same id always gives the same event. */
  txnId: string
  content: Record<string, unknown>
  as?: string | undefined
  /** Time of the event in milliseconds since the Unix epoch; now by default. */
  sentAt?: number
}

const pathOf = (base: string, ...parts: string[]) => [base, ...parts.map(encodeURIComponent)].join('/')
const v3 = (...parts: string[]) => pathOf('/_matrix/client/v3', ...parts)

export type HomeserverClient = ReturnType<typeof createHomeserverClient>

export function createHomeserverClient(homeserver: HomeserverConnection, asToken: string) {
  const authorization = `Bearer ${asToken}`
  let features: Record<string, boolean> | undefined

  async function call(method: string, path: string, body: CallBody = {}): Promise<Record<string, unknown>> {
    const response = await homeserver.fetch(request(method, path, body))
    const text = await response.text()
    if (!response.ok) throw matrixError(response.status, text)
    return anything.parse(JSON.parse(text))
  }

  /** @returns the answer's field, which is a text */
  async function textOf(field: string, ...asked: Parameters<typeof call>): Promise<string> {
    return z.string().parse((await call(...asked))[field])
  }

  function request(method: string, path: string, { as, query, json, body }: CallBody): Request {
    const parameters = new URLSearchParams(query)
    if (as !== undefined) parameters.set('user_id', as)
    const suffix = parameters.size > 0 ? `?${parameters}` : ''
    const headers: Record<string, string> = { authorization }
    const init: RequestInit = { method, headers }
    if (json !== undefined) {
      headers['content-type'] = 'application/json'
      init.body = JSON.stringify(json)
    } else if (body) {
      headers['content-type'] = body.type
      headers['content-length'] = String(body.sizeBytes)
      init.body = body.stream
    }
    return new Request(`http://homeserver${path}${suffix}`, init)
  }

  return {
    serverName: homeserver.serverName,
    pathOfMedia: (mxcUri: string) => homeserver.pathOfMedia?.(mxcUri) ?? null,
    userId: (localpart: string) => `@${localpart}:${homeserver.serverName}`,

    /** Registers one of the bridge's users; an existing one is fine. */
    async register(localpart: string): Promise<void> {
      const json = { type: 'm.login.application_service', username: localpart, inhibit_login: true }
      await call('POST', v3('register'), { json }).catch(error => {
        if (!(error instanceof MatrixError) || error.errcode !== 'M_USER_IN_USE') throw error
      })
    },
    setDisplayName: (userId: string, displayname: string) =>
      call('PUT', v3('profile', userId, 'displayname'), { as: userId, json: { displayname } }),
    /** @param mxc of the picture; empty: none */
    setAvatar: (userId: string, mxc: string) =>
      call('PUT', v3('profile', userId, 'avatar_url'), { as: userId, json: { avatar_url: mxc } }),
    /** Sets fields of a user's profile, where the homeserver takes other ones than its own. */
    setProfile: (userId: string, json: Record<string, unknown>) =>
      call('PATCH', v3('profile', userId), { as: userId, json }).catch(error => {
        if (!(error instanceof MatrixError) || error.errcode !== 'M_UNRECOGNIZED') throw error
      }),
    createRoom: (json: Record<string, unknown>) => textOf('room_id', 'POST', v3('createRoom'), { json }),
    join: (roomId: string, as?: string) => call('POST', v3('rooms', roomId, 'join'), { as, json: {} }),
    leave: (roomId: string, as?: string) => call('POST', v3('rooms', roomId, 'leave'), { as, json: {} }),
    invite: (roomId: string, userId: string, as?: string) =>
      call('POST', v3('rooms', roomId, 'invite'), { as, json: { user_id: userId } }),
    async joinedRooms(): Promise<string[]> {
      return joinedRoomsAnswer.parse(await call('GET', v3('joined_rooms'))).joined_rooms
    },
    /** @returns the state event's content, or null when the room has none */
    state: (roomId: string, type: string, key: string) =>
      call('GET', v3('rooms', roomId, 'state', type, key)).catch(error => {
        if (error instanceof MatrixError && error.status === 404) return null
        throw error
      }),
    /** @param as who changes it; the bridge's bot by default */
    setState: (roomId: string, type: string, key: string, json: Record<string, unknown>, as?: string) =>
      call('PUT', v3('rooms', roomId, 'state', type, key), { as, json }),
    kick: (roomId: string, userId: string, as?: string) =>
      call('POST', v3('rooms', roomId, 'kick'), { as, json: { user_id: userId } }),
    /** @param timeoutMs how long it holds unless it is told again; 0: the user has stopped */
    setTyping: (roomId: string, as: string, timeoutMs: number) =>
      call('PUT', v3('rooms', roomId, 'typing', as), {
        as,
        json: timeoutMs === 0 ? { typing: false } : { typing: true, timeout: timeoutMs },
      }),
    send({ roomId, type, txnId, content, as, sentAt }: OutgoingEvent): Promise<string> {
      const query = sentAt === undefined ? undefined : { ts: String(sentAt) }
      const path = v3('rooms', roomId, 'send', type, txnId)
      return textOf('event_id', 'PUT', path, { as, query, json: content })
    },
    notice(roomId: string, txnId: string, body: string): Promise<string> {
      return this.send({ roomId, type: 'm.room.message', txnId, content: { msgtype: 'm.notice', body } })
    },
    /**
     * Sends events of one type as the bot, in one write of the embedded homeserver.
     * @returns how many of the first were sent. @throws MatrixError when the first is refused
     */
    async sendTogether(
      roomId: string,
      type: string,
      events: readonly Pick<OutgoingEvent, 'content' | 'txnId'>[],
    ): Promise<number> {
      const path = pathOf('/_matrix/client/unstable/org.meshgate', 'rooms', roomId, 'send', type)
      const json = { events: events.map(({ txnId, content }) => ({ txn_id: txnId, content })) }
      return eventsAnswer.parse(await call('POST', path, { json })).event_ids.length
    },
    /** True for a homeserver that takes history in batches. */
    async takesBatches(): Promise<boolean> {
      features ??= versionsAnswer.parse(await call('GET', '/_matrix/client/versions')).unstable_features
      return features['com.beeper.batch_sending'] === true
    },
    /** Sends history. @param isForward behind all that the room has; else before it */
    sendBatch: (roomId: string, events: readonly unknown[], isForward: boolean) =>
      call('POST', pathOf('/_matrix/client/unstable/com.beeper.backfill', 'rooms', roomId, 'batch_send'), {
        json: { events, forward: isForward, forward_if_no_messages: true, send_notification: false },
      }),
    redact: (roomId: string, eventId: string, txnId: string, as?: string) =>
      textOf('event_id', 'PUT', v3('rooms', roomId, 'redact', eventId, txnId), { as, json: {} }),
    markRead: (roomId: string, eventId: string, as: string) =>
      call('POST', v3('rooms', roomId, 'receipt', 'm.read', eventId), { as, json: {} }),
    /** @returns the file's mxc:// URI */
    upload: (file: Bun.BunFile, type: string, name: string) =>
      textOf('content_uri', 'POST', '/_matrix/media/v3/upload', {
        query: { filename: name },
        body: { stream: file.stream(), type, sizeBytes: file.size },
      }),
    /** @returns the answer; its body is the file, not yet read */
    async download(mxc: string): Promise<Response> {
      const parts = /^mxc:\/\/([^/]+)\/([^/]+)$/.exec(mxc)
      if (!parts) throw new MatrixError(404, 'M_NOT_FOUND', `M_NOT_FOUND (404): ${mxc} is no mxc:// URI`)
      const path = pathOf('/_matrix/client/v1/media/download', ...parts.slice(1))
      const response = await homeserver.fetch(request('GET', path, {}))
      if (!response.ok) throw matrixError(response.status, await response.text())
      return response
    },
  }
}

/** The homeserver's refusal; its message names code and status, for logs and notices. */
function matrixError(status: number, text: string): MatrixError {
  const refusal = (errcode: string, error: string) =>
    new MatrixError(status, errcode, `${errcode} (${status}): ${error}`)
  try {
    const { errcode, error } = errorBody.parse(JSON.parse(text))
    return refusal(errcode, error)
  } catch {
    return refusal('M_UNKNOWN', text.slice(0, 200))
  }
}
