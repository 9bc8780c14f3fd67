/** Names, types and checks of every environment variable. The only reader of the environment. */
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { CLIENT_ID, CLIENT_ID_PHRASE } from '../domain/client-ids.ts'
import { messageOf } from '../domain/errors.ts'
import { commandWords } from '../lib/command-words.ts'
import { meantBy } from '../lib/did-you-mean.ts'
import { BASE_URL_PHRASE, isBaseUrl, isListenHost } from '../lib/hosts.ts'
import { isNetwork, NETWORK_PHRASE } from '../lib/ip-networks.ts'
import { LOG_FORMATS, LOG_LEVELS } from '../lib/logger.ts'
import { ConfigError } from './config-error.ts'
import { readEnvFile } from './env-file.ts'
import { type EnvSource, processEnvironment } from './process-environment.ts'

const optionalText = z
  .string()
  .trim()
  .transform(text => text || undefined)
  .optional()
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine(value => value >= min && value <= max, `expected a whole number from ${min} to ${max}`)
const share = z
  .string()
  .refine(
    text => text.trim() !== '' && Number(text) >= 0 && Number(text) <= 1,
    'expected a number from 0 to 1',
  )
  .transform(Number)
const flag = z.enum(['true', 'false'], 'expected true or false').transform(text => text === 'true')
/** `true`, `false`, or networks. */
const flagOrNetworks = z
  .string()
  .transform(text => (text === 'true' || text === 'false' ? text === 'true' : itemsOf(text)))
  .refine(
    value => typeof value === 'boolean' || (value.length > 0 && value.every(isNetwork)),
    `expected true, false, or ${NETWORK_PHRASE}, separated by commas`,
  )
const httpUrl = z
  .string()
  .refine(isBaseUrl, `expected ${BASE_URL_PHRASE}`)
  .transform(text => text.replace(/\/+$/, ''))

const listenHost = z
  .string()
  .trim()
  .transform(text => text.replace(/^\[(.*)\]$/, '$1'))
  .refine(
    isListenHost,
    'expected an address of this machine such as 127.0.0.1, 0.0.0.0 or ::, or its name, without a port',
  )

/** A comma-separated list; each item must pass `isItem`. */
const listOf = (isItem: (item: string) => boolean, phrase: string) =>
  z
    .string()
    .default('')
    .transform(itemsOf)
    .refine(items => items.every(isItem), `expected ${phrase}, separated by commas`)
function itemsOf(list: string): string[] {
  return list
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}
const isOrigin = (text: string) =>
  text === '*' || (/^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text)

/** Message for a missing secret, until `adviceOn` replaces it. */
const MISSING = 'is missing'
const MAX_BYTES = 2 ** 31 - 1

