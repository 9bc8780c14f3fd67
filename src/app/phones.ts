/** The linked accounts: linking them, what becomes of them, and whom they know. */
import type { BridgeSet } from '../bridges/bridges.ts'
import type { MatrixSessions } from '../domain/ports.ts'
import { createDirectory } from '../modules/chats/directory.ts'
import { createChatsModule } from '../modules/chats/index.ts'
import { createDevicesModule } from '../modules/devices/index.ts'
import { createAvatars } from '../modules/media/avatars.ts'
import { createMediaRepository } from '../modules/media/repository.ts'
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
  const { config, db, hasherFor, previousHasherFor, publicUrl, clock } = context
  const avatars = createAvatars({
    repository: createMediaRepository(db),
    publicUrl: publicUrl.current,
    urlTtlS: config.media.urlTtlS,
    sign: hasherFor('avatar-addresses'),
    signBefore: previousHasherFor?.('avatar-addresses'),
    sessionOf: async identityId => parts.sessions.actingAs(await parts.matrixUserOf(identityId)),
    clock,
  })
  const chats = createChatsModule({ ...context, ...parts, avatars })
  const devices = createDevicesModule({
    ...context,
    ...parts,
    identityOf: async userId => (await parts.identities.findByUser(userId))?.id ?? null,
    accountTrouble: parts.sessions.accountTrouble,
    ...chats,
  })
  const directory = createDirectory({ ...context, ...parts, ...chats, ...devices, avatars })
  return { ...chats, ...devices, directory, avatars }
}
