/** The error for what a device that is logged out can't do until it is linked again. */
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'

export function loggedOut({ platform, deviceId, stateReason }: Device): GatewayError {
  return new GatewayError(
    'conflict',
    `device_id: the ${platform} device ${deviceId} is logged out (${stateReason ?? 'no reason given'}): link it again with ` +
      `POST /api/v1/devices {"platform": "${platform}", "device_id": "${deviceId}"}`,
  )
}
