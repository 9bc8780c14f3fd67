/** A program of others in a process of its own: Synapse, a bridge. Killed at the latest when it is disposed of. */
import { readFileSync } from 'node:fs'
import { waitFor } from './wait-for.ts'

export interface Program extends AsyncDisposable {
  pid: number
  /** What it printed so far, on both outputs. */
  output(): string
  hasEnded(): boolean
  /** Resolves when it has ended, after SIGTERM by default. @returns its exit code */
  end(signal?: NodeJS.Signals): Promise<number>
}

interface ProgramOptions {
  /** For messages. */
  name: string
  command: string[]
  cwd: string
  env?: Record<string, string>
  /** Asked again and again until it is true. */
  isReady(output: string): boolean | Promise<boolean>
  deadlineMs?: number
}

/** After SIGTERM a program has this long before it is killed, in milliseconds. */
const END_PATIENCE_MS = 20_000

/** Resolves when it is ready. PATH and HOME are all it has of our environment. @throws Error with its output when it ends before */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { name, command, cwd, env = {}, isReady, deadlineMs = 60_000 } = options
  const child = Bun.spawn(command, {
    cwd,
    env: { PATH: '/usr/bin:/bin', HOME: cwd, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = collectOutput(child.stdout, child.stderr)
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const end = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (!hasEnded()) child.kill(signal)
    const patience = setTimeout(() => child.kill('SIGKILL'), END_PATIENCE_MS)
    const code = await child.exited
    clearTimeout(patience)
    return code
  }
  try {
    await waitFor(
      async () => {
        if (hasEnded()) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}`)
        return await isReady(output())
      },
      { what: `${name} to be ready`, deadlineMs },
    )
  } catch (error) {
    await end('SIGKILL')
    throw new Error(`${error}\n${output().slice(-4_000)}`)
  }
  return {
    pid: child.pid,
    output,
    hasEnded,
    end,
    async [Symbol.asyncDispose]() {
      await end('SIGKILL')
    },
  }
}

/** Reads the streams to their end, so that the process never waits for a full pipe. @returns what came so far */
export function collectOutput(...streams: ReadableStream<Uint8Array<ArrayBuffer>>[]): () => string {
  let text = ''
  for (const stream of streams) {
    const decoder = new TextDecoder()
    void (async () => {
      for await (const chunk of stream) text += decoder.decode(chunk, { stream: true })
    })()
  }
  return () => text
}

/** Whether something answers 2xx there, by whatever certificate. */
export async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000), tls: { rejectUnauthorized: false } })).ok
  } catch {
    return false
  }
}

/** True while the process runs. A zombie, which its parent hasn't asked for yet, doesn't. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/**
 * Below the ports that the system gives away by itself, which another test may get at any moment.
 */
const PORTS = { first: 20_000, count: 12_000 }
/**
 * Each process of a test run begins elsewhere, so that none gets a port that another has just been
 * given.
 */
let nextPort = (process.pid * 97) % PORTS.count

/** A port that nobody listens on now, for programs that have to be told one. */
export function freePort(): number {
  for (;;) {
    const port = PORTS.first + nextPort
    nextPort = (nextPort + 1) % PORTS.count
    try {
      Bun.listen({ hostname: '127.0.0.1', port, exclusive: true, socket: { data() {} } }).stop(true)
      return port
    } catch {
      // Somebody has it.
    }
  }
}
