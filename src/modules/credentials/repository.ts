/** SQL of the credentials. */
import { and, asc, count, eq, ne, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Credential, credentials, idempotencyKeys, settings, tokens } from '../../db/schema/index.ts'
import { credentialHolder } from '../idempotency/holders.ts'

export interface CredentialRepository {
  find(clientId: string): Promise<Credential | null>
  list(): Promise<Credential[]>
  /** @param onStored is called inside the transaction. @returns false when the id is taken */
  insert(credential: Credential, onStored: () => void): Promise<boolean>
  /**
   * @returns the changed row; `missing` when there is none, `last_super_admin` when no active super admin would be left (nothing is
   *   changed then)
   */
  update(
    clientId: string,
    change: Partial<Omit<Credential, 'clientId' | 'createdAt'>>,
  ): Promise<Credential | 'missing' | 'last_super_admin'>
  /** Deletes the credential with its tokens, and what it might ask for again. */
  remove(clientId: string): Promise<void>
  /** Writes the whole credential and the fingerprint of its secret. */
  putWithFingerprint(credential: Credential, fingerprint: string): Promise<void>
  fingerprint(clientId: string): Promise<string | null>
}

export function createCredentialRepository({ orm, committer }: Db): CredentialRepository {
  const byId = orm
    .select()
    .from(credentials)
    .where(eq(credentials.clientId, sql.placeholder('clientId')))
    .prepare()
  const all = orm
    .select()
    .from(credentials)
    .orderBy(asc(credentials.createdAt), asc(credentials.clientId))
    .prepare()

  const leavesNoSuperAdmin = (before: Credential, after: Credential) => {
    if (!isActiveSuperAdmin(before) || isActiveSuperAdmin(after)) return false
    const others = orm
      .select({ count: count() })
      .from(credentials)
      .where(
        and(
          eq(credentials.role, 'super_admin'),
          eq(credentials.active, true),
          ne(credentials.clientId, before.clientId),
        ),
      )
      .get()
    return others?.count === 0
  }

  return {
    find: async clientId => byId.get({ clientId }) ?? null,
    list: async () => all.all(),
    insert: (credential, onStored) =>
      committer.write(() => {
        const stored = orm.insert(credentials).values(credential).onConflictDoNothing().returning().all()
        if (stored.length === 0) return false
        onStored()
        return true
      }),
    update: (clientId, change) =>
      committer.write(() => {
        const before = byId.get({ clientId })
        if (!before) return 'missing'
        const after = { ...before, ...change }
        if (leavesNoSuperAdmin(before, after)) return 'last_super_admin'
        orm.update(credentials).set(change).where(eq(credentials.clientId, clientId)).run()
        return after
      }),
    remove: clientId =>
      committer.write(() => {
        orm
          .delete(idempotencyKeys)
          .where(eq(idempotencyKeys.holder, credentialHolder(clientId)))
          .run()
        orm.delete(tokens).where(eq(tokens.credentialId, clientId)).run()
        orm.delete(credentials).where(eq(credentials.clientId, clientId)).run()
      }),
    putWithFingerprint: (credential, fingerprint) =>
      committer.write(() => {
        const { clientId: _, createdAt: __, ...change } = credential
        orm
          .insert(credentials)
          .values(credential)
          .onConflictDoUpdate({ target: credentials.clientId, set: change })
          .run()
        orm
          .insert(settings)
          .values({ name: fingerprintName(credential.clientId), value: fingerprint })
          .onConflictDoUpdate({ target: settings.name, set: { value: fingerprint } })
          .run()
      }),
    fingerprint: async clientId =>
      orm
        .select()
        .from(settings)
        .where(eq(settings.name, fingerprintName(clientId)))
        .get()?.value ?? null,
  }
}

function isActiveSuperAdmin({ role, active }: Credential): boolean {
  return role === 'super_admin' && active
}

function fingerprintName(clientId: string): string {
  return `credential-fingerprint:${clientId}`
}
