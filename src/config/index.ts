/** env → config → secrets. */
export { type Config, configFrom, type Secrets } from './config.ts'
export { ConfigError, parseEnvironment, readEnvSource } from './env.ts'
export type { EnvSource } from './process-environment.ts'
