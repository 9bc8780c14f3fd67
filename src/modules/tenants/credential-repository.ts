/** SQL of the credentials. */
import { and, asc, count, eq, ne, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { rowsBy } from '../../db/row-statements.ts'
import { type Credential, credentials, idempotencyKeys, tokens } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { keysOfCredential } from '../idempotency/holders.ts'
import { replaceSetting, settingOf } from './settings-repository.ts'

const byId = rowsBy(credentials, 'clientId')
const all = statement(orm =>
  orm.select().from(credentials).orderBy(asc(credentials.createdAt), asc(credentials.clientId)),
)
const activeSuperAdminsBut = statement(orm =>
  orm
    .select({ count: count() })
    .from(credentials)
    .where(
      and(
        eq(credentials.role, 'super_admin'),
        eq(credentials.active, true),
        ne(credentials.clientId, sql.placeholder('clientId')),
      ),
    ),
)

export function createCredentialRepository(db: Pick<Db, 'read' | 'write'>) {
  async function leavesNoSuperAdmin(tx: Tx, before: Credential, after: Credential): Promise<boolean> {
    if (!isActiveSuperAdmin(before) || isActiveSuperAdmin(after)) return false
    return (await tx.get(activeSuperAdminsBut, { clientId: before.clientId }))?.count === 0
  }

  return {
    find: async (clientId: string): Promise<Credential | null> =>
      (await db.read(reader => reader.get(byId, { clientId }))) ?? null,

    list: () => db.read(reader => reader.all(all)),

    /** @param onStored writes with the same transaction. @returns false when the id is taken */
    insert: (credential: Credential, onStored: (tx: Tx) => Promise<void>) =>
      db.write(async tx => {
        const stored = await tx.all(orm =>
          orm.insert(credentials).values(credential).onConflictDoNothing().returning(),
        )
        if (stored.length > 0) await onStored(tx)
        return stored.length > 0
      }),

    /**
     * @returns the changed row; `missing` when there is none, `last_super_admin` (nothing is
     * changed) when no active super admin would be left
     */
    update: (clientId: string, change: Partial<Omit<Credential, 'clientId' | 'createdAt'>>) =>
      db.write(async (tx): Promise<Credential | 'missing' | 'last_super_admin'> => {
        const before = await tx.get(byId, { clientId })
        if (!before) return 'missing'
        const after = { ...before, ...change }
        if (await leavesNoSuperAdmin(tx, before, after)) return 'last_super_admin'
        await tx.run(orm => orm.update(credentials).set(change).where(eq(credentials.clientId, clientId)))
        tx.emit('credential-changed')
        return after
      }),

    /** Deletes the credential with its tokens, and what it might ask for again. */
    remove: (clientId: string) =>
      db.write(async tx => {
        const holder = keysOfCredential(clientId)
        await tx.run(orm => orm.delete(idempotencyKeys).where(eq(idempotencyKeys.holder, holder)))
        await tx.run(orm => orm.delete(tokens).where(eq(tokens.credentialId, clientId)))
        await tx.run(orm => orm.delete(credentials).where(eq(credentials.clientId, clientId)))
        tx.emit('credential-changed')
      }),

    /** Writes the whole credential and the fingerprint of its secret. */
    putWithFingerprint: (credential: Credential, fingerprint: string) =>
      db.write(async tx => {
        const { clientId, createdAt: _, ...change } = credential
        await tx.run(orm =>
          orm
            .insert(credentials)
            .values(credential)
            .onConflictDoUpdate({ target: credentials.clientId, set: change }),
        )
        await replaceSetting(tx, fingerprintName(clientId), fingerprint)
        tx.emit('credential-changed')
      }),

    fingerprint: (clientId: string) => db.read(reader => settingOf(reader, fingerprintName(clientId))),
  }
}

function isActiveSuperAdmin({ role, active }: Credential): boolean {
  return role === 'super_admin' && active
}

function fingerprintName(clientId: string): string {
  return `credential-fingerprint:${clientId}`
}
