/**
 * Credentials: API clients that authenticate with id and secret, and what each may do.
 * `createCredentials({ db, hasher, clock })`
 */
import type { Db } from '../../db/open.ts'
import type { Credential } from '../../db/schema/index.ts'
import { CLIENT_ID, CLIENT_ID_PHRASE } from '../../domain/client-ids.ts'
import { GatewayError } from '../../domain/errors.ts'
import { allows, effectiveScopes, isScope, SCOPES, type Scope } from '../../domain/scopes.ts'
import type { CredentialView } from '../../domain/views/credential.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import { equalInConstantTime } from '../../lib/sealing.ts'
import { randomToken } from '../../lib/tokens.ts'
import { createCredentialRepository } from './credential-repository.ts'
import type { Credentials, Principal } from './credential-types.ts'
import { createSecretHashing, UNMATCHABLE_HASH } from './secret-hashing.ts'

export interface CredentialsOptions {
  db: Pick<Db, 'read' | 'write'>
  /** Keyed one-way function (createHmacHasher), under a key of its own. */
  hasher: (text: string) => string
  clock: Clock
}

export function createCredentials({ db, hasher, clock }: CredentialsOptions): Credentials {
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
    async create(actor, { clientId, description = '', role = 'user', scopes = [], record }) {
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

    list: async () => (await repository.list()).map(viewOf),

    async update(actor, clientId, { description, active, role, scopes, regenerateSecret }) {
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

    async remove(actor, clientId) {
      const credential = await existing(clientId)
      if (credential.role === 'super_admin') {
        throw new GatewayError('forbidden', 'Cannot delete super admin credentials')
      }
      refuseEscalation(actor, credential)
      await repository.remove(clientId)
    },

    async authenticate(clientId, secret) {
      const credential = await repository.find(clientId)
      const right = await hashing.verify(secret, credential?.secretHash ?? UNMATCHABLE_HASH)
      if (!credential || !right) {
        throw new GatewayError('unauthorized', 'Wrong client id or client secret')
      }
      if (!credential.active) throw new GatewayError('forbidden', 'This credential is not active')
      return credential
    },

    async ensureSuperAdmin(clientId, clientSecret) {
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

    async resetSecret(clientId) {
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
