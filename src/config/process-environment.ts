/** The process's environment, in its own file because main needs it before other modules. */

export type EnvSource = Record<string, string | undefined>

export function processEnvironment(): EnvSource {
  return process.env
}
