/** A gateway as a process of its own, for tests that stop it, kill it or look at it from outside. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { MESHGATE } from './meshgate-program.ts'
import { answers, collectOutput } from './program.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

export interface GatewayProcess extends AsyncDisposable {
  url: string
  /** Its working directory, where .env and data lie. */
  directory: string
  clientId: string
  clientSecret: string
  pid: number
  /** Resolves with its exit code when it has ended, whatever ended it. */
  exited: Promise<number>
  /** What it printed so far, on both outputs. */
  output(): string
  /** Sends SIGTERM. @returns its exit code */
  stop(): Promise<number>
  /** @returns its exit code */
  signal(signal: NodeJS.Signals): Promise<number>
  /** kill -9: nothing of it gets a chance to finish. */
  kill(): Promise<void>
}

export interface GatewayOptions {
  /** A folder to start in, with what an earlier run left there; by default a new one, removed at the end. */
  directory?: string
  /** Settings beside the defaults of a test. PATH and HOME are all it has of ours. */
  env?: Record<string, string>
  /** By default `MESHGATE`. */
  command?: string[]
  deadlineMs?: number
}

/** Resolves when /health answers. */
export async function spawnGateway({
  directory,
  env = {},
  command = MESHGATE,
  deadlineMs = 15_000,
}: GatewayOptions = {}): Promise<GatewayProcess> {
  const own = directory === undefined ? tempDir() : undefined
  const folder = directory ?? own?.path ?? ''
  const child = Bun.spawn([...command, 'serve'], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder, PORT: '0', BRIDGE_PORT: '0', LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = collectOutput(child.stdout, child.stderr)
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    return await child.exited
  }
  const dispose = async () => {
    // Killed at once, it can't stop the bridges that it runs.
    const bridges = childrenOf(child.pid)
    await end('SIGKILL')
    for (const pid of bridges) kill(pid)
    own?.[Symbol.dispose]()
  }
  try {
    const url = await waitFor(
      async () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`the gateway ended with ${child.exitCode ?? child.signalCode}: ${output()}`)
        const told = /is ready at (\S+)/.exec(output())?.[1]
        return told && (await answers(`${told}/health`)) ? told : null
      },
      { what: 'a healthy gateway', deadlineMs },
    )
    const settings: Record<string, string | undefined> = { ...readSettings(folder), ...env }
    return {
      url,
      directory: folder,
      clientId: settings.CLIENT_ID ?? '',
      clientSecret: settings.CLIENT_SECRET ?? '',
      pid: child.pid,
      exited: child.exited,
      output,
      stop: () => end('SIGTERM'),
      signal: end,
      kill: async () => {
        await end('SIGKILL')
      },
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Empty where the system has no /proc, or the process is gone. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function readSettings(directory: string): Record<string, string | undefined> {
  try {
    return parseEnv(readFileSync(join(directory, '.env'), 'utf8'))
  } catch {
    // All settings came by the environment.
    return {}
  }
}
