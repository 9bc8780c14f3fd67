/** The network's tables. All methods are synchronous; writes run inside `committer.write()`. */
import type { Database } from 'bun:sqlite'
import { createChatStore } from './store/chats.ts'
import { createDeliveryStore } from './store/deliveries.ts'
import { createLoginStore } from './store/logins.ts'
import { createMediaStore } from './store/media.ts'
import { createMessageStore } from './store/messages.ts'
import { createPhoneStore } from './store/phones.ts'
import { createSettingStore } from './store/settings.ts'

export type NetworkStore = ReturnType<typeof createNetworkStore>

export function createNetworkStore(database: Database) {
  const phones = createPhoneStore(database)
  const media = createMediaStore(database)
  const logins = createLoginStore(database)
  return {
    ...createSettingStore(database),
    ...phones,
    ...createChatStore(database, phones),
    ...createMessageStore(database, media),
    ...media,
    ...logins,
    ...createDeliveryStore(database, logins),
  }
}
