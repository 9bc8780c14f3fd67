/** Lets other work in between: nothing one request asks for may hold the event loop for long. */

/** Longest time in milliseconds that others wait, unless a single step takes longer. */
const BUDGET_MS = 5

/** Resolves in the next turn of the event loop, after everything already queued. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Works waiting for another turn. */
const waiting: (() => void)[] = []

/** Many works may wait at once: one continues in each turn, in order. */
function nextTurn(): Promise<void> {
  return new Promise(resolve => {
    if (waiting.push(resolve) === 1) setImmediate(goOn)
  })
}

function goOn(): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(goOn)
}

/**
 * Time a piece of work may take before it lets others in. After each step it awaits `pause()`,
 * which returns at once while time is left.
 */
export class TurnBudget {
  private endsAt = performance.now() + BUDGET_MS

  /** True when it is time to let others in. Checking costs less than an `await`. */
  get isSpent(): boolean {
    return performance.now() >= this.endsAt
  }

  async pause(): Promise<void> {
    if (!this.isSpent) return
    await nextTurn()
    this.endsAt = performance.now() + BUDGET_MS
  }
}
