/** What the doctor reads from the database. */
import { max } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { credentials, devices, tokens } from '../../db/schema/index.ts'

export interface DoctorRepository {
  /** The newest instant of the tables that are small; null when they are empty. */
  newestInstant(): Promise<number | null>
}

export function createDoctorRepository({ orm }: Db): DoctorRepository {
  return {
    newestInstant: async () => {
      const instants = [
        orm
          .select({ at: max(credentials.updatedAt) })
          .from(credentials)
          .get()?.at,
        orm
          .select({ at: max(tokens.updatedAt) })
          .from(tokens)
          .get()?.at,
        orm
          .select({ at: max(tokens.lastUsedAt) })
          .from(tokens)
          .get()?.at,
        orm
          .select({ at: max(devices.updatedAt) })
          .from(devices)
          .get()?.at,
      ].filter(at => typeof at === 'number')
      return instants.length > 0 ? Math.max(...instants) : null
    },
  }
}

/**
 * Identities whose files take at least so many bytes, the largest first. Reads a database of any
 * version.
 */
export function identitiesWithFiles(
  { connection }: Db,
  leastBytes: number,
): { identity: string; bytes: number }[] {
  const hasMedia = connection.query("SELECT 1 FROM sqlite_master WHERE name = 'media'").get() !== null
  if (!hasMedia) return []
  return connection
    .query<{ identity: string; bytes: number }, [number]>(
      `SELECT matrix_user_id AS identity, sum(size_bytes) AS bytes FROM media JOIN identities ON identities.id = identity_id
       WHERE stored = 1 GROUP BY identity_id HAVING bytes >= ? ORDER BY bytes DESC`,
    )
    .all(leastBytes)
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
export function sharedIdentities({ connection }: Db): SharedIdentity[] {
  const hasTokens = connection.query("SELECT 1 FROM sqlite_master WHERE name = 'tokens'").get() !== null
  if (!hasTokens) return []
  return connection
    .query<Omit<SharedIdentity, 'isUsersHost'> & { isUsersHost: number }, []>(
      `SELECT max(is_admin AND role IS 'user') AS isUsersHost,
         group_concat(tokens.id || ' (' || client_id || ')', ', ') FILTER (WHERE role = 'user') AS ofUsers,
         group_concat(tokens.id || coalesce(' (' || client_id || ')', ''), ', ') FILTER (WHERE role IS NOT 'user') AS ofOthers
       FROM identities JOIN tokens ON identity_id = identities.id LEFT JOIN credentials ON client_id = credential_id
       GROUP BY identities.id
       HAVING ofUsers IS NOT NULL AND (ofOthers IS NOT NULL OR isUsersHost)
       ORDER BY identities.created_at`,
    )
    .all()
    .map(row => ({ ...row, isUsersHost: row.isUsersHost === 1 }))
}
