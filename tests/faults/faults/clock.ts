/** Sets the wall clock of the program under test, with a small preloaded library. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ShiftedClock {
  /** Settings that give a program this clock. */
  env: Record<string, string>
  /** Milliseconds that the clock is ahead. */
  aheadMs(): number
  /** Sets the clock ahead or back. */
  jump(byMs: number): void
}

/** @param folder for the library and its file. @returns null without a C compiler or Linux */
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
