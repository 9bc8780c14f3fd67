/** A device as the API shows it, and the event that tells of its new state. */
import type { Device } from '../../db/schema/index.ts'
import type { DeviceEvent } from '../../domain/events.ts'
import type { DeviceEventName, DeviceState } from '../../domain/states.ts'
import type { DeviceView } from '../../domain/views/device.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import type { NewEvent } from '../events/event-repository.ts'

/** The event by which a device's arrival in a state is told. */
const EVENT_OF: Record<DeviceState, DeviceEventName | null> = {
  connecting: null,
  connected: 'device.connected',
  disconnected: 'device.disconnected',
  error: 'device.disconnected',
  logged_out: 'device.logged_out',
}

/** @returns null for a state that is only passed through */
export function deviceEvent(device: Device, now: number): NewEvent | null {
  const event = EVENT_OF[device.state]
  if (event === null) return null
  const payload: DeviceEvent = { event, timestamp: rfc3339(now), ...deviceView(device) }
  return {
    identityId: device.identityId,
    eventId: timeOrderedId('evt_'),
    lane: `device/${device.id}`,
    roomId: '',
    deviceRowId: device.id,
    senderUserId: '',
    mediaId: null,
    payload,
  }
}

export function deviceView(device: Device): DeviceView {
  return {
    platform: device.platform,
    device_id: device.deviceId,
    state: device.state,
    reason: device.stateReason,
    since: rfc3339(device.stateSince),
    name: device.name,
    phone: device.phone,
    linked_at: rfc3339(device.linkedAt),
  }
}
