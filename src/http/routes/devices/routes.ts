/** /api/v1/devices: an identity's linked phones and accounts, and the WebSocket that shows what links another. */
import { Elysia } from 'elysia'
import { GatewayError } from '../../../domain/errors.ts'
import type { Clock } from '../../../lib/clock.ts'
import { ConnectionPlaces } from '../../../lib/connection-places.ts'
import { HttpError } from '../../errors.ts'
import { operation } from '../../openapi/operation.ts'
import { bearerAuth } from '../../plugins/auth.ts'
import { publicUrlOf, webSocketUrlOf } from '../../public-url.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import { AddDevice, DeviceAdded, DeviceList, knownAnswers, QrQuery, RemoveDevice } from './model.ts'
import { createQrViewer, type SocketViewer } from './qr-viewer.ts'
import { whatToDo } from './what-to-do.ts'

const DELETED = 'Device deleted successfully'

export interface DeviceRoutesOptions {
  services: Pick<HttpServices, 'tokens' | 'devices' | 'linking'>
  publicUrl: string | undefined
  /** Makes a WebSocket of the request. False when the request is no handshake. */
  upgrade(request: Request, viewer: SocketViewer): boolean
  /** Whether the page that a request comes from, if it comes from any, may open the WebSocket. */
  allowsOrigin(request: Request): boolean
  clock: Clock
}

export function deviceRoutes({ services, publicUrl, upgrade, allowsOrigin, clock }: DeviceRoutesOptions) {
  const { tokens, devices, linking } = services
  const sockets = new ConnectionPlaces()
  return new Elysia({ name: 'devices', prefix: '/api/v1/devices' })
    .use(bearerAuth(tokens))
    .post(
      '/',
      async ({ holder, token, body, request, set }) => {
        const { platform, flow, device_id: deviceId, inputs: given } = body
        const inputs = given === undefined ? undefined : knownAnswers.read(given)
        const link = await linking.start(holder.identity, { platform, flow, deviceId, inputs })
        set.status = 201
        const url = webSocketUrlOf(publicUrlOf(request, publicUrl))
        return {
          message: whatToDo(link),
          qr_code_url: `${url}/api/v1/devices/qr-code?token=${encodeURIComponent(token)}`,
          link,
        }
      },
      {
        bearer: { body: 'json' },
        body: AddDevice,
        detail: operation({
          id: 'addDevice',
          summary: 'Add a device',
          description:
            "Starts a login at the platform's bridge, by its QR flow or another one. A login of the same platform under way is superseded.",
          tag: 'Devices',
          security: 'bearerAuth',
          answers: {
            201: { description: 'What to do next, and where the QR code is shown', schema: DeviceAdded },
          },
          errors: [400, 401, 403, 404, 413, 415, 502, 503, 504],
        }),
      },
    )
    .get('/', ({ holder }) => devices.list(holder.identity.id), {
      bearer: { body: 'none' },
      detail: operation({
        id: 'listDevices',
        summary: 'List devices',
        tag: 'Devices',
        security: 'bearerAuth',
        answers: { 200: { description: 'Oldest link first', schema: DeviceList } },
        errors: [401, 403],
      }),
    })
    .delete(
      '/',
      async ({ holder, body }) => {
        await devices.remove(holder.identity.id, body.device_id, body.platform)
        return { message: DELETED }
      },
      {
        bearer: { body: 'json' },
        body: RemoveDevice,
        detail: operation({
          id: 'deleteDevice',
          summary: 'Delete a device',
          description:
            'Logs it out at its bridge and takes it off the list. Messages that still wait for it fail. Linked again, the account has the chats it had.',
          tag: 'Devices',
          security: 'bearerAuth',
          answers: { 200: messageAnswer('It is gone', DELETED) },
          errors: [400, 401, 403, 404, 413, 415, 502, 503, 504],
        }),
      },
    )
    .get(
      '/qr-code',
      ({ holder, token, query, request }) => {
        const { id: identityId } = holder.identity
        const viewer = createQrViewer({
          admit() {
            const place = sockets.take(identityId, 'WebSockets of links')
            if (typeof place === 'string') throw new GatewayError('too_many_requests', place)
            return place
          },
          follow: listener => linking.follow(identityId, query.platform, listener),
          answer: (linkId, fields) => linking.answer(identityId, linkId, fields),
          cancel: linkId => linking.cancel(identityId, linkId),
          readmit: () => tokens.authenticate(token),
          format: query.format ?? 'raw',
          clock,
        })
        if (!allowsOrigin(request)) {
          throw new GatewayError(
            'forbidden',
            'Origin: pages of other sites may not connect, see CORS_ORIGINS',
          )
        }
        if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') throw upgradeRequired()
        if (!upgrade(request, viewer)) throw upgradeRequired()
      },
      {
        bearer: { body: 'none', tokenInQuery: true },
        query: QrQuery,
        detail: operation({
          id: 'watchQrCode',
          summary: 'Get the QR code (WebSocket)',
          description:
            'Sends what is to be scanned at once, and again each time it changes. With `format=raw` a text frame is the QR payload (or the pairing code). Closes with 1000 `connected: <device_id>` when the device is linked, 4408 when nobody scanned in time, 4409 when another login took its place, 4410 when it was cancelled, 4500 when it failed, 4403 when the token is no longer good, 4404 when no device is being linked (with `format=json` a frame `{"type": "error", "code": "not_found", "message"}` comes first), 4429 after more than 20 frames in 10 s, or when 20 sockets of the identity are open already (with `format=json` an error frame comes first). Takes `{"type": "input", "fields": {…}}` for what a step asks, and `{"type": "cancel"}`; a frame that is wrong is answered by `{"type": "error", "code", "message"}`.',
          tag: 'Devices',
          security: 'bearerAuth',
          answers: { 101: { description: 'The WebSocket is open' } },
          errors: [400, 401, 403, 426],
        }),
      },
    )
}

function upgradeRequired(): HttpError {
  return new HttpError('upgrade_required', 'This address is a WebSocket: connect with a WebSocket client', {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
  })
}
