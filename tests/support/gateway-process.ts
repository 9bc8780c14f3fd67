/** A gateway in its own process, for tests that stop it, kill it or watch it from outside. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { MESHGATE } from './meshgate-program.ts'
import { answers, collectOutput } from './program.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

export interface GatewayProcess extends AsyncDisposable {
  url: string
  /** Working directory, with .env and data. */
  directory: string
  clientId: string
  clientSecret: string
  pid: number
  /** Resolves with the exit code, whatever ended the process. */
  exited: Promise<number>
  /** Output so far, of both streams. */
  output(): string
  /** Sends SIGTERM. @returns its exit code */
  stop(): Promise<number>
  /** @returns its exit code */
  signal(signal: NodeJS.Signals): Promise<number>
  /** Sends SIGKILL. */
  kill(): Promise<void>
}

export interface GatewayOptions {
  /** An earlier run's folder to start in; by default a new one, removed at the end. */
  directory?: string
  /** Settings beside the defaults. Of our environment the gateway gets PATH and HOME alone. */
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
    // A killed gateway can't stop the bridges it runs.
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
    // The process has already ended.
  }
}

function readSettings(directory: string): Record<string, string | undefined> {
  try {
    return parseEnv(readFileSync(join(directory, '.env'), 'utf8'))
  } catch {
    // There is no .env: all settings came by the environment.
    return {}
  }
}
