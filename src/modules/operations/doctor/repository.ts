/** The doctor's reads of the database. */
import { max } from 'drizzle-orm'
import type { Db } from '../../../db/open.ts'
import { credentials, devices, tokens } from '../../../db/schema/index.ts'
import { sqlStatement, statement } from '../../../db/statement.ts'

const NEWEST = [
  statement(orm => orm.select({ at: max(credentials.updatedAt) }).from(credentials)),
  statement(orm => orm.select({ at: max(tokens.updatedAt) }).from(tokens)),
  statement(orm => orm.select({ at: max(tokens.lastUsedAt) }).from(tokens)),
  statement(orm => orm.select({ at: max(devices.updatedAt) }).from(devices)),
]

/** @returns the newest instant of the tables that are small; null when they are empty */
export function newestInstant(db: Pick<Db, 'read'>): Promise<number | null> {
  return db.read(async reader => {
    let newest: number | null = null
    for (const query of NEWEST) {
      const at = (await reader.get(query))?.at ?? null
      if (at !== null) newest = Math.max(newest ?? at, at)
    }
    return newest
  })
}

const tableNamed = sqlStatement('SELECT 1 FROM sqlite_master WHERE name = $name')
const largeIdentities = sqlStatement<{ identity: string; bytes: number }>(
  `SELECT matrix_user_id AS identity, sum(size_bytes) AS bytes FROM media JOIN identities ON identities.id = identity_id
   WHERE stored = 1 GROUP BY identity_id HAVING bytes >= $leastBytes ORDER BY bytes DESC`,
)
const sharedByTokens = sqlStatement<Omit<SharedIdentity, 'isUsersHost'> & { isUsersHost: number }>(
  `SELECT max(is_admin AND role IS 'user') AS isUsersHost,
     group_concat(tokens.id || ' (' || client_id || ')', ', ') FILTER (WHERE role = 'user') AS ofUsers,
     group_concat(tokens.id || coalesce(' (' || client_id || ')', ''), ', ') FILTER (WHERE role IS NOT 'user') AS ofOthers
   FROM identities JOIN tokens ON identity_id = identities.id LEFT JOIN credentials ON client_id = credential_id
   GROUP BY identities.id
   HAVING ofUsers IS NOT NULL AND (ofOthers IS NOT NULL OR isUsersHost)
   ORDER BY identities.created_at`,
)

/**
 * Identities whose files take at least so many bytes, the largest first. Reads a database of any
 * version.
 */
export function identitiesWithFiles(
  db: Pick<Db, 'read'>,
  leastBytes: number,
): Promise<{ identity: string; bytes: number }[]> {
  return db.read(async reader => {
    if (!(await reader.get(tableNamed, { name: 'media' }))) return []
    return reader.all(largeIdentities, { leastBytes })
  })
}

export interface SharedIdentity {
  /** True when a plain user's token made it the host identity. */
  isUsersHost: boolean
  /** Tokens with their credentials, as in `7 (my-app)`. */
  ofUsers: string
  /** Null where only plain users' tokens open it. */
  ofOthers: string | null
}

/**
 * Identities that plain users' tokens open beside others', and a host identity that is theirs.
 * Reads a database of any version.
 */
export function sharedIdentities(db: Pick<Db, 'read'>): Promise<SharedIdentity[]> {
  return db.read(async reader => {
    if (!(await reader.get(tableNamed, { name: 'tokens' }))) return []
    const rows = await reader.all(sharedByTokens)
    return rows.map(row => ({ ...row, isUsersHost: row.isUsersHost === 1 }))
  })
}
