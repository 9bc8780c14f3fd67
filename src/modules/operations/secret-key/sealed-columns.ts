/** Every column whose values are sealed, so that all of them can be sealed anew under another SECRET_KEY. */
import { bridgeSecretContext } from '../../bridges-attached/attached-bridges.ts'
import { accessTokenContext } from '../../tenants/access-tokens.ts'
import { headersContext, signingSecretContext } from '../../webhooks/delivery-try.ts'

export interface SealedColumn {
  table: string
  column: string
  /** The column that tells whose the value is. */
  owner: string
  /** What the value is bound to. */
  contextOf(owner: string): string
}

/** A test compares it with the tables. Answers to an Idempotency-Key aren't here: they are gone within a day. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  { table: 'identities', column: 'access_token_sealed', owner: 'id', contextOf: accessTokenContext },
  { table: 'webhooks', column: 'secret_sealed', owner: 'identity_id', contextOf: signingSecretContext },
  { table: 'webhooks', column: 'old_secret_sealed', owner: 'identity_id', contextOf: signingSecretContext },
  { table: 'webhooks', column: 'headers_sealed', owner: 'identity_id', contextOf: headersContext },
  ...(['as_token', 'hs_token', 'secret'] as const).map(what => ({
    table: 'bridges',
    column: `${what}_sealed`,
    owner: 'platform',
    contextOf: (platform: string) => bridgeSecretContext(platform, what),
  })),
]
