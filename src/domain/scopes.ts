/**
 * Scopes of credentials: colon paths; a grant that ends in `*` covers everything below. Tokens have
 * none: each may do everything with its identity (http/authentication.ts).
 */
import type { Role } from './states.ts'

export const SCOPES = [
  'credentials:read:*',
  'credentials:write:*',
  'tokens:read:*',
  'tokens:write:create',
  'tokens:write:delete',
] as const
export type Scope = (typeof SCOPES)[number]

/** An empty list of scopes lets the role `user` manage its own tokens. */
const DEFAULT_USER_SCOPES = ['tokens:read:*', 'tokens:write:create', 'tokens:write:delete']

const SCOPE_PATTERN = /^(\*|[a-z][a-z_]*(:[a-z][a-z_]*)*(:\*)?)$/

/** True for a scope that allows something: one of SCOPES, or one that has them below its `*`. */
export function isScope(text: string): boolean {
  return SCOPE_PATTERN.test(text) && SCOPES.some(scope => allows([text], scope))
}

/** The scopes in force: a super admin has `*`, an empty list stands for the role's default. */
export function effectiveScopes(role: Role, scopes: readonly string[]): readonly string[] {
  if (role === 'super_admin') return ['*']
  return scopes.length > 0 ? scopes : DEFAULT_USER_SCOPES
}

/** True when one of `granted` covers `required`. */
export function allows(granted: readonly string[], required: Scope): boolean {
  return granted.some(grant => covers(grant.split(':'), required.split(':')))
}

function covers(grant: string[], required: string[]): boolean {
  for (const [index, segment] of grant.entries()) {
    if (segment === '*') return true
    if (segment !== required[index]) return false
  }
  return grant.length === required.length
}
