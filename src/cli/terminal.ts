/** Surroundings of a command, which tests replace. */
import {
  type Config,
  configFrom,
  type EnvSource,
  parseEnvironment,
  readEnvSource,
  type Secrets,
} from '../config/index.ts'
import { BASE_URL_PHRASE, isBaseUrl } from '../lib/hosts.ts'

export interface Terminal {
  /** Working directory: holds `.env`, and a relative DATA_DIR starts here. */
  directory: string
  environment: EnvSource
  /** True when a person reads along: both ends are terminals. */
  isInteractive?: boolean
  /** Prints a line of the answer. */
  print(line: string): void
  /** Prints a line about a failure. */
  complain(line: string): void
}

/** A failure that the caller can mend: `message` is one line. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/**
 * @param url value of an option
 * @returns it without slashes at its end
 * @throws CommandError naming the option
 */
export function baseUrl(option: string, url: string): string {
  if (isBaseUrl(url)) return url.replace(/\/+$/, '')
  throw new CommandError(`${option}: "${url}": expected ${BASE_URL_PHRASE}`)
}

/** @throws ConfigError naming the wrong variable */
export function loadConfig(terminal: Terminal): { config: Config; secrets: Secrets } {
  const env = parseEnvironment(readEnvSource(terminal.directory, terminal.environment), terminal.directory)
  return configFrom(env, terminal.directory)
}
