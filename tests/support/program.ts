/** Runs a program of others, such as Synapse or a bridge; disposing of it kills it. */
import { readFileSync } from 'node:fs'
import { waitFor } from './wait-for.ts'

export interface Program extends AsyncDisposable {
  pid: number
  /** Output so far, of both streams. */
  output(): string
  hasEnded(): boolean
  /** Sends SIGTERM by default. @returns the exit code, once the program has ended */
  end(signal?: NodeJS.Signals): Promise<number>
}

interface ProgramOptions {
  /** Named in error messages. */
  name: string
  command: string[]
  cwd: string
  env?: Record<string, string>
  /** Asked repeatedly until true. */
  isReady(output: string): boolean | Promise<boolean>
  deadlineMs?: number
}

/** Milliseconds a program has after SIGTERM before it is killed. */
const END_PATIENCE_MS = 20_000

/** Resolves when ready; passes on PATH and HOME alone. @throws Error with the output if it ends */
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

/** Reads the streams to their end, so that no full pipe blocks. @returns the output so far */
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

/** @returns true when a server answers 2xx, whatever its certificate */
export async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000), tls: { rejectUnauthorized: false } })).ok
  } catch {
    return false
  }
}

/** True while the process runs; false for a zombie that its parent hasn't reaped. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Below the system's ephemeral ports, which another test may get at any moment. */
const PORTS = { first: 20_000, count: 12_000 }
/** Test processes begin at different ports, so that none gets a port just given to another. */
let nextPort = (process.pid * 97) % PORTS.count

/** A port that nobody listens on now, for programs that must be given one. */
export function freePort(): number {
  for (;;) {
    const port = PORTS.first + nextPort
    nextPort = (nextPort + 1) % PORTS.count
    try {
      Bun.listen({ hostname: '127.0.0.1', port, exclusive: true, socket: { data() {} } }).stop(true)
      return port
    } catch {
      // The port is in use.
    }
  }
}
