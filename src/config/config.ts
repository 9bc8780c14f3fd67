/** The configuration as the program uses it: grouped, with what follows from it already decided, and without secrets. */
import { join, resolve } from 'node:path'
import type { LogFormat, LogLevel } from '../lib/logger.ts'
import { ConfigError } from './config-error.ts'
import { ENV_SCHEMA, type Env } from './env.ts'
import { type AccountSecrets, type AccountsConfig, matrixAccounts } from './matrix-accounts.ts'
import type { EnvSource } from './process-environment.ts'
import { refuseUnsafeProduction } from './production.ts'

/** Platforms that the sandbox can play. */
const SANDBOX_PLATFORMS = ['wa', 'signal', 'telegram'] as const
type SandboxPlatform = (typeof SANDBOX_PLATFORMS)[number]

export interface Config {
  mode: 'development' | 'production'
  logLevel: LogLevel
  logFormat: LogFormat
  metrics: {
    /** How many devices get series of their own. */
    maxDevices: number
  }
  http: {
    host: string
    port: number
    /** What clients reach us by, without a trailing slash; undefined: taken from each request. */
    publicUrl: string | undefined
    tls: { certFile: string; keyFile: string } | undefined
    /** Addresses and networks whose X-Forwarded-For is believed. */
    trustedProxies: readonly string[]
    /** Origins whose pages may call the API; `*`: any. */
    corsOrigins: readonly string[]
  }
  /** Where bridges and homeservers are served, which clients have nothing to ask of. */
  bridgeListener: { host: string; port: number }
  authFailures: {
    /** Failed authentications in one window, from one address: with one client id or token, and in all. */
    perCredential: number
    perAddress: number
    windowMs: number
  }
  data: {
    dir: string
    databaseFile: string
    mediaDir: string
    homeserverMediaDir: string
    sandboxMediaDir: string
  }
  matrix: {
    serverName: string
    /** An external homeserver, without a trailing slash; undefined: the embedded one. */
    homeserverUrl: string | undefined
    accounts: AccountsConfig
  }
  bridges: { platform: string; url: string; bot: string | undefined; command: string[] | null }[]
  /** Platforms played by the sandbox; empty: no sandbox. */
  sandbox: readonly SandboxPlatform[]
  send: {
    /** Milliseconds between two messages of one device, on average; undefined: 8,000, and 0 on sandbox platforms. */
    intervalMs: number | undefined
    jitter: number
    burst: number
    /** How long a bridge has to say what became of a message, in milliseconds. */
    statusTimeoutMs: number
  }
  /** How long what is over is kept, in milliseconds; null: for ever, and files as long as what they belong to. */
  retention: { rowsMs: number | null; filesMs: number | null }
  /** How many messages may wait to be sent. */
  queue: { inAll: number; perIdentity: number }
  /** How many Idempotency-Keys one token's identity, one token or one credential may have. */
  idempotencyKeysMax: number
  webhooks: {
    timeoutMs: number
    concurrencyPerEndpoint: number
    /** How many an identity may have. */
    maxPerIdentity: number
    /** An endpoint whose every try failed for this long is switched off. */
    disableAfterMs: number
    /**
     * Allows endpoints at private and other special addresses and at this machine's; a list names
     * the networks where it does.
     */
    allowPrivate: boolean | readonly string[]
    /** Allows endpoints without TLS. */
    allowHttp: boolean
  }
  /** `quotaBytes` null: none. */
  media: { maxBytes: number; quotaBytes: number | null; inlineMaxBytes: number; urlTtlS: number }
}

/** What must not be logged, printed or stored in clear. */
export interface Secrets {
  clientId: string
  clientSecret: string
  secretKey: string
  /** The SECRET_KEY before this one, while it is being replaced. */
  previousSecretKey: string | undefined
  /** Who has it may read the metrics. */
  metricsToken: string | undefined
  accounts: AccountSecrets
  bridges: ReadonlyMap<string, string>
}

