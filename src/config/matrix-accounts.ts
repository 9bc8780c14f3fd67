/** How users are made at the homeserver: exactly one way with an external one, and its settings. */
import { ConfigError } from './config-error.ts'
import type { Env } from './env.ts'

/**
 * Secrets of the chosen way; undefined: the embedded homeserver needs none. An application service
 * speaks for all its users; otherwise each has an access token.
 */
export type AccountSecrets =
  | { kind: 'appservice'; asToken: string; hsToken: string }
  | { kind: 'shared_secret'; sharedSecret: string }
  | {
      kind: 'mas'
      /** Base URLs of the Matrix Authentication Service and of its listener with the admin API. */
      url: string
      adminUrl: string
      clientId: string
      clientSecret: string
    }
  | undefined

/** Variables of each way; the first one names it in messages. */
const WAYS = {
  appservice: ['MATRIX_AS_TOKEN', 'MATRIX_HS_TOKEN'],
  shared_secret: ['MATRIX_REGISTRATION_SHARED_SECRET'],
  mas: ['MAS_URL', 'MAS_ADMIN_URL', 'ADMIN_CLIENT_ID', 'ADMIN_CLIENT_SECRET'],
} as const
type Way = keyof typeof WAYS

/** @throws ConfigError for no way, more than one, or an incomplete one */
export function matrixAccounts(env: Env): AccountSecrets {
  if (!env.MATRIX_HOMESERVER_URL) {
    refuseWithoutHomeserver(env)
    return undefined
  }
  const kind = chosenWay(env)
  switch (kind) {
    case 'appservice':
      return {
        kind,
        asToken: needed(env, 'MATRIX_AS_TOKEN', 'MATRIX_HS_TOKEN'),
        hsToken: needed(env, 'MATRIX_HS_TOKEN', 'MATRIX_AS_TOKEN'),
      }
    case 'shared_secret':
      return { kind, sharedSecret: needed(env, 'MATRIX_REGISTRATION_SHARED_SECRET', 'MATRIX_HOMESERVER_URL') }
    case 'mas': {
      const url = needed(env, 'MAS_URL', 'ADMIN_CLIENT_ID')
      return {
        kind,
        url,
        adminUrl: env.MAS_ADMIN_URL ?? url,
        clientId: needed(env, 'ADMIN_CLIENT_ID', 'MAS_URL'),
        clientSecret: needed(env, 'ADMIN_CLIENT_SECRET', 'MAS_URL'),
      }
    }
  }
}

function chosenWay(env: Env): Way {
  const chosen = (Object.keys(WAYS) as Way[]).filter(way => WAYS[way].some(name => env[name]))
  const [way, another] = chosen
  if (way === undefined) {
    throw new ConfigError(
      'MATRIX_AS_TOKEN: with MATRIX_HOMESERVER_URL expected one way to make users: MATRIX_AS_TOKEN and MATRIX_HS_TOKEN, or MATRIX_REGISTRATION_SHARED_SECRET, or MAS_URL with ADMIN_CLIENT_ID and ADMIN_CLIENT_SECRET',
    )
  }
  if (another !== undefined) {
    const [name, other] = [way, another].map(each => WAYS[each].find(variable => env[variable]))
    throw new ConfigError(
      `${other}: expected one way to make users, and ${name} is set too; empty one of them`,
    )
  }
  return way
}

function needed(env: Env, name: (typeof WAYS)[Way][number], because: string): string {
  const value = env[name]
  if (value) return value
  throw new ConfigError(`${name}: is needed with ${because}`)
}

/** Skips an application service's tokens, which may be set for later. */
function refuseWithoutHomeserver(env: Env): void {
  const name = [...WAYS.shared_secret, ...WAYS.mas].find(variable => env[variable])
  if (name !== undefined)
    throw new ConfigError(
      `${name}: needs MATRIX_HOMESERVER_URL; the embedded homeserver makes its users itself`,
    )
}
