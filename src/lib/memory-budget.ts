/**
 * Bounds the memory that works hold together, and shares it out among holders. Works that find none
 * wait; those that need none don't come here, and pass those that wait.
 */
import type { Clock } from './clock.ts'
import { Tally } from './tally.ts'

/** There was no memory in time. */
export class BudgetExceeded extends Error {
  override readonly name = 'BudgetExceeded'

  constructor() {
    super('other works hold all the memory there is for them')
  }
}

interface Hold {
  holder: string
  bytes: number
}

interface Waiting extends Hold {
  letIn(): void
}

/** Then the work is given up, so that others have their turn. */
const WAIT_MS = 10_000

export class MemoryBudget {
  private readonly taken = new Tally()
  private readonly waiting = new Set<Waiting>()

  /** @param maxBytes for all holders together */
  constructor(
    private readonly clock: Pick<Clock, 'sleep'>,
    private readonly maxBytes: number,
  ) {}

  /**
   * Waits for memory. A holder may have as much as is then still free, so there is some for one
   * more holder: alone it gets half.
   * @param bytes at most half of the budget is counted, or the largest work would never begin
   * @returns gives it back
   * @throws BudgetExceeded when there was none in time
   */
  async take(holder: string, bytes: number): Promise<() => void> {
    const hold = { holder, bytes: Math.min(Math.ceil(bytes), Math.floor(this.maxBytes / 2)) }
    if (this.fits(hold)) this.taken.add(holder, hold.bytes)
    else await this.turnOf(hold)
    return () => this.giveBack(hold)
  }

  private fits({ holder, bytes }: Hold): boolean {
    const its = this.taken.of(holder)
    const left = this.maxBytes - this.taken.total - bytes
    return left >= 0 && (its === 0 || its + bytes <= left)
  }

  private async turnOf(hold: Hold): Promise<void> {
    const turn = new AbortController()
    const waiting = { ...hold, letIn: () => turn.abort() }
    this.waiting.add(waiting)
    await this.clock.sleep(WAIT_MS, turn.signal)
    if (this.waiting.delete(waiting)) throw new BudgetExceeded()
  }

  private giveBack(hold: Hold): void {
    this.taken.add(hold.holder, -hold.bytes)
    for (const waiting of this.waiting) {
      if (!this.fits(waiting)) continue
      this.taken.add(waiting.holder, waiting.bytes)
      this.waiting.delete(waiting)
      waiting.letIn()
    }
  }
}
