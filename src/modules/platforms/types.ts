/** What the platforms use case offers to the HTTP routes. */
import type { LoginFlow } from '../../domain/login-steps.ts'
import type { BridgeDriver } from '../../domain/ports.ts'

export interface PlatformView {
  platform: string
  /** Of the network, for people. */
  name: string
  state: 'available' | 'unavailable'
  /** Why it is unavailable. */
  reason: string | null
  /** Null while it is unavailable, as all that follows. */
  driver: BridgeDriver | null
  bot: string | null
  flows: LoginFlow[]
  /** Null where the bridge doesn't say. */
  capabilities: PlatformCapabilities | null
}

export interface PlatformCapabilities {
  resolve: boolean | null
  create_chat: boolean | null
  lookup_phone: boolean | null
  lookup_email: boolean | null
  lookup_username: boolean | null
  contact_list: boolean | null
  search: boolean | null
  group_links: boolean | null
}

export interface Platforms {
  /** Every platform there is; one whose bridge doesn't answer soon is unavailable. */
  list(matrixUserId: string): Promise<PlatformView[]>
}
