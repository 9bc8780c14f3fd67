/** The network's tables. All methods are synchronous; writes run inside `committer.write()`. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'
import { createChatStore } from './store/chats.ts'
import { createLoginStore } from './store/logins.ts'
import { createMessageStore } from './store/messages.ts'

export type NetworkStore = ReturnType<typeof createNetworkStore>

export function createNetworkStore(database: Database) {
  const { value, run } = statementsOf(database)
  return {
    /** A fact of the network itself. */
    setting: value<string, [name: string]>('SELECT value FROM sandbox_setting WHERE name = ?'),
    putSetting: run<[name: string, value: string]>(
      'INSERT OR REPLACE INTO sandbox_setting (name, value) VALUES (?, ?)',
    ),
    ...createChatStore(database),
    ...createMessageStore(database),
    ...createLoginStore(database),
  }
}
