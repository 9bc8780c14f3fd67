/** SQL that tells whether somebody may still act as an identity. */
import { and, eq, type SQLWrapper, sql } from 'drizzle-orm'
import { credentials, tokens } from '../../db/schema/index.ts'
import { numberParam } from '../../db/stable-params.ts'
import type { Orm } from '../../db/statement.ts'

/**
 * Tokens of an identity that have not expired and whose credential is active, for `exists`.
 * @param identityId a column of the statement around it. The statement's parameter `now` is the
 * time
 */
export function usableTokenOf(orm: Orm, identityId: SQLWrapper) {
  return orm
    .select({ id: tokens.id })
    .from(tokens)
    .leftJoin(credentials, eq(credentials.clientId, tokens.credentialId))
    .where(
      and(
        eq(tokens.identityId, identityId),
        sql`(${tokens.expiresAt} is null or ${tokens.expiresAt} > ${numberParam('now')})`,
        sql`(${tokens.credentialId} is null or ${credentials.active} = 1)`,
      ),
    )
}
