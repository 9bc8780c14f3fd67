/** A device's restriction: until an instant its network lets it start no new chats. */
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { DeviceView } from '../../domain/views/device.ts'
import { rfc3339 } from '../../lib/clock.ts'

/** A first message to somebody waits until the restriction has ended. */
export class DeviceRestricted extends GatewayError {
  constructor(readonly until: number) {
    super('conflict', `restricted: the network lets the device start no new chats until ${rfc3339(until)}`)
  }
}

/** @returns when it ends; null when there is none (any more) */
export function restrictedUntil(
  { restrictedUntil: until }: Pick<Device, 'restrictedUntil'>,
  now: number,
): number | null {
  return until !== null && until > now ? until : null
}

export function restrictionView(
  device: Pick<Device, 'restrictedUntil'>,
  now: number,
): DeviceView['restricted'] {
  const until = restrictedUntil(device, now)
  return until === null ? null : { until: rfc3339(until), what: 'new_chats' }
}

/** @throws DeviceRestricted while it may write to nobody new */
export function refuseNewChat(device: Pick<Device, 'restrictedUntil'>, now: number): void {
  const until = restrictedUntil(device, now)
  if (until !== null) throw new DeviceRestricted(until)
}