/** @throws ConfigError when settings contradict each other, naming them */
export function configFrom(env: Env, workingDirectory: string): { config: Config; secrets: Secrets } {
  const { accounts, secrets: accountSecrets } = matrixAccounts(env)
  const dir = resolve(workingDirectory, env.DATA_DIR)
  const isDevelopment = env.APP_MODE === 'development'
  const config: Config = {
    mode: env.APP_MODE,
    logLevel: env.LOG_LEVEL,
    logFormat: env.LOG_FORMAT,
    metrics: { maxDevices: env.METRICS_DEVICES },
    http: {
      host: env.HOST,
      port: env.PORT,
      publicUrl: env.PUBLIC_URL,
      tls: tlsOf(env),
      trustedProxies: env.TRUSTED_PROXIES,
      corsOrigins: env.CORS_ORIGINS,
    },
    bridgeListener: { host: env.BRIDGE_HOST, port: env.BRIDGE_PORT },
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
    matrix: { serverName: env.MATRIX_SERVER_NAME, homeserverUrl: env.MATRIX_HOMESERVER_URL, accounts },
    bridges: env.bridges.map(({ platform, url, bot, command }) => ({
      platform,
      url,
      bot,
      command: command && withAbsoluteProgram(command, workingDirectory),
    })),
    sandbox: sandboxPlatforms(env),
    send: {
      intervalMs: env.SEND_INTERVAL_MS,
      jitter: env.SEND_JITTER,
      burst: env.SEND_BURST,
      statusTimeoutMs: env.STATUS_TIMEOUT_MS,
    },
    retention: { rowsMs: daysOrNull(env.RETENTION_DAYS), filesMs: daysOrNull(env.MEDIA_RETENTION_DAYS) },
    queue: { inAll: env.QUEUE_MAX, perIdentity: env.QUEUE_MAX_PER_IDENTITY },
    idempotencyKeysMax: env.IDEMPOTENCY_KEYS_MAX,
    webhooks: {
      timeoutMs: env.WEBHOOK_TIMEOUT_MS,
      concurrencyPerEndpoint: env.WEBHOOK_CONCURRENCY,
      maxPerIdentity: env.WEBHOOKS_MAX,
      disableAfterMs: env.WEBHOOK_DISABLE_AFTER_S * 1_000,
      allowPrivate: env.WEBHOOK_ALLOW_PRIVATE ?? isDevelopment,
      allowHttp: env.WEBHOOK_ALLOW_HTTP ?? isDevelopment,
    },
    media: {
      maxBytes: env.MEDIA_MAX_BYTES,
      quotaBytes: env.MEDIA_QUOTA_PER_IDENTITY || null,
      inlineMaxBytes: env.MEDIA_INLINE_MAX_BYTES,
      urlTtlS: env.MEDIA_URL_TTL_S,
    },
  }
  if (config.mode === 'production') refuseUnsafeProduction(env)
  return {
    config,
    secrets: {
      clientId: env.CLIENT_ID,
      clientSecret: env.CLIENT_SECRET,
      secretKey: env.SECRET_KEY,
      previousSecretKey: env.SECRET_KEY_PREVIOUS,
      metricsToken: env.METRICS_TOKEN,
      accounts: accountSecrets,
      bridges: new Map(env.bridges.map(({ platform, secret }) => [platform, secret])),
    },
  }
}

const DATABASE = 'meshgate.db'

/** Where the database is, also while settings other than DATA_DIR are wrong or missing. */
export function databaseFileOf(source: EnvSource, workingDirectory: string): string {
  return join(
    resolve(workingDirectory, ENV_SCHEMA.shape.DATA_DIR.parse(source.DATA_DIR?.trim() || undefined)),
    DATABASE,
  )
}

function daysOrNull(days: number): number | null {
  return days === 0 ? null : days * 86_400_000
}

/** A program with a path runs wherever its own working directory is. */
function withAbsoluteProgram([program = '', ...args]: string[], directory: string): string[] {
  return [program.includes('/') ? resolve(directory, program) : program, ...args]
}

function tlsOf(env: Env): Config['http']['tls'] {
  if (!env.TLS_CERT_FILE && !env.TLS_KEY_FILE) return undefined
  if (!env.TLS_CERT_FILE) throw new ConfigError('TLS_CERT_FILE: is missing although TLS_KEY_FILE is set')
  if (!env.TLS_KEY_FILE) throw new ConfigError('TLS_KEY_FILE: is missing although TLS_CERT_FILE is set')
  return { certFile: env.TLS_CERT_FILE, keyFile: env.TLS_KEY_FILE }
}

/** auto: in development, every platform that has no real bridge. The sandbox's bridge needs the embedded homeserver. */
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
