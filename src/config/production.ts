/** Settings that production refuses: fine for trying out, unsafe where others can connect. */
import { ConfigError } from './config-error.ts'
import type { Env } from './env.ts'

const MIN_LENGTH = 16
/** Random base64 or hex of MIN_LENGTH practically never has fewer; `aaaa…` and `abcabc…` do. */
const MIN_DIFFERENT = 8
/** Texts from examples, or typed by somebody who means to come back. */
const PLACEHOLDER =
  /change.?me|replace.?me|example|placeholder|password|default|your.?(client|secret|key)|(client|my|top|super).?secret|secret.?key|0123456789|1234567890|abcdefgh|qwertz|qwerty/i

/** @throws ConfigError naming the setting */
export function refuseUnsafeProduction(env: Env): void {
  if (!env.TLS_CERT_FILE && !env.ALLOW_INSECURE_SERVER) {
    throw new ConfigError(
      'TLS_CERT_FILE: production needs TLS; set TLS_CERT_FILE and TLS_KEY_FILE, or ALLOW_INSECURE_SERVER=true behind a proxy that ends TLS',
    )
  }
  for (const name of ['CLIENT_SECRET', 'SECRET_KEY'] as const) refuseWeak(name, env[name])
  if (env.METRICS_TOKEN !== undefined) refuseWeak('METRICS_TOKEN', env.METRICS_TOKEN)
  if (env.CLIENT_SECRET === env.SECRET_KEY) {
    throw new ConfigError('SECRET_KEY: expected another value than CLIENT_SECRET, which clients know')
  }
  if (env.CLIENT_SECRET === env.CLIENT_ID) {
    throw new ConfigError('CLIENT_SECRET: expected another value than CLIENT_ID, which is no secret')
  }
}

function refuseWeak(name: string, secret: string): void {
  if (secret.length < MIN_LENGTH) {
    throw new ConfigError(`${name}: expected at least ${MIN_LENGTH} characters in production`)
  }
  if (new Set(secret).size < MIN_DIFFERENT || PLACEHOLDER.test(secret)) {
    throw new ConfigError(
      `${name}: expected a random value in production, such as of: openssl rand -base64 32`,
    )
  }
}
