/** What the process was started with. A file of its own, since the program's start needs it before anything else is loaded. */

export type EnvSource = Record<string, string | undefined>

export function processEnvironment(): EnvSource {
  return process.env
}
