/** What an identity does in Matrix, through the application service that speaks for all of them. */
import { Method, parseErrorResponse } from 'matrix-js-sdk/lib/http-api/index.js'
import { z } from 'zod'
import type { MatrixSession, MatrixSessions, RoomEvent } from '../domain/ports.ts'
import { asGatewayError, createHttpApi, type HomeserverAddress, type HttpApi } from './http-api.ts'
import { roomEventSchema } from './room-event.ts'

const eventIdAnswer = z.object({ event_id: z.string() })
const roomIdAnswer = z.object({ room_id: z.string() })
const uploadAnswer = z.object({ content_uri: z.string().startsWith('mxc://') })
const messagesAnswer = z.object({ chunk: z.array(z.unknown()), end: z.string().optional() })

const MEDIA_DOWNLOAD_PREFIX = '/_matrix/client/v1'
const MEDIA_UPLOAD_PREFIX = '/_matrix/media/v3'

/**
 * @param asToken the application service's token; each call masquerades by `?user_id=` (application service API, "Identity
 *   assertion")
 */
export function createMatrixSessions(address: HomeserverAddress, asToken: string): MatrixSessions {
  const api = createHttpApi(address, asToken)
  return { actingAs: userId => createSession(api, address, asToken, userId) }
}

function createSession(
  api: HttpApi,
  address: HomeserverAddress,
  token: string,
  userId: string,
): MatrixSession {
  const send = address.fetch ?? ((request: Request) => fetch(request))

  async function call(
    what: string,
    method: Method,
    path: string,
    body?: Record<string, unknown>,
    query?: Record<string, string>,
  ) {
    try {
      return await api.authedRequest<unknown>(method, path, { user_id: userId, ...query }, body)
    } catch (error) {
      throw asGatewayError(error, what)
    }
  }

  return {
    userId,

    async send(roomId, type, content, txnId) {
      const path = `/rooms/${encodeURIComponent(roomId)}/send/${encodeURIComponent(type)}/${encodeURIComponent(txnId)}`
      return eventIdAnswer.parse(await call('send the message', Method.Put, path, content)).event_id
    },

    async upload(path, fileName, mimeType) {
      // A BunFile as the body is read in pieces as it is sent; the SDK's own upload would take it as JSON or a Blob in memory.
      const url = api.getUrl('/upload', { user_id: userId, filename: fileName }, MEDIA_UPLOAD_PREFIX)
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': mimeType }
      const response = await raw(
        'upload the file',
        new Request(url.href, { method: 'POST', headers, body: Bun.file(path) }),
      )
      return uploadAnswer.parse(await response.json()).content_uri
    },

    download(mxcUri) {
      const path = `/media/download/${mxcUri.slice('mxc://'.length).split('/').map(encodeURIComponent).join('/')}`
      const url = api.getUrl(path, { user_id: userId }, MEDIA_DOWNLOAD_PREFIX)
      return raw(
        'download the file',
        new Request(url.href, { headers: { Authorization: `Bearer ${token}` } }),
      )
    },

    async join(roomId) {
      await call('join the room', Method.Post, `/rooms/${encodeURIComponent(roomId)}/join`, {})
    },

    async createDirectRoom(invitee) {
      const body = { preset: 'trusted_private_chat', is_direct: true, invite: [invitee] }
      return roomIdAnswer.parse(await call('create a room', Method.Post, '/createRoom', body)).room_id
    },

    async state(roomId) {
      const answer = await call(
        "read the room's state",
        Method.Get,
        `/rooms/${encodeURIComponent(roomId)}/state`,
      )
      return roomEvents(z.array(z.unknown()).parse(answer), roomId)
    },

    async messagesBackwards(roomId, limit, from) {
      const query = { dir: 'b', limit: String(limit), ...(from === undefined ? {} : { from }) }
      const path = `/rooms/${encodeURIComponent(roomId)}/messages`
      const answer = messagesAnswer.parse(
        await call("read the room's messages", Method.Get, path, undefined, query),
      )
      return { events: roomEvents(answer.chunk, roomId), next: answer.end ?? null }
    },
  }

  /** A request with a body or an answer that must not be held in memory. */
  async function raw(what: string, request: Request): Promise<Response> {
    const response = await send(request).catch(error => {
      throw asGatewayError(error, what)
    })
    if (response.ok) return response
    throw asGatewayError(await matrixErrorOf(response), what)
  }
}

async function matrixErrorOf(response: Response): Promise<unknown> {
  return parseErrorResponse(response, await response.text())
}

/** Events that don't have the form of one are left out: a foreign event must not stop ours. */
function roomEvents(events: unknown[], roomId: string): RoomEvent[] {
  return events.flatMap(event => {
    const parsed = roomEventSchema.safeParse({ room_id: roomId, ...(event as object) })
    return parsed.success ? [parsed.data] : []
  })
}
