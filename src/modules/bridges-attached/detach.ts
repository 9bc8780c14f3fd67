/** `meshgate bridge remove`: a bridge's logins end with it. */
import { GatewayError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { DeviceRepository } from '../devices/device-repository.ts'
import type { AttachedBridgeRepository } from './repository.ts'

/** Why the devices of a platform are logged out when its bridge goes. */
export const TAKEN_AWAY = 'the bridge was taken away'

/**
 * @param isGatewayRunning a running gateway follows by itself, and marks the devices once it no longer asks the bridge
 * @returns the folder of the bridge's files
 * @throws GatewayError not_found
 */
export async function detachBridge(
  platform: string,
  {
    bridges,
    devices,
    isGatewayRunning,
    clock,
  }: {
    bridges: Pick<AttachedBridgeRepository, 'find' | 'remove'>
    devices: Pick<DeviceRepository, 'linkedOn' | 'setState'>
    isGatewayRunning: boolean
    clock: Clock
  },
): Promise<string> {
  const row = await bridges.find(platform)
  if (!row) throw new GatewayError('not_found', `platform: there is no attached bridge "${platform}"`)
  await bridges.remove(platform)
  if (!isGatewayRunning) {
    const ids = (await devices.linkedOn(platform)).map(({ id }) => id)
    if (ids.length > 0) await devices.setState(ids, 'logged_out', TAKEN_AWAY, clock.now())
  }
  return row.dir
}
