/**
 * Bun runs at most 256 fetches of a process at once, and the rest wait: a few dead webhook endpoints, each held until its timeout, would
 * hold up every call to a bridge. The limit is read from the environment when Bun starts and can't be changed from inside, so the process
 * replaces itself (execve): same process id, same files, 10 ms, no second process.
 *
 * It has to do so before anything else is loaded. That costs least, and there is no garbage collection under way yet: the signal by which
 * the engine stops its threads (SIGPWR) would end the process if execve took its handler away meanwhile. A profiler (`bun --cpu-prof`)
 * sends it all the time; set the variable to profile.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi'
import type { EnvSource } from '../config/process-environment.ts'

const VARIABLE = 'BUN_CONFIG_MAX_HTTP_REQUESTS'
/** Each identity on /sync holds one; Bun counts in 16 bits, and a higher limit costs nothing until it is used. */
const MAX_FETCHES = '32768'
const LIBC: Partial<Record<NodeJS.Platform, string>> = { linux: 'libc.so.6', darwin: 'libSystem.B.dylib' }

/** Returns when the limit is set already or the system has no execve: the gateway then works with the limit there is. */
export function raiseFetchLimit(args: readonly string[], environment: EnvSource): void {
  const libc = LIBC[process.platform]
  if (environment[VARIABLE] || !libc) return
  try {
    const { symbols } = dlopen(libc, {
      execve: { args: [FFIType.ptr, FFIType.ptr, FFIType.ptr], returns: FFIType.int },
    })
    const program = cString(process.execPath)
    const argv = cStringArray([process.execPath, ...scriptOf(), ...args])
    const envp = cStringArray(
      Object.entries({ ...environment, [VARIABLE]: MAX_FETCHES }).map(([name, value]) => `${name}=${value}`),
    )
    // Comes back only when it failed.
    symbols.execve(ptr(program), ptr(argv.pointers), ptr(envp.pointers))
  } catch {
    // No such library (a system without glibc) or no permission to load it.
  }
}

/** From source Bun needs to be told what to run; a compiled binary is the program itself, and calls its script /$bunfs/…. */
function scriptOf(): string[] {
  return Bun.main.startsWith('/$bunfs/') ? [] : [...process.execArgv, Bun.main]
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

/** `strings` holds what `pointers` points to, so that neither is collected too early. */
function cStringArray(texts: readonly string[]): { pointers: BigUint64Array; strings: Buffer[] } {
  const strings = texts.map(cString)
  return { strings, pointers: BigUint64Array.from([...strings.map(text => BigInt(ptr(text))), 0n]) }
}
