/** /api/v1/devices: an identity's linked phones and accounts, and the WebSocket to link another. */
import { GatewayError } from '../../../domain/errors.ts'
import type { Clock } from '../../../lib/clock.ts'
import { ConnectionPlaces } from '../../../lib/connection-places.ts'
import { HttpError } from '../../error-answers.ts'
import { publicUrlOf, webSocketUrlOf } from '../../public-url.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import type { LinkTickets } from '../pages/link-tickets.ts'
import { AddDevice, DeviceAdded, DeviceList, knownAnswers, QrQuery, RemoveDevice } from './model.ts'
import { createQrViewer, type SocketViewer } from './qr-viewer.ts'
import { whatToDo } from './what-to-do.ts'

export const DELETED = 'Device deleted successfully'

export interface DeviceRoutesOptions {
  services: Pick<HttpServices, 'tokens' | 'devices' | 'linking'>
  publicUrl: string | undefined
  tickets: Pick<LinkTickets, 'issue'>
  /** Makes a WebSocket of the request. False when the request is no handshake. */
  upgrade(request: Request, viewer: SocketViewer): boolean
  /** Tells if the page that a request comes from, if any, may open the WebSocket. */
  allowsOrigin(request: Request): boolean
  clock: Clock
}

export function deviceRoutes({
  services,
  publicUrl,
  tickets,
  upgrade,
  allowsOrigin,
  clock,
}: DeviceRoutesOptions) {
  const { tokens, devices, linking } = services
  const sockets = new ConnectionPlaces()
  return [
    bearerRoute('POST', '/api/v1/devices', {
      id: 'addDevice',
      tag: 'Devices',
      summary: 'Add a device',
      description:
        "Starts a login at the platform's bridge, by its QR flow or another one. A login of the same platform under way is superseded.",
      body: AddDevice,
      answer: answer(201, 'What to do next, and where the QR code is shown', DeviceAdded),
      errors: [404, 502, 504],
      run: async ({ holder, token, body, request }) => {
        const { platform, flow, device_id: deviceId, inputs: given } = body
        const inputs = given === undefined ? undefined : knownAnswers.read(given)
        const link = await linking.start(holder.identity, { platform, flow, deviceId, inputs })
        const url = publicUrlOf(request, publicUrl)
        const ticket = tickets.issue({
          identityId: holder.identity.id,
          linkId: link.id,
          readmit: () => tokens.authenticate(token),
        })
        return {
          message: whatToDo(link),
          qr_code_url: `${webSocketUrlOf(url)}/api/v1/devices/qr-code?token=${encodeURIComponent(token)}`,
          link_url: `${url}/link/${ticket}`,
          link,
        }
      },
    }),
    bearerRoute('GET', '/api/v1/devices', {
      id: 'listDevices',
      tag: 'Devices',
      summary: 'List devices',
      answer: answer(200, 'Oldest link first', DeviceList),
      run: ({ identityId }) => devices.list(identityId),
    }),
    bearerRoute('DELETE', '/api/v1/devices', {
      id: 'deleteDevice',
      tag: 'Devices',
      summary: 'Delete a device',
      description:
        'Logs it out at its bridge and takes it off the list. Messages that still wait for it fail. When the account is linked again, it has its chats again.',
      body: RemoveDevice,
      answer: messageAnswer('It is gone', DELETED),
      errors: [404, 502, 504],
      run: async ({ identityId, body }) => {
        await devices.remove(identityId, body.device_id, body.platform)
        return { message: DELETED }
      },
    }),
    bearerRoute('GET', '/api/v1/devices/qr-code', {
      id: 'watchQrCode',
      tag: 'Devices',
      summary: 'Get the QR code (WebSocket)',
      description:
        'Sends what is to be scanned at once, and again each time it changes. With `format=raw` a text frame is the QR payload (or the pairing code). Closes with 1000 `connected: <device_id>` when the device is linked, 4408 when nobody scanned in time, 4409 when another login took its place, 4410 when it was cancelled, 4500 when it failed, 4403 when the token is no longer good, 4404 when no device is being linked (with `format=json` a frame `{"type": "error", "code": "not_found", "message"}` comes first), 4429 after more than 20 frames in 10 s, or when 20 sockets of the identity are open already (with `format=json` an error frame comes first). Takes `{"type": "input", "fields": {…}}` for what a step asks, and `{"type": "cancel"}`; a frame that is wrong is answered by `{"type": "error", "code", "message"}`.',
      inQuery: true,
      query: QrQuery,
      answer: answer(101, 'The WebSocket is open'),
      errors: [426],
      run: ({ identityId, token, query, request }) => {
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
    }),
  ]
}

function upgradeRequired(): HttpError {
  return new HttpError('upgrade_required', 'This address is a WebSocket: connect with a WebSocket client', {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
  })
}
