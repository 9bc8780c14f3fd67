/**
 * SQL of the change of SECRET_KEY. Tables and columns come from a closed list, never from outside.
 */
import type { Db } from '../../../db/open.ts'
import { sqlStatement } from '../../../db/statement.ts'
import { bridgeSecretContext } from '../../bridges-attached/bridges-attached.ts'
import { accessTokenContext } from '../../tenants/matrix-access-tokens.ts'
import { createSettingsRepository, replaceSetting } from '../../tenants/settings-repository.ts'
import { headersContext, signingSecretContext } from '../../webhooks/delivery-try.ts'

export interface SealedColumn {
  table: string
  column: string
  /** The column that tells whose the value is. */
  owner: string
  /** Binds the value to its use. */
  contextOf(owner: string): string
}

/** A test compares it with the tables. Answers to an Idempotency-Key are gone within a day. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  { table: 'identities', column: 'access_token_sealed', owner: 'id', contextOf: accessTokenContext },
  { table: 'webhooks', column: 'secret_sealed', owner: 'identity_id', contextOf: signingSecretContext },
  { table: 'webhooks', column: 'old_secret_sealed', owner: 'identity_id', contextOf: signingSecretContext },
  { table: 'webhooks', column: 'headers_sealed', owner: 'identity_id', contextOf: headersContext },
  ...(['as_token', 'hs_token', 'secret'] as const).map(what => ({
    table: 'bridges',
    column: `${what}_sealed`,
    owner: 'platform',
    contextOf: (platform: string) => bridgeSecretContext(platform, what),
  })),
]

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

export type SecretKeyRepository = ReturnType<typeof createSecretKeyRepository>

export function createSecretKeyRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    settings: createSettingsRepository(db),

    /** @returns any sealed value, null when there is none */
    sample: () =>
      db.read(async (reader): Promise<{ sealed: string; context: string } | null> => {
        for (const { any, contextOf } of COLUMNS) {
          const row = await reader.get(any)
          if (row) return { sealed: row.sealed, context: contextOf(row.owner) }
        }
        return null
      }),

    /**
     * Seals all values anew and writes settings in one transaction: every value is under the new
     * key, or none is.
     * @param reseal throws when it can't open a value
     */
    replace: (
      reseal: (sealed: string, context: string) => string,
      settings: Readonly<Record<string, string>>,
    ) =>
      db.write(async tx => {
        for (const { all, update, contextOf } of COLUMNS) {
          for (const row of await tx.all(all))
            await tx.run(update, { ...row, resealed: reseal(row.sealed, contextOf(row.owner)) })
        }
        for (const [name, value] of Object.entries(settings)) await replaceSetting(tx, name, value)
      }),

    /** Counts the tokens made before `time` that nobody has used since. */
    async countUnusedTokens(time: number): Promise<number> {
      return (await db.read(reader => reader.get(unusedTokens, { time })))?.count ?? 0
    },
  }
}
