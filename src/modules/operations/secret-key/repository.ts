/**
 * SQL of the change of SECRET_KEY. Tables and columns come from a closed list, never from outside.
 */
import type { Db } from '../../../db/open.ts'
import { sqlStatement } from '../../../db/statement.ts'
import { replaceSetting, settingOf } from '../../tenants/settings-repository.ts'
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

const COLUMNS = SEALED_COLUMNS.map(({ table, column, owner, contextOf }) => {
  const select = `SELECT ${owner} AS owner, ${column} AS sealed FROM ${table} WHERE ${column} IS NOT NULL`
  return {
    contextOf,
    all: sqlStatement<SealedRow>(select),
    any: sqlStatement<SealedRow>(`${select} LIMIT 1`),
    update: sqlStatement(
      `UPDATE ${table} SET ${column} = $resealed WHERE ${owner} = $owner AND ${column} = $sealed`,
    ),
  }
})
const unusedTokens = sqlStatement<{ count: number }>(
  `SELECT count(*) AS count FROM tokens
   WHERE created_at < $time AND (last_used_at IS NULL OR last_used_at < $time)`,
)

export function createSecretKeyRepository(db: Pick<Db, 'read' | 'write'>): SecretKeyRepository {
  return {
    sample: () =>
      db.read(async reader => {
        for (const { any, contextOf } of COLUMNS) {
          const row = await reader.get(any)
          if (row) return { sealed: row.sealed, context: contextOf(row.owner) }
        }
        return null
      }),
    setting: name => db.read(reader => settingOf(reader, name)),
    set: (name, value) => db.write(tx => replaceSetting(tx, name, value)),
    replace: ({ reseal, settings }) =>
      db.write(async tx => {
        for (const { all, update, contextOf } of COLUMNS) {
          for (const row of await tx.all(all))
            await tx.run(update, { ...row, resealed: reseal(row.sealed, contextOf(row.owner)) })
        }
        for (const [name, value] of Object.entries(settings)) await replaceSetting(tx, name, value)
      }),
    async countUnusedTokens(time) {
      return (await db.read(reader => reader.get(unusedTokens, { time })))?.count ?? 0
    },
  }
}
