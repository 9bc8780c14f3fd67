/** What the devices use cases offer to the HTTP routes. */

import type { ListedDevice } from '../../domain/views/device.ts'

export interface Devices {
  /** Oldest link first, those logged out at the phone included. */
  list(identityId: string): Promise<ListedDevice[]>
  /**
   * Logs the device out at its bridge and takes it off the list. One that was logged out already goes whatever the bridge says.
   * @param deviceId phone digits, +E.164 or login id
   * @throws GatewayError not_found; bridge_error or bridge_unavailable, then nothing is changed
   */
  remove(identityId: string, deviceId: string, platform: string): Promise<void>
}
