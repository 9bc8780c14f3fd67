/** The wall clock of the program under test, which can be set like a machine's: a small library that is loaded before it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ShiftedClock {
  /** Settings of the program that is to have this clock. */
  env: Record<string, string>
  /** How far it is ahead, in milliseconds. */
  aheadMs(): number
  /** Sets it ahead, or back. */
  jump(byMs: number): void
}

/** @param folder for the library and the file it reads. @returns null without a C compiler, or on another system than Linux */
export function shiftedClock(folder: string): ShiftedClock | null {
  const compiler = process.platform === 'linux' ? (Bun.which('cc') ?? Bun.which('gcc')) : null
  if (compiler === null) return null
  const library = join(folder, 'shifted-clock.so')
  const source = join(import.meta.dir, 'shifted-clock.c')
  const built = Bun.spawnSync([compiler, '-shared', '-fPIC', '-O2', '-o', library, source])
  if (!built.success) throw new Error(`the clock could not be built: ${built.stderr}`)
  const file = join(folder, 'clock-shift')
  let ahead = 0n
  const write = () => writeFileSync(file, new Uint8Array(new BigInt64Array([ahead]).buffer))
  write()
  return {
    env: { LD_PRELOAD: library, SHIFTED_CLOCK_FILE: file },
    aheadMs: () => Number(ahead),
    jump(byMs) {
      ahead += BigInt(byMs)
      write()
    },
  }
}
