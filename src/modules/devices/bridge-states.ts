/** What a bridge says about a login (bridgev2 status.BridgeState), as the state of a device and the reason that people read. */
import type { BridgeLogin } from '../../domain/ports.ts'
import type { DeviceState } from '../../domain/states.ts'

/** bridgev2's state_event, and what it means for the device. */
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

export interface ReportedState {
  state: DeviceState
  reason: string | null
}

export function reportedState({
  stateEvent,
  reason,
  errorCode,
}: Pick<BridgeLogin, 'stateEvent' | 'reason' | 'errorCode'>): ReportedState {
  // A bridge that says nothing about the state has a login that works, as far as it knows.
  const said = stateEvent === null ? 'connected' : (STATES[stateEvent] ?? 'connecting')
  const state = said === 'logged_out' && isBan(errorCode) ? 'error' : said
  return { state, reason: reason ?? PLAIN_REASONS[state] }
}

/** mautrix-whatsapp tells a ban for some hours as BAD_CREDENTIALS (wa-temporary-ban), but the login outlives it. */
function isBan(errorCode: string | null | undefined): boolean {
  return errorCode?.endsWith('temporary-ban') ?? false
}
