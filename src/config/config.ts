/** The configuration as the program uses it: grouped, with defaults decided, without secrets. */
import { join, resolve } from 'node:path'
import { ConfigError } from './config-error.ts'
import { ENV_SCHEMA, type Env } from './env.ts'
import { type AccountSecrets, matrixAccounts } from './matrix-accounts.ts'
import type { EnvSource } from './process-environment.ts'
import { refuseUnsafeProduction } from './production.ts'

/** Platforms the sandbox can simulate. */
const SANDBOX_PLATFORMS = ['wa', 'signal', 'telegram'] as const
type SandboxPlatform = (typeof SANDBOX_PLATFORMS)[number]

/** Grouped, with defaults decided and without secrets. */
export type Config = ReturnType<typeof configOf>
/** Secrets: never logged, printed or stored in clear. */
export type Secrets = ReturnType<typeof secretsOf>

/** @throws ConfigError naming settings that contradict each other */
export function configFrom(env: Env, workingDirectory: string): { config: Config; secrets: Secrets } {
  const accounts = matrixAccounts(env)
  const config = configOf(env, workingDirectory)
  if (config.mode === 'production') refuseUnsafeProduction(env)
  return { config, secrets: secretsOf(env, accounts) }
}

function configOf(env: Env, workingDirectory: string) {
  const dir = resolve(workingDirectory, env.DATA_DIR)
  const isDevelopment = env.APP_MODE === 'development'
  return {
    mode: env.APP_MODE,
    logLevel: env.LOG_LEVEL,
    logFormat: env.LOG_FORMAT,
    /** Number of devices with their own metric series. */
    metrics: { maxDevices: env.METRICS_DEVICES },
    http: {
      host: env.HOST,
      port: env.PORT,
      /** Our URL for clients, without a trailing slash; undefined: taken from each request. */
      publicUrl: env.PUBLIC_URL,
      tls: tlsOf(env),
      /** Addresses and networks whose X-Forwarded-For is trusted. */
      trustedProxies: env.TRUSTED_PROXIES,
      /** Origins whose pages may call the API; `*`: any. */
      corsOrigins: env.CORS_ORIGINS,
      linkFrameOrigins: env.LINK_FRAME_ORIGINS,
    },
    /** Listener for bridges and homeservers, which clients don't need. */
    bridgeListener: { host: env.BRIDGE_HOST, port: env.BRIDGE_PORT },
    /** Failed authentications per address and window: with one client id or token, and in all. */
    authFailures: {
      perCredential: env.AUTH_FAILURES_PER_CREDENTIAL,
      perAddress: env.AUTH_FAILURES_PER_ADDRESS,
      windowMs: env.AUTH_FAILURE_WINDOW_S * 1_000,
    },
    data: {
      dir,
      databaseFile: join(dir, DATABASE),
      mediaDir: join(dir, 'media'),
      homeserverMediaDir: join(dir, 'homeserver-media'),
      sandboxMediaDir: join(dir, 'sandbox-media'),
    },
    matrix: {
      serverName: env.MATRIX_SERVER_NAME,
      /** External homeserver, without a trailing slash; undefined: the embedded one. */
      homeserverUrl: env.MATRIX_HOMESERVER_URL,
    },
    bridges: env.bridges.map(({ platform, url, bot, command }) => ({
      platform,
      url,
      bot,
      command: command && withAbsoluteProgram(command, workingDirectory),
    })),
    /** Platforms the sandbox simulates; empty: no sandbox. */
    sandbox: sandboxPlatforms(env),
    send: {
      /** Mean milliseconds between a device's messages; undefined: 8,000, and 0 in the sandbox. */
      intervalMs: env.SEND_INTERVAL_MS,
      jitter: env.SEND_JITTER,
      burst: env.SEND_BURST,
      /** How long a bridge may take to report a message's fate, in milliseconds. */
      statusTimeoutMs: env.STATUS_TIMEOUT_MS,
    },
    /** Retention of finished rows and files in ms; null: rows for ever, files with their rows. */
    retention: { rowsMs: daysOrNull(env.RETENTION_DAYS), filesMs: daysOrNull(env.MEDIA_RETENTION_DAYS) },
    /** Limits on messages waiting to be sent. */
    queue: { inAll: env.QUEUE_MAX, perIdentity: env.QUEUE_MAX_PER_IDENTITY },
    /** Most Idempotency-Keys of one token's identity, one token or one credential. */
    idempotencyKeysMax: env.IDEMPOTENCY_KEYS_MAX,
    webhooks: {
      timeoutMs: env.WEBHOOK_TIMEOUT_MS,
      concurrencyPerEndpoint: env.WEBHOOK_CONCURRENCY,
      /** Most webhooks of one identity. */
      maxPerIdentity: env.WEBHOOKS_MAX,
      /** An endpoint that has only failed for this long is switched off. */
      disableAfterMs: env.WEBHOOK_DISABLE_AFTER_S * 1_000,
      /** Allows endpoints at private, special and local addresses; a list: in these networks. */
      allowPrivate: env.WEBHOOK_ALLOW_PRIVATE ?? isDevelopment,
      /** Allows endpoints without TLS. */
      allowHttp: env.WEBHOOK_ALLOW_HTTP ?? isDevelopment,
    },
    /** Where files may be fetched: in production at public addresses alone. */
    fileUrls: {
      allowPrivate: isDevelopment && (env.WEBHOOK_ALLOW_PRIVATE ?? true),
      allowHttp: env.WEBHOOK_ALLOW_HTTP ?? isDevelopment,
    },
    media: {
      maxBytes: env.MEDIA_MAX_BYTES,
      /** Null: no quota. */
      quotaBytes: env.MEDIA_QUOTA_PER_IDENTITY || null,
      inlineMaxBytes: env.MEDIA_INLINE_MAX_BYTES,
      urlTtlS: env.MEDIA_URL_TTL_S,
    },
  }
}

