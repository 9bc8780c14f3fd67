/** A device's state: how it follows from its bridge's words, how clients see it, and its events. */
import type { Device } from '../../db/schema/index.ts'
import type { DeviceEvent } from '../../domain/events.ts'
import type { BridgeLogin } from '../../domain/ports.ts'
import type { DeviceEventName, DeviceState } from '../../domain/states.ts'
import type { DeviceView } from '../../domain/views/device.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { type NewEvent, ownEvent } from '../events/event-repository.ts'
import { restrictionView } from './restriction.ts'

/** The device's state by bridgev2's state_event (status.BridgeState). */
const STATES: Record<string, DeviceState> = {
  STARTING: 'connecting',
  UNCONFIGURED: 'connecting',
  CONNECTING: 'connecting',
  RUNNING: 'connected',
  BACKFILLING: 'connected',
  CONNECTED: 'connected',
  TRANSIENT_DISCONNECT: 'disconnected',
  BRIDGE_UNREACHABLE: 'disconnected',
  BAD_CREDENTIALS: 'logged_out',
  LOGGED_OUT: 'logged_out',
  UNKNOWN_ERROR: 'error',
}

/** For a bridge that gives no reason of its own. */
export const PLAIN_REASONS: Record<DeviceState, string | null> = {
  connecting: null,
  connected: null,
  disconnected: 'the bridge has no connection to the network',
  logged_out: 'the account was logged out, at the phone or by the network',
  error: 'the bridge reports an error without saying which',
}

/** The event of a device's arrival in a state. */
const EVENT_OF: Record<DeviceState, DeviceEventName | null> = {
  connecting: null,
  connected: 'device.connected',
  disconnected: 'device.disconnected',
  error: 'device.disconnected',
  logged_out: 'device.logged_out',
}

export function reportedState({
  stateEvent,
  reason,
  errorCode,
}: Pick<BridgeLogin, 'stateEvent' | 'reason' | 'errorCode'>): { state: DeviceState; reason: string | null } {
  // A bridge that says nothing about the state has a login that works, as far as it knows.
  const said = stateEvent === null ? 'connected' : (STATES[stateEvent] ?? 'connecting')
  // Nobody has opened the app for 12 days, which the bridge calls a disconnect; it sends and
  // receives.
  if (errorCode === 'wa-phone-offline' && said === 'disconnected') return { state: 'connected', reason }
  // mautrix-whatsapp reports a ban for some hours as BAD_CREDENTIALS, but the login outlives it.
  const isBan = errorCode?.endsWith('temporary-ban') ?? false
  const state = said === 'logged_out' && isBan ? 'error' : said
  return { state, reason: reason ?? PLAIN_REASONS[state] }
}

/** @returns null for a state that is only passed through */
export function stateEvent(device: Device, now: number): NewEvent | null {
  const event = EVENT_OF[device.state]
  return event === null ? null : deviceEvent(event, device, now)
}

export function deviceEvent(event: DeviceEventName, device: Device, now: number): NewEvent {
  const payload: DeviceEvent = { event, timestamp: rfc3339(now), ...deviceView(device, now) }
  const { identityId, id: deviceRowId } = device
  return ownEvent({ identityId, lane: `device/${deviceRowId}`, deviceRowId, payload })
}

/** The name that the API gave it, else the network's. */
export function nameOf({ ownName, name }: Device): string {
  return ownName ?? name
}

export function deviceView(device: Device, now: number): DeviceView {
  return {
    platform: device.platform,
    device_id: device.deviceId,
    state: device.state,
    reason: device.stateReason,
    since: rfc3339(device.stateSince),
    name: nameOf(device),
    phone: device.phone,
    linked_at: rfc3339(device.linkedAt),
    restricted: restrictionView(device, now),
  }
}
