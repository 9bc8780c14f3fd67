/** What a command has around it, so that tests can put a command anywhere. */
import {
  type Config,
  configFrom,
  type EnvSource,
  parseEnvironment,
  readEnvSource,
  type Secrets,
} from '../config/index.ts'

export interface Terminal {
  /** Working directory: `.env` is looked for here, and a relative DATA_DIR starts here. */
  directory: string
  environment: EnvSource
  /** A line of the answer. */
  print(line: string): void
  /** A line about what went wrong. */
  complain(line: string): void
}

/** A failure that whoever called can mend: `message` is one line. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** @throws ConfigError naming the variable that is wrong */
export function loadConfig(terminal: Terminal): { config: Config; secrets: Secrets } {
  const env = parseEnvironment(readEnvSource(terminal.directory, terminal.environment), terminal.directory)
  return configFrom(env, terminal.directory)
}