function secretsOf(env: Env, accounts: AccountSecrets) {
  return {
    clientId: env.CLIENT_ID,
    clientSecret: env.CLIENT_SECRET,
    secretKey: env.SECRET_KEY,
    /** The SECRET_KEY before this one, while it is being replaced. */
    previousSecretKey: env.SECRET_KEY_PREVIOUS,
    /** Its holder may read the metrics. */
    metricsToken: env.METRICS_TOKEN,
    accounts,
    bridges: new Map(env.bridges.map(({ platform, secret }) => [platform, secret])),
  }
}

const DATABASE = 'meshgate.db'

/** Path of the database, even while settings other than DATA_DIR are wrong or missing. */
export function databaseFileOf(source: EnvSource, workingDirectory: string): string {
  return join(
    resolve(workingDirectory, ENV_SCHEMA.shape.DATA_DIR.parse(source.DATA_DIR?.trim() || undefined)),
    DATABASE,
  )
}

function daysOrNull(days: number): number | null {
  return days === 0 ? null : days * 86_400_000
}

/** Makes a program's path independent of its own working directory. */
function withAbsoluteProgram([program = '', ...args]: string[], directory: string): string[] {
  return [program.includes('/') ? resolve(directory, program) : program, ...args]
}

function tlsOf(env: Env): { certFile: string; keyFile: string } | undefined {
  if (!env.TLS_CERT_FILE && !env.TLS_KEY_FILE) return undefined
  if (!env.TLS_CERT_FILE) throw new ConfigError('TLS_CERT_FILE: is missing although TLS_KEY_FILE is set')
  if (!env.TLS_KEY_FILE) throw new ConfigError('TLS_KEY_FILE: is missing although TLS_CERT_FILE is set')
  return { certFile: env.TLS_CERT_FILE, keyFile: env.TLS_KEY_FILE }
}

/** `auto`: in development, every platform without a bridge. It needs the embedded homeserver. */
function sandboxPlatforms(env: Env): readonly SandboxPlatform[] {
  if (env.SANDBOX === 'off') return []
  if (env.MATRIX_HOMESERVER_URL) {
    if (env.SANDBOX === 'on')
      throw new ConfigError(
        'SANDBOX: on needs the embedded homeserver, so MATRIX_HOMESERVER_URL must be empty',
      )
    return []
  }
  if (env.SANDBOX === 'auto' && env.APP_MODE === 'production') return []
  return SANDBOX_PLATFORMS.filter(platform => !env.bridges.some(bridge => bridge.platform === platform))
}
