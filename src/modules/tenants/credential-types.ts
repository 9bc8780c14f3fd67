/** The credentials' use cases, as the HTTP routes and the command line call them. */

import type { Credential } from '../../db/schema/index.ts'
import type { Role } from '../../domain/states.ts'
import type { CredentialView } from '../../domain/views/credential.ts'
import type { Recorder } from '../idempotency/types.ts'

/** A caller that has proved itself: a credential without its secret's hash. */
export type Principal = Pick<Credential, 'clientId' | 'role' | 'scopes'>

export interface NewCredential {
  credential: CredentialView
  clientSecret: string
}

interface CredentialInput {
  clientId: string
  description?: string | undefined
  role?: Role | undefined
  scopes?: readonly string[] | undefined
  record?: Recorder<NewCredential> | undefined
}

interface CredentialChange {
  description?: string | undefined
  active?: boolean | undefined
  role?: Role | undefined
  scopes?: readonly string[] | undefined
  regenerateSecret?: boolean | undefined
}

/**
 * One rule says who may do what: an actor creates, changes or deletes only credentials whose
 * scopes, before and after, it has itself. So nobody gains a right through a credential they made.
 */
export interface Credentials {
  /**
   * @returns the credential with its secret, which is shown this once
   * @throws GatewayError bad_request (client_id or scopes malformed), forbidden (more rights than
   * the actor's), conflict (id taken)
   */
  create(actor: Principal, input: CredentialInput): Promise<NewCredential>
  /** Oldest first. */
  list(): Promise<CredentialView[]>
  /**
   * @returns the new secret too, when `regenerateSecret` asked for one
   * @throws GatewayError not_found, bad_request, forbidden (also for the last active super admin)
   */
  update(
    actor: Principal,
    clientId: string,
    change: CredentialChange,
  ): Promise<{ credential: CredentialView; clientSecret?: string }>
  /** Deletes its tokens too. @throws GatewayError not_found, forbidden (a super admin) */
  remove(actor: Principal, clientId: string): Promise<void>
  /**
   * Takes the same time whether or not the id exists.
   * @throws GatewayError unauthorized (wrong id or secret), forbidden (inactive), too_many_requests
   * (too many checks at once)
   */
  authenticate(clientId: string, secret: string): Promise<Principal>
  /** Stores the configured super admin, active and with this secret. Cheap when nothing changed. */
  ensureSuperAdmin(clientId: string, clientSecret: string): Promise<void>
  /** For the command line. @returns the new secret @throws GatewayError not_found */
  resetSecret(clientId: string): Promise<string>
}
