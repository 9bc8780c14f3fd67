/** What the devices use cases offer to the HTTP routes. */
import type { DeviceState } from '../../domain/states.ts'

export interface DeviceView {
  platform: string
  device_id: string
  state: DeviceState
  reason: string | null
  since: string
  name: string
  phone: string | null
  linked_at: string
}

/** As the list shows it. */
export interface ListedDevice extends DeviceView {
  /** Names nobody, and stays: what metrics and logs call the device by. */
  id: string
}

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
