/** Table of the network's own facts. */
import type { Database } from 'bun:sqlite'

export function createSettingStore(database: Database) {
  const sql = {
    setting: database.query<{ value: string }, [string]>('SELECT value FROM sandbox_setting WHERE name = ?'),
    putSetting: database.query('INSERT OR REPLACE INTO sandbox_setting (name, value) VALUES (?, ?)'),
  }

  return {
    setting: (name: string): string | null => sql.setting.get(name)?.value ?? null,
    putSetting: (name: string, value: string): void => void sql.putSetting.run(name, value),
  }
}
