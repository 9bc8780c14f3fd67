/** What goes wrong on purpose: so that people can see what their program does then. Forgotten at a restart. */
import { SANDBOX_PLATFORMS, type SandboxPlatform } from '../platforms.ts'

/** Reasons that bridges give in com.beeper.message_send_status. */
export const FAIL_REASONS = [
  'm.foreign_network_error',
  'm.event_not_handled',
  'm.no_permission',
  'm.bridge_unavailable',
  'm.event_too_old',
  'com.beeper.unsupported_event',
  'com.beeper.undecryptable_event',
] as const
type FailReason = (typeof FAIL_REASONS)[number]

interface PlatformFaults {
  /** How many of the next sends fail. */
  failNext: number
  failReason: FailReason
  /** Whether the bridge says that trying again may help. */
  retriable: boolean
  /** How long every send takes. */
  delayMs: number
  /** The bridge can't reach the network. */
  offline: boolean
  /** Since when `offline` is what it is. */
  since: number
}

interface Failure {
  reason: FailReason
  retriable: boolean
}

export interface Faults {
  of(platform: SandboxPlatform): Readonly<PlatformFaults>
  /** Changes what is given, leaves the rest. */
  set(platform: SandboxPlatform, change: Partial<PlatformFaults>): void
  clear(): void
  /** @returns why the next send fails, if it does; a counted failure is used up */
  takeFailure(platform: SandboxPlatform): Failure | null
  /** Told after each change. */
  onChange(listener: (platform: SandboxPlatform) => void): void
}

export function createFaults(now: () => number): Faults {
  const none = (): PlatformFaults => ({
    failNext: 0,
    failReason: 'm.foreign_network_error',
    retriable: true,
    delayMs: 0,
    offline: false,
    since: now(),
  })
  const faults: Record<SandboxPlatform, PlatformFaults> = { wa: none(), signal: none(), telegram: none() }
  const listeners: ((platform: SandboxPlatform) => void)[] = []
  const changed = (platform: SandboxPlatform) => {
    for (const listener of listeners) listener(platform)
  }
  return {
    of: platform => faults[platform],
    set(platform, change) {
      const before = faults[platform]
      const since = change.offline !== undefined && change.offline !== before.offline ? now() : before.since
      faults[platform] = { ...before, ...change, since }
      changed(platform)
    },
    clear() {
      for (const platform of SANDBOX_PLATFORMS) {
        faults[platform] = none()
        changed(platform)
      }
    },
    takeFailure(platform) {
      const { offline, failNext, failReason, retriable } = faults[platform]
      if (offline) return { reason: 'm.bridge_unavailable', retriable: true }
      if (failNext === 0) return null
      faults[platform].failNext--
      return { reason: failReason, retriable }
    },
    onChange: listener => void listeners.push(listener),
  }
}
