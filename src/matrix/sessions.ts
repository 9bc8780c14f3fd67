/** Acts for an identity in Matrix. */
import { z } from 'zod'
import type { MatrixSession, MatrixSessions } from '../domain/ports.ts'
import type { JsonCall } from './http-api.ts'
import type { CallOptions, MatrixCalls } from './matrix-calls.ts'
import { roomEventSchema, roomEvents } from './room-event.ts'

const eventIdAnswer = z.object({ event_id: z.string() })
const eventIdsAnswer = z.object({ event_ids: z.tuple([z.string()], z.string()) })
const roomIdAnswer = z.object({ room_id: z.string() })
const uploadAnswer = z.object({ content_uri: z.string().startsWith('mxc://') })
const messagesAnswer = z.object({ chunk: z.array(z.unknown()), end: z.string().optional() })
/** As bridgev2 sets it (mautrix-go, bridgev2/ghost.go and matrixinterface.go). */
const profileAnswer = z.object({
  'com.beeper.bridge.identifiers': z.array(z.string()).default([]),
})

const MEDIA_DOWNLOAD_PREFIX = '/_matrix/client/v1'
const MEDIA_UPLOAD_PREFIX = '/_matrix/media/v3'
/** Extensions of the embedded homeserver (homeserver/endpoints/send.ts). */
const EXTENSIONS_PREFIX = '/_matrix/client/unstable/org.meshgate'

/**
 * Marks sends to a homeserver that may forget transaction ids, so that a repeat finds them in the
 * room. Synapse keeps an application service's for half an hour, and loses them at a restart.
 */
const TRANSACTION_FIELD = 'org.meshgate.transaction_id'
/** Whoever sends waits for a rate limit by itself, with other work meanwhile. */
const WAITING_BY_ITSELF = { patienceMs: 0 }
/** Far more than one sends to a room between a try and its repeat. */
const OWN_EVENTS_LOOKED_AT = 100

/** @param isOurs the embedded homeserver, which keeps transactions and takes events together */
export function createMatrixSessions(calls: MatrixCalls, isOurs: boolean): MatrixSessions {
  return {
    actingAs: userId => createSession(calls, userId, isOurs),
    accountTrouble: userId => calls.trouble(userId),
  }
}

