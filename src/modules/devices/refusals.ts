/** The errors for a device that there isn't, or that can do nothing until it is linked again. */
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'

/**
 * Makes the error, with a hint where no device is linked: whoever made a second token for an
 * identity of its own looks for the first one's device.
 * @param platform null: any
 */
export async function noSuchDevice(
  devices: { linked(identityId: string): Promise<readonly unknown[]> },
  identityId: string,
  deviceId: string,
  platform: string | null,
): Promise<GatewayError> {
  const kind = platform === null ? '' : `${platform} `
  const hasSome = (await devices.linked(identityId)).length > 0
  const hint = hasSome
    ? ''
    : '; no device is linked with this token: link one, or use the token that linked it'
  return new GatewayError('not_found', `device_id: there is no ${kind}device ${deviceId}${hint}`)
}

/** @param devices those that an address may mean */
export function ambiguous(deviceId: string, devices: readonly Device[]): GatewayError {
  const platforms = [...new Set(devices.map(({ platform }) => platform))].sort().join(', ')
  return new GatewayError(
    'conflict',
    `device_id: there is a device ${deviceId} on several platforms: say which with platform (${platforms})`,
  )
}

export function loggedOut({ platform, deviceId, stateReason }: Device): GatewayError {
  return new GatewayError(
    'conflict',
    `device_id: the ${platform} device ${deviceId} is logged out (${stateReason ?? 'no reason given'}): link it again with ` +
      `POST /api/v1/devices {"platform": "${platform}", "device_id": "${deviceId}"}`,
  )
}
