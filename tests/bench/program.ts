/** Finds the program to measure: by default a binary built now, from this source. */
import { join } from 'node:path'
import { BUILT_BINARY, SOURCE } from '../support/meshgate-program.ts'
import type { Options } from './options.ts'

export interface Program {
  /** `serve` is appended. */
  command: string[]
  description: string
}

const ROOT = join(import.meta.dir, '..', '..')

/** @throws Error when the build fails */
export function findProgram({ source, command }: Options): Program {
  if (command !== undefined) return { command: command.split(' '), description: 'a command given' }
  if (source) return { command: SOURCE, description: 'the source on Bun' }
  if (BUILT_BINARY !== undefined)
    return { command: [BUILT_BINARY], description: 'the binary of this test run' }
  const build = Bun.spawnSync([process.execPath, join(ROOT, 'scripts', 'build.ts')], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (!build.success) throw new Error('the build failed; --source measures without one')
  return { command: [join(ROOT, 'dist', 'meshgate')], description: 'dist/meshgate, built now' }
}
