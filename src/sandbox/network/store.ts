/** The network's tables. All methods are synchronous; writes run inside `committer.write()`. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'
import { createChatStore } from './store/chats.ts'
import { createDeliveryStore } from './store/deliveries.ts'
import { createLoginStore } from './store/logins.ts'
import { createMediaStore } from './store/media.ts'
import { createMessageStore } from './store/messages.ts'
import { createPhoneStore } from './store/phones.ts'

export type NetworkStore = ReturnType<typeof createNetworkStore>

export function createNetworkStore(database: Database) {
  const phones = createPhoneStore(database)
  const media = createMediaStore(database)
  const logins = createLoginStore(database)
  const { one, run } = statementsOf(database)
  const setting = one<{ value: string }, [string]>('SELECT value FROM sandbox_setting WHERE name = ?')
  return {
    /** A fact of the network itself. */
    setting: (name: string) => setting(name)?.value,
    putSetting: run<[name: string, value: string]>(
      'INSERT OR REPLACE INTO sandbox_setting (name, value) VALUES (?, ?)',
    ),
    ...phones,
    ...createChatStore(database, phones),
    ...createMessageStore(database, media),
    ...media,
    ...logins,
    ...createDeliveryStore(database, logins),
  }
}
