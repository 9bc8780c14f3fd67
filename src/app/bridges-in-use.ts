/** The attached bridges that are in use now, which change while the gateway runs. */
import type { Config } from '../config/index.ts'
import type { AttachedBridge } from '../modules/bridges-attached/bridges-attached.ts'

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

  /** The platform's bridge in the settings. */
  named(platform: string): Config['bridges'][number] | undefined {
    return this.settings.bridges.find(bridge => bridge.platform === platform)
  }

  /** Where the platform's bridge is; null: nowhere but in this process. */
  urlOf(platform: string): string | null {
    return this.named(platform)?.url ?? this.get(platform)?.url ?? null
  }
}
