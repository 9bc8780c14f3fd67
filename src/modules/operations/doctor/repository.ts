/** The doctor's reads of the database. */
import type { Db } from '../../../db/open.ts'
import { sqlStatement } from '../../../db/statement.ts'

const newest = sqlStatement<{ at: number | null }>(
  `SELECT max(at) AS at FROM (
     SELECT max(updated_at) AS at FROM credentials UNION ALL SELECT max(updated_at) FROM devices
     UNION ALL SELECT max(updated_at) FROM tokens UNION ALL SELECT max(last_used_at) FROM tokens)`,
)

/** @returns the newest instant of the tables that are small; null when they are empty */
export async function newestInstant(db: Pick<Db, 'read'>): Promise<number | null> {
  return (await db.read(reader => reader.get(newest)))?.at ?? null
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