function createSession(calls: MatrixCalls, userId: string, isOurs: boolean): MatrixSession {
  /** @param what completes "the homeserver refused to …" */
  async function ask<T>(
    answer: z.ZodType<T>,
    what: string,
    call: JsonCall,
    options?: CallOptions,
  ): Promise<T> {
    return answer.parse(await calls.json(userId, what, call, options))
  }

  /** @returns the event of an earlier call, null when it never came to the homeserver */
  async function sentBefore(roomId: string, type: string, txnId: string): Promise<string | null> {
    const filter = JSON.stringify({ senders: [userId], types: [type] })
    const query = { dir: 'b', limit: String(OWN_EVENTS_LOOKED_AT), filter }
    const call: JsonCall = { method: 'GET', path: `${roomPath(roomId)}/messages`, query }
    const { chunk } = await ask(messagesAnswer, 'see what was sent already', call)
    const sent = roomEvents(chunk, roomId).find(({ content }) => content[TRANSACTION_FIELD] === txnId)
    return sent?.event_id ?? null
  }

  return {
    userId,

    async send(roomId, type, plain, txnId, isRepeat) {
      const isMarked = !isOurs && isRepeat !== undefined
      const known = isMarked && isRepeat ? await sentBefore(roomId, type, txnId) : null
      if (known !== null) return known
      const content = isMarked ? { ...plain, [TRANSACTION_FIELD]: txnId } : plain
      const path = `${roomPath(roomId)}/send/${encodeURIComponent(type)}/${encodeURIComponent(txnId)}`
      const call: JsonCall = { method: 'PUT', path, body: content }
      return (await ask(eventIdAnswer, 'send the message', call, WAITING_BY_ITSELF)).event_id
    },

    ...(isOurs && {
      async sendTogether(roomId, type, events) {
        const path = `${roomPath(roomId)}/send/${encodeURIComponent(type)}`
        const body = { events: events.map(({ txnId, content }) => ({ txn_id: txnId, content })) }
        const call: JsonCall = { method: 'POST', path, body, prefix: EXTENSIONS_PREFIX }
        return (await ask(eventIdsAnswer, 'send the messages', call, WAITING_BY_ITSELF)).event_ids
      },
    }),

    async redact(roomId, eventId, txnId, isRepeat) {
      const isMarked = !isOurs && isRepeat !== undefined
      const known = isMarked && isRepeat ? await sentBefore(roomId, 'm.room.redaction', txnId) : null
      if (known !== null) return known
      const path = `${roomPath(roomId)}/redact/${encodeURIComponent(eventId)}/${encodeURIComponent(txnId)}`
      const call: JsonCall = { method: 'PUT', path, body: isMarked ? { [TRANSACTION_FIELD]: txnId } : {} }
      // Whoever tells if it is a repeat repeats it by itself.
      const options = isRepeat === undefined ? undefined : WAITING_BY_ITSELF
      return (await ask(eventIdAnswer, 'take the message back', call, options)).event_id
    },

    async sendState(roomId, type, stateKey, content) {
      const path = `${roomPath(roomId)}/state/${encodeURIComponent(type)}/${encodeURIComponent(stateKey)}`
      const call: JsonCall = { method: 'PUT', path, body: content }
      return (await ask(eventIdAnswer, 'change the chat', call, WAITING_BY_ITSELF)).event_id
    },

    async readUpTo(roomId, eventId) {
      const path = `${roomPath(roomId)}/receipt/m.read/${encodeURIComponent(eventId)}`
      await calls.json(userId, 'mark as read', { method: 'POST', path, body: {} }, WAITING_BY_ITSELF)
    },

    async typing(roomId, timeoutMs) {
      const path = `${roomPath(roomId)}/typing/${encodeURIComponent(userId)}`
      const body = timeoutMs === null ? { typing: false } : { typing: true, timeout: timeoutMs }
      await calls.json(userId, 'show you as typing', { method: 'PUT', path, body }, WAITING_BY_ITSELF)
    },

    async upload(path, fileName, mimeType) {
      const response = await calls.raw(userId, 'upload the file', {
        method: 'POST',
        path: '/upload',
        prefix: MEDIA_UPLOAD_PREFIX,
        query: { filename: fileName },
        headers: { 'Content-Type': mimeType },
        // A BunFile is read as it is sent; the SDK's upload would hold it in memory.
        body: () => Bun.file(path),
      })
      return uploadAnswer.parse(await response.json()).content_uri
    },

    download(mxcUri) {
      const path = `/media/download/${mxcUri.slice('mxc://'.length).split('/').map(encodeURIComponent).join('/')}`
      const call = { method: 'GET', path, prefix: MEDIA_DOWNLOAD_PREFIX, isStream: true } as const
      return calls.raw(userId, 'download the file', call)
    },

    async join(roomId) {
      const call: JsonCall = { method: 'POST', path: `${roomPath(roomId)}/join`, body: {} }
      await calls.json(userId, 'join the room', call)
    },

    async createDirectRoom(invitee) {
      const body = { preset: 'trusted_private_chat', is_direct: true, invite: [invitee] }
      const call: JsonCall = { method: 'POST', path: '/createRoom', body }
      return (await ask(roomIdAnswer, 'create a room', call)).room_id
    },

    async state(roomId) {
      const call: JsonCall = { method: 'GET', path: `${roomPath(roomId)}/state` }
      return roomEvents(await ask(z.array(z.unknown()), "read the room's state", call), roomId)
    },

    async event(roomId, eventId) {
      const path = `${roomPath(roomId)}/event/${encodeURIComponent(eventId)}`
      return ask(roomEventSchema, 'show an event', { method: 'GET', path })
    },

    async identifiersOf(user) {
      const call: JsonCall = { method: 'GET', path: `/profile/${encodeURIComponent(user)}` }
      const answer = await ask(profileAnswer, 'show the profile of a user', call)
      return answer['com.beeper.bridge.identifiers']
    },

    async messagesBackwards(roomId, limit, from) {
      const query = { dir: 'b', limit: String(limit), ...(from === undefined ? {} : { from }) }
      const call: JsonCall = { method: 'GET', path: `${roomPath(roomId)}/messages`, query }
      const answer = await ask(messagesAnswer, "read the room's messages", call)
      return { events: roomEvents(answer.chunk, roomId), next: answer.end ?? null }
    },
  }
}

function roomPath(roomId: string): string {
  return `/rooms/${encodeURIComponent(roomId)}`
}
