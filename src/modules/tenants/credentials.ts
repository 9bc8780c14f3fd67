/**
 * Credentials: API clients that authenticate with id and secret, and what each may do.
 * `createCredentials({ db, hasher, clock })`
 */
import type { Db } from '../../db/open.ts'
import type { Credential } from '../../db/schema/index.ts'
import { CLIENT_ID, CLIENT_ID_PHRASE } from '../../domain/client-ids.ts'
import { GatewayError } from '../../domain/errors.ts'
import { allows, effectiveScopes, isScope, SCOPES, type Scope } from '../../domain/scopes.ts'
import type { Role } from '../../domain/states.ts'
import type { CredentialView } from '../../domain/views/credential.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import { equalInConstantTime } from '../../lib/sealing.ts'
import { randomToken } from '../../lib/tokens.ts'
import type { Recorder } from '../idempotency/types.ts'
import { createCredentialRepository } from './credential-repository.ts'
import { createSecretHashing, UNMATCHABLE_HASH } from './secret-hashing.ts'

/** A caller that has proved itself: a credential without its secret's hash. */
export type Principal = Pick<Credential, 'clientId' | 'role' | 'scopes'>

export interface NewCredential {
  credential: CredentialView
  /** Shown this once. */
  clientSecret: string
}

interface Rights {
  description?: string | undefined
  role?: Role | undefined
  scopes?: readonly string[] | undefined
}

export interface CredentialsOptions {
  db: Pick<Db, 'read' | 'write'>
  /** Keyed one-way function (createHmacHasher), under a key of its own. */
  hasher: (text: string) => string
  clock: Clock
}

export type Credentials = ReturnType<typeof createCredentials>

/**
 * One rule says who may do what: an actor creates, changes or deletes only credentials whose
 * scopes, before and after, it has itself. So nobody gains a right through a credential they made.
 */
