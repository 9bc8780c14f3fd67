/** The tokens' use cases, as the HTTP routes call them. */
import type { TokenPage, TokenView } from '../../domain/views/token.ts'
import type { Worker } from '../../runtime/worker.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { Principal } from './credential-types.ts'

/** Who calls with a token. */
export interface TokenHolder {
  tokenId: number
  identity: { id: string; matrixUserId: string }
  isAdmin: boolean
}

interface TokenInput {
  credential: Principal
  useHost?: boolean | undefined
  /** RFC 3339 with an offset, in the future. */
  expiresAt?: string | undefined
  record?: Recorder<string> | undefined
}

export interface Tokens {
  /**
   * The first token that a super admin makes is the admin's, and its identity the host. `useHost`
   * shares the host identity; otherwise each token gets an identity of its own.
   * @returns the token, which is shown this once
   * @throws GatewayError bad_request (expires_at, or use_host before there is an admin), forbidden
   * (use_host without super_admin), homeserver_unavailable, homeserver_error
   */
  create(input: TokenInput): Promise<string>
  /**
   * Lists the credential's own tokens, and for a super admin those of no credential, too; oldest
   * first, some at a time.
   */
  list(credential: Principal): AsyncIterable<TokenView[]>
  /**
   * The same, newest first and a page at a time.
   * @param cursor `next` of the page before
   * @returns `next` null at the end. @throws GatewayError bad_request for a cursor of another list
   */
  page(credential: Principal, limit: number, cursor: string | undefined): Promise<TokenPage>
  /** @throws GatewayError not_found: also for a token that `list` wouldn't show */
  remove(credential: Principal, id: number): Promise<void>
  /** @throws GatewayError forbidden: unknown, expired, or of a credential that isn't active */
  authenticate(token: string): Promise<TokenHolder>
  /** Deletes expired tokens hourly. */
  cleanup: Worker & { tick(): Promise<void> }
  /** Writes last_used_at of the tokens used, every few seconds and when it stops. */
  usage: Worker & { tick(): Promise<void> }
}
