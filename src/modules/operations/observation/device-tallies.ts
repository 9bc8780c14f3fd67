/**
 * What each device has sent and delivered since the start. Kept apart from the registry: its series are bounded, and go when a device goes, so
 * they are written anew each time the metrics are asked for.
 */

export interface DeviceTally {
  sent: number
  failed: number
  /** From accepting to sent, of all messages sent, in milliseconds. */
  sentMs: number
  delivered: number
  /** Tries at delivering that failed. */
  deliveryFailures: number
  /** From storing to delivered, of all events delivered, in milliseconds. */
  deliveredMs: number
}

export interface DeviceTallies {
  learn(deviceRowId: string, platform: string): void
  /** `unknown` for one that neither was read from the database nor has sent anything. */
  platformOf(deviceRowId: string): string
  messageSent(deviceRowId: string, ageMs: number): void
  messageFailed(deviceRowId: string): void
  delivered(deviceRowId: string, ageMs: number): void
  deliveryFailed(deviceRowId: string): void
  of(deviceRowId: string): Readonly<DeviceTally>
  /** Forgets every other device. */
  keepOnly(devices: ReadonlyMap<string, { platform: string }>): void
}

const NOTHING: Readonly<DeviceTally> = {
  sent: 0,
  failed: 0,
  sentMs: 0,
  delivered: 0,
  deliveryFailures: 0,
  deliveredMs: 0,
}

export function createDeviceTallies(): DeviceTallies {
  const tallies = new Map<string, DeviceTally>()
  const platforms = new Map<string, string>()

  function tallyOf(deviceRowId: string): DeviceTally {
    const known = tallies.get(deviceRowId)
    if (known) return known
    const fresh = { ...NOTHING }
    tallies.set(deviceRowId, fresh)
    return fresh
  }

  return {
    learn(deviceRowId, platform) {
      if (!platforms.has(deviceRowId)) platforms.set(deviceRowId, platform)
    },
    platformOf: deviceRowId => platforms.get(deviceRowId) ?? 'unknown',
    messageSent(deviceRowId, ageMs) {
      const tally = tallyOf(deviceRowId)
      tally.sent += 1
      tally.sentMs += ageMs
    },
    messageFailed(deviceRowId) {
      tallyOf(deviceRowId).failed += 1
    },
    delivered(deviceRowId, ageMs) {
      const tally = tallyOf(deviceRowId)
      tally.delivered += 1
      tally.deliveredMs += ageMs
    },
    deliveryFailed(deviceRowId) {
      tallyOf(deviceRowId).deliveryFailures += 1
    },
    of: deviceRowId => tallies.get(deviceRowId) ?? NOTHING,
    keepOnly(devices) {
      for (const known of tallies.keys()) if (!devices.has(known)) tallies.delete(known)
      for (const known of platforms.keys()) if (!devices.has(known)) platforms.delete(known)
      for (const [id, { platform }] of devices) platforms.set(id, platform)
    },
  }
}
