/**
 * The table of calls, in an order in which they can be made: how one authenticates, what each
 * takes, and whose object it is about.
 */
import type { Scope } from '../../../src/domain/scopes.ts'

/** Ids of a tenant's objects, as they stand in paths. */
export interface Things {
  device: string
  message: string
  chat: string
  action: string
  webhook: string
  link: string
  token: string
  credential: string
  media: string
  delivery: string
}

export interface Operation {
  auth: 'none' | 'basic' | 'bearer'
  /** With Basic. */
  scope?: Scope
  /** Which object it is about; left out: none, or the tenant's all. */
  about?: keyof Things
  /** Its answer is to be about the tenant's own alone. */
  lists?: boolean
  /** `admin`: whoever has the scope reaches every object, so there is none of another's. */
  reach?: 'admin'
  /** The answer about one's own. */
  ok?: number
  /** The answer about what isn't there; 404 by default. */
  absent?: number
  request?(things: Things): { path?: Record<string, string>; query?: Record<string, string>; json?: unknown }
}

const SEND = { platform: 'wa', contact: '49151000111', text: 'hello' }
let created = 0
const fresh = (name: string) => `${name}-${++created}`

const onWebhook = ({ webhook }: Things) => ({ path: { id: webhook } })
const onChat = ({ chat }: Things) => ({ path: { chat_id: chat } })
const onDevice = ({ device }: Things) => ({ path: { device_id: device } })

