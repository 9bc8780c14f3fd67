/** The linked accounts: linking them, what becomes of them, and whom they know. */
import type { BridgeSet } from '../bridges/bridges.ts'
import type { MatrixSessions } from '../domain/ports.ts'
import { createDirectory } from '../modules/chats/directory.ts'
import { createChatsModule } from '../modules/chats/index.ts'
import { createDevicesModule } from '../modules/devices/index.ts'
import type { AppContext } from './context.ts'
import type { KnownIdentities } from './tenants.ts'

export type Phones = ReturnType<typeof createPhones>

export interface PhoneParts extends KnownIdentities {
  bridges: BridgeSet
  sessions: MatrixSessions
  /** Waits until what is known of the platform's bridge is in use. */
  untilCurrent(platform: string): Promise<void>
}

export function createPhones(context: AppContext, parts: PhoneParts) {
  const chats = createChatsModule({ ...context, ...parts })
  const devices = createDevicesModule({
    ...context,
    ...parts,
    identityOf: async userId => (await parts.identities.findByUser(userId))?.id ?? null,
    accountTrouble: parts.sessions.accountTrouble,
    ...chats,
  })
  return { ...chats, ...devices, directory: createDirectory({ ...context, ...parts, ...chats, ...devices }) }
}
