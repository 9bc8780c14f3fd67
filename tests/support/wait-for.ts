/** Waits for a condition, with a deadline: tests never sleep a guessed time. */

interface WaitOptions {
  /** Named in the error at the deadline. */
  what?: string
  deadlineMs?: number
}

const POLL_MS = 5
/** Far longer than anything takes, even on a busy machine. */
const DEADLINE_MS = 40_000

/** @returns the first value that isn't false, null or undefined. @throws Error at the deadline */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what = condition.toString(), deadlineMs = DEADLINE_MS }: WaitOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (isThere(value)) return value
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain for: ${what}`)
    await Bun.sleep(POLL_MS)
  }
}

function isThere<T>(value: T): value is NonNullable<Exclude<T, false>> {
  return value !== false && value !== null && value !== undefined
}
