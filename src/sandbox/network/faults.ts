/** Deliberate failures, so that people can see how their program copes. A restart clears them. */
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

/** Named as people set them by the API. */
interface PlatformFaults {
  /** Number of next sends that fail. */
  fail_next: number
  fail_reason: FailReason
  /** True if the bridge reports that a retry may help. */
  retriable: boolean
  /** Delay of every send. */
  delay_ms: number
  /** The bridge can't reach the network. */
  offline: boolean
  /** When `offline` last changed. */
  since: number
  /** Until then linked phones may write to nobody new, RFC 3339; null: they may. */
  restricted_until: string | null
}

export type Faults = ReturnType<typeof createFaults>

export function createFaults(now: () => number) {
  const none = (): PlatformFaults => ({
    fail_next: 0,
    fail_reason: 'm.foreign_network_error',
    retriable: true,
    delay_ms: 0,
    offline: false,
    since: now(),
    restricted_until: null,
  })
  const faults: Record<SandboxPlatform, PlatformFaults> = { wa: none(), signal: none(), telegram: none() }
  return {
    of: (platform: SandboxPlatform): Readonly<PlatformFaults> => faults[platform],
    /** Changes the given fields. */
    set(platform: SandboxPlatform, change: Partial<Omit<PlatformFaults, 'since'>>): void {
      const before = faults[platform]
      const since = change.offline !== undefined && change.offline !== before.offline ? now() : before.since
      faults[platform] = { ...before, ...change, since }
    },
    /** True while linked phones may write to nobody new. */
    isRestricted(platform: SandboxPlatform): boolean {
      const { restricted_until: until } = faults[platform]
      return until !== null && Date.parse(until) > now()
    },
    clear(): void {
      for (const platform of SANDBOX_PLATFORMS) faults[platform] = none()
    },
    /** @returns why the next send fails, or null; uses up a counted failure */
    takeFailure(platform: SandboxPlatform): { reason: FailReason; retriable: boolean } | null {
      const { offline, fail_next: left, fail_reason: reason, retriable } = faults[platform]
      if (offline) return { reason: 'm.bridge_unavailable', retriable: true }
      if (left === 0) return null
      faults[platform].fail_next--
      return { reason, retriable }
    },
  }
}
