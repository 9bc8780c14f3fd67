/** env → config → secrets. */
export { type Config, configFrom, type Secrets } from './config.ts'
export { ConfigError, type EnvSource, parseEnvironment, processEnvironment, readEnvSource } from './env.ts'
