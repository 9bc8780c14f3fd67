/** /api/v1/devices/{device_id}: one device. */

import { GatewayError } from '../../../domain/errors.ts'
import { Device } from '../../../domain/views/device.ts'
import { isBlank } from '../../../lib/blank-text.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import { DeviceParams, PlatformQuery } from './contact-model.ts'
import { UpdateDevice } from './model.ts'
import { DELETED } from './routes.ts'

const PATH = '/api/v1/devices/:device_id'

export function oneDeviceRoutes({ devices }: Pick<HttpServices, 'devices'>) {
  return [
    bearerRoute('GET', PATH, {
      id: 'getDevice',
      tag: 'Devices',
      summary: 'Get a device',
      description: 'A 409 when devices of several platforms have this id and `platform` is missing.',
      params: DeviceParams,
      query: PlatformQuery,
      answer: answer(200, 'The device, as the list has it', Device),
      errors: [404, 409],
      run: ({ identityId, params, query }) =>
        devices.show(identityId, params.device_id, query.platform ?? null),
    }),
    bearerRoute('PATCH', PATH, {
      id: 'updateDevice',
      tag: 'Devices',
      summary: 'Name a device',
      description:
        "The name stays whatever the network calls the account, also when it is linked again. `name: null` is the network's name again.",
      params: DeviceParams,
      query: PlatformQuery,
      body: UpdateDevice,
      nulls: ['name'],
      records: true,
      answer: answer(200, 'As it is now', Device),
      errors: [404, 409],
      run: ({ identityId, params, query, body, recorder }) =>
        devices.rename(
          identityId,
          params.device_id,
          { platform: query.platform ?? null, name: givenName(body.name) },
          recorder(renamed => renamed),
        ),
    }),
    bearerRoute('DELETE', PATH, {
      id: 'deleteDeviceById',
      tag: 'Devices',
      summary: 'Delete a device by its address',
      description: 'As DELETE /api/v1/devices, without a body.',
      params: DeviceParams,
      query: PlatformQuery,
      answer: messageAnswer('It is gone', DELETED),
      errors: [404, 409, 502, 504],
      run: async ({ identityId, params, query }) => {
        await devices.removeOne(identityId, params.device_id, query.platform ?? null)
        return { message: DELETED }
      },
    }),
  ]
}

/** @throws GatewayError bad_request when there is nothing to see of it */
function givenName(name: string | null): string | null {
  if (name === null || !isBlank(name)) return name
  throw new GatewayError('bad_request', 'name: expected text that is not blank')
}