/** Every variable except those of each bridge in BRIDGES. */
export const ENV_SCHEMA = z.object({
  HOST: listenHost.default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(8080),
  BRIDGE_HOST: listenHost.default('127.0.0.1'),
  BRIDGE_PORT: wholeNumber(0, 65_535).default(8081),
  DATA_DIR: z.string().trim().min(1).default('./data'),
  APP_MODE: z
    .enum(['development', 'production'], 'expected development or production')
    .default('development'),
  CLIENT_ID: z.string({ error: MISSING }).regex(CLIENT_ID, `expected ${CLIENT_ID_PHRASE}`),
  CLIENT_SECRET: z.string({ error: MISSING }).min(8, 'expected at least 8 characters'),
  SECRET_KEY: z.string({ error: MISSING }).min(16, 'expected at least 16 characters'),
  SECRET_KEY_PREVIOUS: z.string().min(16, 'expected at least 16 characters').optional(),
  TLS_CERT_FILE: optionalText,
  TLS_KEY_FILE: optionalText,
  ALLOW_INSECURE_SERVER: flag.default(false),
  PUBLIC_URL: httpUrl.optional(),
  TRUSTED_PROXIES: listOf(isNetwork, NETWORK_PHRASE),
  CORS_ORIGINS: listOf(isOrigin, 'origins such as https://app.example.com, or *'),
  LINK_FRAME_ORIGINS: listOf(isOrigin, 'origins such as https://app.example.com, or *'),
  AUTH_FAILURES_PER_CREDENTIAL: wholeNumber(1, 1_000_000).default(10),
  AUTH_FAILURES_PER_ADDRESS: wholeNumber(1, 1_000_000).default(60),
  AUTH_FAILURE_WINDOW_S: wholeNumber(1, 86_400).default(60),
  LOG_LEVEL: z.enum(LOG_LEVELS, `expected one of ${LOG_LEVELS.join(', ')}`).default('info'),
  LOG_FORMAT: z.enum(LOG_FORMATS, `expected one of ${LOG_FORMATS.join(', ')}`).default('auto'),
  METRICS_TOKEN: z
    .string()
    .trim()
    .regex(/^\S{16,256}$/, 'expected 16 to 256 characters without blanks')
    .optional(),
  METRICS_DEVICES: wholeNumber(0, 100_000).default(1_000),
  MATRIX_SERVER_NAME: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9.-]{0,199}(:\d{1,5})?$/,
      'expected a host name, optionally with a port, of at most 200 characters',
    )
    .default('localhost'),
  MATRIX_HOMESERVER_URL: httpUrl.optional(),
  MATRIX_AS_TOKEN: optionalText,
  MATRIX_HS_TOKEN: optionalText,
  MATRIX_REGISTRATION_SHARED_SECRET: optionalText,
  MAS_URL: httpUrl.optional(),
  MAS_ADMIN_URL: httpUrl.optional(),
  ADMIN_CLIENT_ID: optionalText,
  ADMIN_CLIENT_SECRET: optionalText,
  BRIDGES: z.string().default(''),
  SANDBOX: z.enum(['auto', 'on', 'off'], 'expected auto, on or off').default('auto'),
  SEND_INTERVAL_MS: wholeNumber(0, 3_600_000).optional(),
  SEND_JITTER: share.default(0.25),
  SEND_BURST: wholeNumber(1, 1_000).default(5),
  QUEUE_MAX: wholeNumber(1_000, 100_000_000).default(1_000_000),
  QUEUE_MAX_PER_IDENTITY: wholeNumber(1_000, 100_000_000).default(100_000),
  IDEMPOTENCY_KEYS_MAX: wholeNumber(100, 100_000_000).default(1_000_000),
  RETENTION_DAYS: wholeNumber(0, 36_500).default(30),
  MEDIA_RETENTION_DAYS: wholeNumber(0, 36_500).default(30),
  STATUS_TIMEOUT_MS: wholeNumber(100, 86_400_000).default(60_000),
  WEBHOOK_TIMEOUT_MS: wholeNumber(1_000, 60_000).default(15_000),
  WEBHOOK_CONCURRENCY: wholeNumber(1, 256).default(16),
  WEBHOOKS_MAX: wholeNumber(1, 10_000).default(100),
  WEBHOOK_DISABLE_AFTER_S: wholeNumber(60, 31_536_000).default(432_000),
  WEBHOOK_ALLOW_PRIVATE: flagOrNetworks.optional(),
  WEBHOOK_ALLOW_HTTP: flag.optional(),
  MEDIA_MAX_BYTES: wholeNumber(1, MAX_BYTES).default(32 * 1024 * 1024),
  MEDIA_QUOTA_PER_IDENTITY: wholeNumber(0, Number.MAX_SAFE_INTEGER).default(10 * 1024 ** 3),
  MEDIA_INLINE_MAX_BYTES: wholeNumber(0, 64 * 1024 * 1024).default(4 * 1024 * 1024),
  MEDIA_URL_TTL_S: wholeNumber(60, 31_536_000).default(604_800),
})

export type Env = z.output<typeof ENV_SCHEMA> & { bridges: ReturnType<typeof bridgesOf> }

/**
 * Reads `.env` in `directory`, if any, and the environment, which wins unless it is empty.
 * @throws ConfigError naming a setting in the file that is misspelt or can be read in two ways
 */
export function readEnvSource(directory: string, environment: EnvSource = processEnvironment()): EnvSource {
  const file = `${directory}/.env`
  if (!existsSync(file)) return environment
  const fromFile = readEnvFile(file, isOurs)
  refuseMisspelt(fromFile)
  return { ...fromFile, ...filledOnly(environment) }
}

/** Settings of bridges in BRIDGES, and of those taken out of it for a while. */
const BRIDGE_SETTING = /^BRIDGE_[A-Z0-9]+_(URL|SECRET|BOT|COMMAND)$/

/**
 * A misspelt setting would silently keep its default. Other names in `.env` are left alone because
 * compose files share it; the environment isn't checked because everybody uses it.
 */
function refuseMisspelt(fromFile: EnvSource): void {
  const settings = Object.keys(ENV_SCHEMA.shape)
  for (const name of Object.keys(fromFile)) {
    if (settings.includes(name) || BRIDGE_SETTING.test(name)) continue
    const meant = meantBy(name, settings)
    if (meant !== undefined)
      throw new ConfigError(`${name}: there is no such setting in .env; did you mean ${meant}?`)
  }
}

/**
 * @param directory possible place of a `.env`, for advice when a secret is missing
 * @throws ConfigError naming the first wrong variable and the expected value
 */
