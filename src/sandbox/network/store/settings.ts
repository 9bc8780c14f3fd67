/** Table of the network's own facts. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'

export function createSettingStore(database: Database) {
  const { one, run } = statementsOf(database)
  const setting = one<{ value: string }, [string]>('SELECT value FROM sandbox_setting WHERE name = ?')
  return {
    setting: (name: string): string | undefined => setting(name)?.value,
    putSetting: run<[name: string, value: string]>(
      'INSERT OR REPLACE INTO sandbox_setting (name, value) VALUES (?, ?)',
    ),
  }
}
