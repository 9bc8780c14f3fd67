/** Runs commands of the real program, each in its own process. */
import { MESHGATE } from './meshgate-program.ts'

export interface CommandOutcome {
  exitCode: number
  out: string
  err: string
}

/** @param directory of the .env file */
export async function runCommand(
  directory: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<CommandOutcome> {
  const child = Bun.spawn([...MESHGATE, ...args], {
    cwd: directory,
    env: { PATH: '/usr/bin:/bin', HOME: directory, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { exitCode: await child.exited, out, err }
}