export function parseEnvironment(source: EnvSource, directory?: string): Env {
  // An empty variable counts as missing, as in a copied .env.example.
  const filled = filledOnly(source)
  for (const [name, value] of Object.entries(filled)) refuseMangled(name, value)
  const result = ENV_SCHEMA.safeParse(filled)
  if (!result.success) {
    const { path, message } = result.error.issues[0] ?? { path: ['environment'], message: 'is wrong' }
    const name = path.join('.')
    throw new ConfigError(`${name}: ${message === MISSING ? adviceOn(name, source, directory) : message}`)
  }
  return { ...result.data, bridges: bridgesOf(result.data.BRIDGES, filled) }
}

/** `meshgate setup` fills in empty settings, and adds none to an existing file. */
function adviceOn(name: string, source: EnvSource, directory: string | undefined): string {
  const file = `${directory}/.env`
  if (directory === undefined) return `${MISSING}; \`meshgate setup\` writes a .env with one`
  if (!existsSync(file))
    return `${MISSING} and ${directory} has no .env: run this in the gateway's folder, or \`meshgate setup\` writes a .env with one`
  if (source[name] !== undefined) return `is empty in ${file}; \`meshgate setup\` fills it in`
  return `${MISSING} in ${file}; add it there, such as of: openssl rand -base64 32`
}

/**
 * @returns by their platforms' names in the API, lowercase; a secret is empty when the bridge has
 * no provisioning API; a command is null when the bridge runs elsewhere
 */
function bridgesOf(list: string, source: EnvSource) {
  const platforms = list
    .split(',')
    .map(name => name.trim().toLowerCase())
    .filter(name => name !== '')
  const twice = platforms.find((platform, index) => platforms.indexOf(platform) !== index)
  if (twice !== undefined)
    throw new ConfigError(`BRIDGES: "${twice}" is there twice; expected each platform once`)
  return platforms.map(platform => {
    if (!/^[a-z][a-z0-9]*$/.test(platform)) {
      throw new ConfigError(
        `BRIDGES: "${platform}" isn't a platform name: expected lowercase letters and digits, like wa,signal`,
      )
    }
    const prefix = `BRIDGE_${platform.toUpperCase()}`
    const url = httpUrl.safeParse(source[`${prefix}_URL`] ?? '')
    if (!url.success)
      throw new ConfigError(`${prefix}_URL: expected the address of the bridge, ${BASE_URL_PHRASE}`)
    const bot = source[`${prefix}_BOT`]
    if (bot !== undefined && !/^@[^:\s]+:\S+$/.test(bot))
      throw new ConfigError(`${prefix}_BOT: expected a Matrix user id, such as @whatsappbot:example.com`)
    const secret = source[`${prefix}_SECRET`] ?? ''
    if (secret === '' && bot === undefined) {
      throw new ConfigError(
        `${prefix}_SECRET: expected the bridge's provisioning.shared_secret, or ${prefix}_BOT for a bridge without a provisioning API`,
      )
    }
    return { platform, url: url.data, secret, bot, command: commandOf(prefix, source) }
  })
}

function commandOf(prefix: string, source: EnvSource): string[] | null {
  const line = source[`${prefix}_COMMAND`]
  if (line === undefined) return null
  try {
    return commandWords(line)
  } catch (error) {
    throw new ConfigError(`${prefix}_COMMAND: expected a command: ${messageOf(error)}`)
  }
}

const isOurs = (name: string) => Object.hasOwn(ENV_SCHEMA.shape, name) || name.startsWith('BRIDGE_')

/** Variables for finding programs and files, for language and time, proxies and certificates. */
const PASSED_ON =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|SSL_CERT_FILE|SSL_CERT_DIR|(HTTPS?|ALL|NO)_PROXY)$/i

/** Variables for our child processes: only named ones, as any other may be a secret. */
export function childEnvironment(environment: EnvSource = processEnvironment()): Record<string, string> {
  const kept = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && PASSED_ON.test(entry[0]),
  )
  return Object.fromEntries(kept)
}

function filledOnly(source: EnvSource): Record<string, string> {
  const isFilled = (entry: [string, string | undefined]): entry is [string, string] =>
    entry[1] !== undefined && entry[1].trim() !== ''
  return Object.fromEntries(Object.entries(source).filter(isFilled))
}

/** The previous key may be in use with its quotes; a command quotes its words. */
const TAKEN_AS_IT_IS = /^SECRET_KEY_PREVIOUS$|_COMMAND$/

/**
 * Refuses Windows line ends and quotes that an `env_file` or a shell may pass on with a value.
 * @throws ConfigError
 */
function refuseMangled(name: string, value: string): void {
  if (!isOurs(name) || TAKEN_AS_IT_IS.test(name)) return
  if (/[\0\r\n]/.test(value)) {
    const what = value.endsWith('\r')
      ? 'ends in a carriage return, as of a file with Windows line ends'
      : 'has a line break'
    throw new ConfigError(`${name}: ${what}; expected one line of text`)
  }
  if (/^(["'`]).*\1$/.test(value.trim()))
    throw new ConfigError(`${name}: is in quotes, which would be part of it; leave them out`)
}
