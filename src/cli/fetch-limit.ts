/**
 * Bun runs at most 256 fetches at once and queues the rest: a few dead webhook endpoints, each held
 * until its timeout, would delay every call to a bridge. Bun reads the limit from the environment
 * at start, so the process replaces itself (execve): same process id and files, in 10 ms.
 *
 * It must do so before anything else is loaded, when no garbage collection runs yet: the engine
 * stops its threads by SIGPWR, which ends the process once execve has removed the handler. A
 * profiler (`bun --cpu-prof`) sends it all the time; set the variable to profile.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi'
import type { EnvSource } from '../config/process-environment.ts'

const VARIABLE = 'BUN_CONFIG_MAX_HTTP_REQUESTS'
/** Each identity on /sync holds one; Bun counts in 16 bits, and unused ones cost nothing. */
const MAX_FETCHES = '32768'
const LIBC: Partial<Record<NodeJS.Platform, string>> = { linux: 'libc.so.6', darwin: 'libSystem.B.dylib' }

/** Returns if the limit is already set or the system has no execve; Bun's limit then holds. */
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
    // Returns only on failure.
    symbols.execve(ptr(program), ptr(argv.pointers), ptr(envp.pointers))
  } catch {
    // The library is missing (no glibc) or may not be loaded.
  }
}

/** Bun needs the script's path; a compiled binary is the program, with its script in /$bunfs/. */
function scriptOf(): string[] {
  return Bun.main.startsWith('/$bunfs/') ? [] : [...process.execArgv, Bun.main]
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

/** `strings` keeps alive what `pointers` points to. */
function cStringArray(texts: readonly string[]): { pointers: BigUint64Array; strings: Buffer[] } {
  const strings = texts.map(cString)
  return { strings, pointers: BigUint64Array.from([...strings.map(text => BigInt(ptr(text))), 0n]) }
}