export function createCredentials({ db, hasher, clock }: CredentialsOptions) {
  const repository = createCredentialRepository(db)
  const hashing = createSecretHashing(hasher, clock)

  const existing = async (clientId: string): Promise<Credential> => {
    const credential = await repository.find(clientId)
    if (!credential) throw noSuchCredential(clientId)
    return credential
  }

  const change = async (clientId: string, columns: Parameters<typeof repository.update>[1]) => {
    const updated = await repository.update(clientId, { ...columns, updatedAt: clock.now() })
    if (updated === 'missing') throw noSuchCredential(clientId)
    if (updated === 'last_super_admin') {
      throw new GatewayError('forbidden', 'The last active super admin must keep its role and stay active')
    }
    return updated
  }

  return {
    /**
     * @throws GatewayError bad_request (client_id or scopes malformed), forbidden (more rights than
     * the actor's), conflict (id taken)
     */
    async create(
      actor: Principal,
      {
        clientId,
        description = '',
        role = 'user',
        scopes = [],
        record,
      }: Rights & { clientId: string; record?: Recorder<NewCredential> | undefined },
    ): Promise<NewCredential> {
      if (!CLIENT_ID.test(clientId)) {
        throw new GatewayError('bad_request', `client_id: expected ${CLIENT_ID_PHRASE}`)
      }
      refuseUnknownScopes(scopes)
      refuseEscalation(actor, { role, scopes })
      // Asked before hashing too, so that a taken id costs no argon2.
      if (await repository.find(clientId)) throw idTaken(clientId)
      const clientSecret = randomToken('')
      const now = clock.now()
      const credential: Credential = {
        clientId,
        secretHash: await hashing.hash(clientSecret),
        role,
        scopes: [...scopes],
        description,
        active: true,
        createdAt: now,
        updatedAt: now,
      }
      const created = { credential: viewOf(credential), clientSecret }
      const isStored = await repository.insert(credential, async tx => record?.(tx, created))
      if (!isStored) throw idTaken(clientId)
      return created
    },

    /** Oldest first. */
    list: async () => (await repository.list()).map(viewOf),

    /**
     * @returns the new secret too, when `regenerateSecret` asked for one
     * @throws GatewayError not_found, bad_request, forbidden (also for the last active super admin)
     */
    async update(
      actor: Principal,
      clientId: string,
      {
        description,
        active,
        role,
        scopes,
        regenerateSecret,
      }: Rights & { active?: boolean | undefined; regenerateSecret?: boolean | undefined },
    ): Promise<{ credential: CredentialView; clientSecret?: string }> {
      const before = await existing(clientId)
      if (scopes) refuseUnknownScopes(scopes)
      refuseEscalation(actor, before)
      refuseEscalation(actor, { role: role ?? before.role, scopes: scopes ?? before.scopes })
      const clientSecret = regenerateSecret ? randomToken('') : undefined
      const after = await change(clientId, {
        ...(description === undefined ? {} : { description }),
        ...(active === undefined ? {} : { active }),
        ...(role === undefined ? {} : { role }),
        ...(scopes === undefined ? {} : { scopes: [...scopes] }),
        ...(clientSecret === undefined ? {} : { secretHash: await hashing.hash(clientSecret) }),
      })
      return { credential: viewOf(after), ...(clientSecret === undefined ? {} : { clientSecret }) }
    },

    /** Deletes its tokens too. @throws GatewayError not_found, forbidden (a super admin) */
    async remove(actor: Principal, clientId: string): Promise<void> {
      const credential = await existing(clientId)
      if (credential.role === 'super_admin') {
        throw new GatewayError('forbidden', 'Cannot delete super admin credentials')
      }
      refuseEscalation(actor, credential)
      await repository.remove(clientId)
    },

    /**
     * Takes the same time whether or not the id exists.
     * @throws GatewayError unauthorized (wrong id or secret), forbidden (inactive),
     * too_many_requests (too many checks at once)
     */
    async authenticate(clientId: string, secret: string): Promise<Principal> {
      const credential = await repository.find(clientId)
      const right = await hashing.verify(secret, credential?.secretHash ?? UNMATCHABLE_HASH)
      if (!credential || !right) {
        throw new GatewayError('unauthorized', 'Wrong client id or client secret')
      }
      if (!credential.active) throw new GatewayError('forbidden', 'This credential is not active')
      return credential
    },

    /** Stores the configured super admin, active, with this secret. Cheap when nothing changed. */
    async ensureSuperAdmin(clientId: string, clientSecret: string): Promise<void> {
      const credential = await repository.find(clientId)
      if (credential && (await isCurrent(credential, clientSecret))) return
      const now = clock.now()
      const keeps = credential && (await hashing.verify(clientSecret, credential.secretHash))
      const secretHash = keeps ? credential.secretHash : await hashing.hash(clientSecret)
      await repository.putWithFingerprint(
        {
          clientId,
          secretHash,
          role: 'super_admin',
          scopes: credential?.scopes ?? [],
          description: credential?.description ?? 'Super admin of the configuration',
          active: true,
          createdAt: credential?.createdAt ?? now,
          updatedAt: now,
        },
        fingerprintOf(clientSecret, secretHash),
      )
    },

    /** For the command line. @returns the new secret @throws GatewayError not_found */
    async resetSecret(clientId: string): Promise<string> {
      const clientSecret = randomToken('')
      await existing(clientId)
      await change(clientId, { secretHash: await hashing.hash(clientSecret) })
      return clientSecret
    },
  }

  /** True when the configured super admin needs no change; needs no argon2. */
  async function isCurrent(credential: Credential, clientSecret: string): Promise<boolean> {
    if (credential.role !== 'super_admin' || !credential.active) return false
    const stored = await repository.fingerprint(credential.clientId)
    return stored !== null && equalInConstantTime(stored, fingerprintOf(clientSecret, credential.secretHash))
  }

  /** Tied to the hash, so that it goes stale when the secret is changed through the API. */
  function fingerprintOf(clientSecret: string, secretHash: string): string {
    return hasher(`${secretHash}\n${clientSecret}`)
  }
}

function viewOf(credential: Credential): CredentialView {
  return {
    client_id: credential.clientId,
    role: credential.role,
    scopes: credential.scopes,
    description: credential.description,
    active: credential.active,
    created_at: rfc3339(credential.createdAt),
    updated_at: rfc3339(credential.updatedAt),
  }
}

function refuseUnknownScopes(scopes: readonly string[]): void {
  const unknown = scopes.find(scope => !isScope(scope))
  if (unknown !== undefined) {
    throw new GatewayError(
      'bad_request',
      `scopes: "${unknown}" is not a scope, expected ${SCOPES.join(', ')} or what has these below its *, such as tokens:*`,
    )
  }
}

function refuseEscalation(actor: Principal, target: Pick<Principal, 'role'> & { scopes: readonly string[] }) {
  const held = effectiveScopes(actor.role, actor.scopes)
  const beyond = effectiveScopes(target.role, target.scopes).find(scope => !allows(held, scope as Scope))
  if (beyond !== undefined) {
    throw new GatewayError('forbidden', `This needs the scope ${beyond}, which your credential doesn't have`)
  }
}

function noSuchCredential(clientId: string): GatewayError {
  return new GatewayError('not_found', `There is no credential ${clientId}`)
}

function idTaken(clientId: string): GatewayError {
  return new GatewayError('conflict', `client_id: ${clientId} is taken`)
}
