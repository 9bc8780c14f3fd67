/**
 * Tallies of each device since the start. Kept apart from the registry: series of devices are
 * bounded, and go when a device goes, so they are written anew each time the metrics are asked for.
 */

const NOTHING = {
  sent: 0,
  failed: 0,
  /** From accepting to sent, of all messages sent, in milliseconds. */
  sentMs: 0,
  delivered: 0,
  /** Tries at delivering that failed. */
  deliveryFailures: 0,
  /** From storing to delivered, of all events delivered, in milliseconds. */
  deliveredMs: 0,
}
export type DeviceTally = typeof NOTHING

/** Devices are named by their row ids. */
export class DeviceTallies {
  private readonly tallies = new Map<string, DeviceTally>()
  private readonly platforms = new Map<string, string>()

  learn(device: string, platform: string): void {
    if (!this.platforms.has(device)) this.platforms.set(device, platform)
  }

  /** @returns `unknown` for one that neither was read from the database nor has sent anything */
  platformOf(device: string): string {
    return this.platforms.get(device) ?? 'unknown'
  }

  of(device: string): Readonly<DeviceTally> {
    return this.tallies.get(device) ?? NOTHING
  }

  add(device: string, more: Partial<DeviceTally>): void {
    const tally = this.tallies.get(device) ?? { ...NOTHING }
    this.tallies.set(device, tally)
    for (const [name, value] of Object.entries(more)) tally[name as keyof DeviceTally] += value
  }

  /** Forgets every other device. */
  keepOnly(devices: ReadonlyMap<string, { platform: string }>): void {
    for (const known of this.tallies.keys()) if (!devices.has(known)) this.tallies.delete(known)
    for (const known of this.platforms.keys()) if (!devices.has(known)) this.platforms.delete(known)
    for (const [id, { platform }] of devices) this.platforms.set(id, platform)
  }
}
