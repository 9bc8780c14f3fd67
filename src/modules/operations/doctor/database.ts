/** Checks that the database opens, is of this version and whole, and that SECRET_KEY fits it. */
import { existsSync } from 'node:fs'
import { migrationStatus } from '../../../db/migrate.ts'
import { type Db, openDb } from '../../../db/open.ts'
import { messageOf } from '../../../domain/errors.ts'
import type { AttachedBridges } from '../../bridges-attached/bridges-attached.ts'
import { type Check, failure, type Outcome, ok, skipped, warning } from './doctor.ts'
import { identitiesWithFiles, sharedIdentities } from './repository.ts'

/** The doctor speaks of a quota that is used to this part. */
const NEARLY_FULL = 0.9

/**
 * @param databaseFile made by the first start
 * @param quotaBytes of an identity's files; null: no limit
 */
export function databaseCheck(databaseFile: string, quotaBytes: number | null): Check {
  return {
    subject: 'database',
    async run() {
      if (!existsSync(databaseFile))
        return skipped(`${databaseFile} isn't there yet: the first start makes it`)
      let db: Db | undefined
      try {
        db = openDb(databaseFile)
        return [
          wholeness(db, databaseFile),
          versionOf(db),
          ...(await sharing(db)),
          ...(await quotas(db, quotaBytes)),
        ]
      } catch (error) {
        return failure(
          `${databaseFile}: ${messageOf(error)}`,
          'restore it from a backup, or use the version of meshgate that wrote it',
        )
      } finally {
        await db?.close()
      }
    },
  }
}

async function quotas(db: Db, quotaBytes: number | null): Promise<Outcome[]> {
  if (quotaBytes === null) return []
  return (await identitiesWithFiles(db, quotaBytes * NEARLY_FULL)).map(({ identity, bytes }) =>
    warning(
      `the files of ${identity} take ${bytes} of ${quotaBytes} bytes: beyond that its uploads are refused`,
      'raise MEDIA_QUOTA_PER_IDENTITY, or keep files for a shorter time (MEDIA_RETENTION_DAYS)',
    ),
  )
}

function wholeness({ connection }: Db, databaseFile: string): Outcome {
  const problems = connection.query<{ quick_check: string }, []>('PRAGMA quick_check(3)').all()
  const first = problems[0]?.quick_check
  if (first === 'ok') return ok(`${databaseFile} is whole`)
  return failure(
    `${databaseFile} is damaged: ${first}`,
    'stop the gateway and restore DATA_DIR from a backup',
  )
}

function versionOf({ connection }: Db): Outcome {
  const all = migrationStatus(connection)
  const missing = all.filter(({ appliedAt }) => appliedAt === null)
  if (missing.length === 0) return ok(`all ${all.length} migrations are applied`)
  return warning(
    `${missing.length} of ${all.length} migrations are missing`,
    'run meshgate migrate up with the gateway stopped (a start does so too)',
  )
}

/**
 * Identities that tokens of plain users share with tokens of super admins. Earlier versions made
 * the very first token's identity the host, whoever asked for it; and a super admin may have become
 * a plain user since.
 */
async function sharing(db: Db): Promise<Outcome[]> {
  return (await sharedIdentities(db)).map(({ isUsersHost, ofUsers, ofOthers }) => {
    const newHost =
      "make a token with use_host false and a super admin's credential: its identity becomes the host"
    const apart = `delete token ${ofOthers} (DELETE /api/v1/tokens/{id}, with its credential) and make another with use_host true`
    const outcome =
      ofOthers === null
        ? warning(
            `the host identity belongs to token ${ofUsers} of a plain user: use_host is refused`,
            newHost,
          )
        : warning(
            `token ${ofUsers} of a plain user and token ${ofOthers} share an identity: each reads the other's messages`,
            isUsersHost ? `${newHost}; then ${apart}` : `${apart}, or delete token ${ofUsers}`,
          )
    return { subject: 'tokens', ...outcome }
  })
}

/** @param attached read with the SECRET_KEY of the settings */
export function secretKeyCheck(attached: Pick<AttachedBridges, 'list'>): Check {
  return {
    subject: 'SECRET_KEY',
    async run() {
      try {
        const count = (await attached.list()).length
        return count === 0
          ? skipped('no bridge is attached whose secrets it could be tried on')
          : ok('opens what was sealed with it')
      } catch {
        return failure(
          "doesn't open what is in the database: it was sealed with another",
          'set the SECRET_KEY that the database was made with; without it, attach the bridges anew (meshgate bridge remove, then add)',
        )
      }
    },
  }
}
