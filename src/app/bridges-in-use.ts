/** The attached bridges that are in use now, which change while the gateway runs. */
import type { Config } from '../config/index.ts'
import type { Clock } from '../lib/clock.ts'
import type { AttachedBridge, AttachedBridges } from '../modules/bridges-attached/bridges-attached.ts'

/** Longer than the gateway takes to notice a change and to take it up, in milliseconds. */
const TAKEN_UP_WITHIN_MS = 3_000
const LOOK_MS = 50

export class BridgesInUse {
  private readonly byPlatform = new Map<string, AttachedBridge>()

  /** @param settings whose bridges win over the attached ones */
  constructor(private readonly settings: Pick<Config, 'bridges'>) {}

  get(platform: string): AttachedBridge | undefined {
    return this.byPlatform.get(platform)
  }

  all(): AttachedBridge[] {
    return [...this.byPlatform.values()]
  }

  put(bridge: AttachedBridge): void {
    this.byPlatform.set(bridge.platform, bridge)
  }

  remove(platform: string): void {
    this.byPlatform.delete(platform)
  }

  /** The platform whose attached bridge has this token. */
  platformOf(asToken: string): string | undefined {
    return this.all().find(bridge => bridge.asToken === asToken)?.platform
  }

  /**
   * Waits until what was attached or taken away last is in use: whoever has just attached a bridge
   * must not be led to the one before, such as the sandbox's.
   */
  async untilCurrent(
    platform: string,
    attached: Pick<AttachedBridges, 'find'>,
    clock: Pick<Clock, 'steady' | 'sleep'>,
  ): Promise<void> {
    const deadline = clock.steady() + TAKEN_UP_WITHIN_MS
    for (;;) {
      const row = await attached.find(platform)
      if (row?.updatedAt === this.get(platform)?.updatedAt || clock.steady() >= deadline) return
      await clock.sleep(LOOK_MS)
    }
  }

  /** The platform's bridge in the settings. */
  named(platform: string): Config['bridges'][number] | undefined {
    return this.settings.bridges.find(bridge => bridge.platform === platform)
  }

  /** Where the platform's bridge is; null: nowhere but in this process. */
  urlOf(platform: string): string | null {
    return this.named(platform)?.url ?? this.get(platform)?.url ?? null
  }
}
