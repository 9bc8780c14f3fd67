/** env → config → secrets. */
export { type Config, configFrom, databaseFileOf, type Secrets } from './config.ts'
export { ConfigError } from './config-error.ts'
export { childEnvironment, type Env, parseEnvironment, readEnvSource } from './env.ts'
export type { EnvSource } from './process-environment.ts'
