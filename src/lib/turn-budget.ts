/**
 * Long work lets others in between: nothing that one request asks for may hold the event loop for
 * long.
 */

/** Milliseconds that others wait at most, unless one step of the work takes longer by itself. */
const BUDGET_MS = 5

/** Resolves in the next turn of the event loop, after what waits there already. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Works that wait for another turn. */
const waiting: (() => void)[] = []

/** As many works as there are may ask at once: one of them goes on in each turn, in their order. */
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
 * The time that a piece of work may take before it lets others in. After each step it awaits
 * `budget.pause()`, which returns at once while there is time left.
 */
export class TurnBudget {
  private endsAt = performance.now() + BUDGET_MS

  /** True when it is time to let others in. Asking costs less than an `await` does. */
  get isSpent(): boolean {
    return performance.now() >= this.endsAt
  }

  async pause(): Promise<void> {
    if (!this.isSpent) return
    await nextTurn()
    this.endsAt = performance.now() + BUDGET_MS
  }
}
