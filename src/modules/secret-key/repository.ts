/** SQL of the change of SECRET_KEY. Tables and columns come from a closed list, never from outside. */
import type { Db } from '../../db/open.ts'
import { SEALED_COLUMNS } from './sealed-columns.ts'

export interface Replacement {
  /** @returns the value sealed anew. @throws Error when it can't be opened */
  reseal(sealed: string, context: string): string
  /** Settings to be written with it, by name. */
  settings: Readonly<Record<string, string>>
}

export interface SecretKeyRepository {
  /** Any sealed value, null when there is none. */
  sample(): Promise<{ sealed: string; context: string } | null>
  setting(name: string): Promise<string | null>
  set(name: string, value: string): Promise<void>
  /** All sealed values and the settings in one transaction: either every value is under the new key, or none is. */
  replace(replacement: Replacement): Promise<void>
  /** Tokens made before `time` that nobody has used since. */
  countUnusedTokens(time: number): Promise<number>
}

interface SealedRow {
  owner: string
  sealed: string
}

export function createSecretKeyRepository({ connection, committer }: Db): SecretKeyRepository {
  const readSetting = connection.query<{ value: string }, [string]>(
    'SELECT value FROM settings WHERE name = ?',
  )
  const writeSetting = connection.query(
    'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  )
  const unusedTokens = connection.query<{ count: number }, [number, number]>(
    'SELECT count(*) AS count FROM tokens WHERE created_at < ? AND (last_used_at IS NULL OR last_used_at < ?)',
  )

  return {
    async sample() {
      for (const { table, column, owner, contextOf } of SEALED_COLUMNS) {
        const row = connection
          .query<SealedRow, []>(
            `SELECT ${owner} AS owner, ${column} AS sealed FROM ${table} WHERE ${column} IS NOT NULL LIMIT 1`,
          )
          .get()
        if (row) return { sealed: row.sealed, context: contextOf(row.owner) }
      }
      return null
    },
    setting: async name => readSetting.get(name)?.value ?? null,
    set: (name, value) =>
      committer.write(() => {
        writeSetting.run(name, value)
      }),
    replace: ({ reseal, settings }) =>
      committer.write(() => {
        for (const { table, column, owner, contextOf } of SEALED_COLUMNS) {
          const update = connection.query(
            `UPDATE ${table} SET ${column} = ? WHERE ${owner} = ? AND ${column} = ?`,
          )
          const rows = connection
            .query<SealedRow, []>(
              `SELECT ${owner} AS owner, ${column} AS sealed FROM ${table} WHERE ${column} IS NOT NULL`,
            )
            .all()
          for (const { owner: whose, sealed } of rows) {
            update.run(reseal(sealed, contextOf(whose)), whose, sealed)
          }
        }
        for (const [name, value] of Object.entries(settings)) writeSetting.run(name, value)
      }),
    countUnusedTokens: async time => unusedTokens.get(time, time)?.count ?? 0,
  }
}