export const OPERATIONS: Record<string, Operation> = {
  'GET /health': { auth: 'none', ok: 200 },
  'GET /ready': { auth: 'none', ok: 200 },
  // Open to whoever asks from this machine, in development.
  'GET /metrics': { auth: 'none', ok: 200 },
  // A signed address is the permission; without one, existing and missing files look alike.
  'GET /api/v1/media/{id}': {
    auth: 'none',
    about: 'media',
    absent: 403,
    request: ({ media }) => ({
      path: { id: media },
      query: { expires: '4102444800', signature: 'f'.repeat(64) },
    }),
  },

  'GET /api/v1/avatars/{id}': {
    auth: 'none',
    about: 'media',
    absent: 403,
    request: ({ media }) => ({
      path: { id: media },
      query: { expires: '4102444800', signature: 'f'.repeat(64) },
    }),
  },

  'GET /api/v1/credentials': { auth: 'basic', scope: 'credentials:read:*', ok: 200 },
  'POST /api/v1/credentials': {
    auth: 'basic',
    scope: 'credentials:write:*',
    ok: 201,
    request: () => ({ json: { client_id: fresh('made') } }),
  },
  'PUT /api/v1/credentials/{client_id}': {
    auth: 'basic',
    scope: 'credentials:write:*',
    about: 'credential',
    reach: 'admin',
    ok: 200,
    request: ({ credential }) => ({ path: { client_id: credential }, json: { description: 'changed' } }),
  },

  'POST /api/v1/tokens': {
    auth: 'basic',
    scope: 'tokens:write:create',
    ok: 201,
    request: () => ({ json: {} }),
  },
  'GET /api/v1/tokens': { auth: 'basic', scope: 'tokens:read:*', lists: true, ok: 200 },

  'GET /api/v1/platforms': { auth: 'bearer', ok: 200 },
  'GET /api/v1/devices': { auth: 'bearer', lists: true, ok: 200 },
  'GET /api/v1/devices/qr-code': { auth: 'bearer', ok: 426 },
  'GET /api/v1/devices/links/{id}': {
    auth: 'bearer',
    about: 'link',
    lists: true,
    ok: 200,
    request: ({ link }) => ({ path: { id: link } }),
  },
  'GET /api/v1/devices/links/{id}/qr': {
    auth: 'bearer',
    about: 'link',
    ok: 200,
    request: ({ link }) => ({ path: { id: link }, query: { format: 'json' } }),
  },
  'POST /api/v1/devices/links/{id}': {
    auth: 'bearer',
    about: 'link',
    // A QR code asks for nothing.
    ok: 409,
    request: ({ link }) => ({ path: { id: link }, json: { inputs: { code: '1' } } }),
  },
  'DELETE /api/v1/devices/links/{id}': {
    auth: 'bearer',
    about: 'link',
    ok: 200,
    request: ({ link }) => ({ path: { id: link } }),
  },
  'POST /api/v1/devices': { auth: 'bearer', ok: 201, request: () => ({ json: { platform: 'telegram' } }) },
  'GET /api/v1/devices/{device_id}': {
    auth: 'bearer',
    about: 'device',
    lists: true,
    ok: 200,
    request: onDevice,
  },
  'PATCH /api/v1/devices/{device_id}': {
    auth: 'bearer',
    about: 'device',
    ok: 200,
    request: things => ({ ...onDevice(things), json: { name: 'Support' } }),
  },
  'GET /api/v1/devices/{device_id}/contacts': {
    auth: 'bearer',
    about: 'device',
    lists: true,
    ok: 200,
    request: onDevice,
  },
  'GET /api/v1/devices/{device_id}/contacts/{identifier}': {
    auth: 'bearer',
    about: 'device',
    ok: 200,
    request: ({ device }) => ({ path: { device_id: device, identifier: '4915111222333' } }),
  },
  'POST /api/v1/devices/{device_id}/contacts/check': {
    auth: 'bearer',
    about: 'device',
    ok: 200,
    request: things => ({ ...onDevice(things), json: { numbers: ['4915111222333'] } }),
  },
  'GET /api/v1/devices/{device_id}/groups': {
    auth: 'bearer',
    about: 'device',
    lists: true,
    ok: 200,
    request: onDevice,
  },

  'GET /api/v1/messages/search': {
    auth: 'bearer',
    lists: true,
    ok: 200,
    request: () => ({ query: { query: 'by' } }),
  },
  'GET /api/v1/chats': { auth: 'bearer', lists: true, ok: 200 },
  'GET /api/v1/chats/{chat_id}': { auth: 'bearer', about: 'chat', lists: true, ok: 200, request: onChat },
  // A chat that is gone would be missed by the others: it is erased in a test of its own.
  'DELETE /api/v1/chats/{chat_id}': { auth: 'bearer', about: 'chat', request: onChat },
  'GET /api/v1/chats/{chat_id}/messages': {
    auth: 'bearer',
    about: 'chat',
    lists: true,
    ok: 200,
    request: onChat,
  },
  'GET /api/v1/chats/{chat_id}/members': {
    auth: 'bearer',
    about: 'chat',
    lists: true,
    ok: 200,
    request: onChat,
  },
  'PATCH /api/v1/chats/{chat_id}': {
    auth: 'bearer',
    about: 'chat',
    ok: 202,
    request: things => ({ ...onChat(things), json: { muted: true } }),
  },
  'PATCH /api/v1/chats/{chat_id}/members': {
    auth: 'bearer',
    about: 'chat',
    // A direct chat has no members to be changed.
    ok: 422,
    request: things => ({ ...onChat(things), json: { add: ['49151000111'] } }),
  },
  'POST /api/v1/chats/{chat_id}/leave': { auth: 'bearer', about: 'chat', ok: 422, request: onChat },
  'POST /api/v1/chats/{chat_id}/block': { auth: 'bearer', about: 'chat', ok: 422, request: onChat },
  'POST /api/v1/chats/{chat_id}/backfill': {
    auth: 'bearer',
    about: 'chat',
    ok: 202,
    request: things => ({ ...onChat(things), json: {} }),
  },
  'POST /api/v1/chats/{chat_id}/typing': {
    auth: 'bearer',
    about: 'chat',
    ok: 204,
    request: things => ({ ...onChat(things), json: { typing: false } }),
  },
  'POST /api/v1/devices/{device_id}/groups': {
    auth: 'bearer',
    about: 'device',
    ok: 201,
    request: things => ({ ...onDevice(things), json: { name: 'Team', participants: ['49151000111'] } }),
  },
  'POST /api/v1/devices/{device_id}/groups/join': {
    auth: 'bearer',
    about: 'device',
    // There is no such group.
    ok: 502,
    request: things => ({
      ...onDevice(things),
      json: { link: 'https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv' },
    }),
  },

  'POST /api/v1/devices/{device_id}/message': {
    auth: 'bearer',
    about: 'device',
    ok: 200,
    request: things => ({ ...onDevice(things), json: SEND }),
  },
  'GET /api/v1/messages': { auth: 'bearer', lists: true, ok: 200 },
  'GET /api/v1/messages/{id}': {
    auth: 'bearer',
    about: 'message',
    lists: true,
    ok: 200,
    request: ({ message }) => ({ path: { id: message } }),
  },
  'DELETE /api/v1/messages/{id}': {
    auth: 'bearer',
    about: 'message',
    // It has been sent by then.
    ok: 409,
    request: ({ message }) => ({ path: { id: message } }),
  },
  'PUT /api/v1/messages/{id}/reaction': {
    auth: 'bearer',
    about: 'message',
    ok: 202,
    request: ({ message }) => ({ path: { id: message }, json: { emoji: '👍' } }),
  },
  'DELETE /api/v1/messages/{id}/reaction': {
    auth: 'bearer',
    about: 'message',
    ok: 202,
    request: ({ message }) => ({ path: { id: message } }),
  },
  'PATCH /api/v1/messages/{id}': {
    auth: 'bearer',
    about: 'message',
    ok: 202,
    request: ({ message }) => ({ path: { id: message }, json: { text: 'changed' } }),
  },
  'PUT /api/v1/messages/{id}/vote': {
    auth: 'bearer',
    about: 'message',
    // It is no poll.
    ok: 422,
    request: ({ message }) => ({ path: { id: message }, json: { options: [] } }),
  },
  'POST /api/v1/chats/{chat_id}/read': {
    auth: 'bearer',
    about: 'chat',
    ok: 202,
    request: ({ chat }) => ({ path: { chat_id: chat }, json: {} }),
  },
  'POST /api/v1/messages/{id}/forward': {
    auth: 'bearer',
    about: 'message',
    ok: 201,
    request: ({ message }) => ({ path: { id: message }, json: { contact: '49151000111' } }),
  },
  'POST /api/v1/messages/{id}/unsend': {
    auth: 'bearer',
    about: 'message',
    ok: 202,
    request: ({ message }) => ({ path: { id: message }, json: {} }),
  },
  'GET /api/v1/actions/{id}': {
    auth: 'bearer',
    about: 'action',
    lists: true,
    ok: 200,
    request: ({ action }) => ({ path: { id: action } }),
  },

  'POST /api/v1/webhooks': {
    auth: 'bearer',
    ok: 201,
    request: () => ({ json: { url: `http://127.0.0.1:9/${fresh('hook')}` } }),
  },
  'GET /api/v1/webhooks': { auth: 'bearer', lists: true, ok: 200 },
  'GET /api/v1/webhooks/{id}': { auth: 'bearer', about: 'webhook', ok: 200, request: onWebhook },
  'PUT /api/v1/webhooks/{id}': {
    auth: 'bearer',
    about: 'webhook',
    ok: 200,
    request: ({ webhook }) => ({ path: { id: webhook }, json: { active: true } }),
  },
  'GET /api/v1/webhooks/{id}/deliveries': {
    auth: 'bearer',
    about: 'webhook',
    lists: true,
    ok: 200,
    request: onWebhook,
  },
  'GET /api/v1/deliveries/{id}': {
    auth: 'bearer',
    about: 'delivery',
    lists: true,
    ok: 200,
    request: ({ delivery }) => ({ path: { id: delivery } }),
  },
  'POST /api/v1/deliveries/{id}/retry': {
    auth: 'bearer',
    about: 'delivery',
    ok: 202,
    request: ({ delivery }) => ({ path: { id: delivery } }),
  },
  'POST /api/v1/webhooks/{id}/replay': {
    auth: 'bearer',
    about: 'webhook',
    ok: 202,
    request: things => ({ ...onWebhook(things), json: { since: '2020-01-01T00:00:00Z' } }),
  },
  'POST /api/v1/webhooks/{id}/rotate-secret': {
    auth: 'bearer',
    about: 'webhook',
    ok: 200,
    request: things => ({ ...onWebhook(things), json: { overlap_s: 0 } }),
  },
  'GET /api/v1/events': { auth: 'bearer', lists: true, ok: 200 },
  'POST /api/v1/webhooks/{id}/test': { auth: 'bearer', about: 'webhook', ok: 200, request: onWebhook },

  // Calls that use their object up come last.
  'DELETE /api/v1/webhooks/{id}': {
    auth: 'bearer',
    about: 'webhook',
    ok: 200,
    request: ({ webhook }) => ({ path: { id: webhook } }),
  },
  'DELETE /api/v1/devices': {
    auth: 'bearer',
    about: 'device',
    ok: 200,
    request: ({ device }) => ({ json: { device_id: device, platform: 'wa' } }),
  },
  'DELETE /api/v1/devices/{device_id}': {
    auth: 'bearer',
    about: 'device',
    // It was deleted just now.
    ok: 404,
    request: onDevice,
  },
  'DELETE /api/v1/tokens/{id}': {
    auth: 'basic',
    scope: 'tokens:write:delete',
    about: 'token',
    ok: 200,
    request: ({ token }) => ({ path: { id: token } }),
  },
  'DELETE /api/v1/credentials/{client_id}': {
    auth: 'basic',
    scope: 'credentials:write:*',
    about: 'credential',
    reach: 'admin',
    ok: 200,
    request: ({ credential }) => ({ path: { client_id: credential } }),
  },
}
