/** Runs the works of a shared transaction, each with a scope that ends with it. */
import type { AsyncLocalStorage } from 'node:async_hooks'

/** A work that awaits only its transaction ends within its turn; a longer one awaits more. */
const STALLED_MS = 100

const STALLED = `a write was open for longer than ${STALLED_MS} ms: it may await nothing but its transaction`

/** A work's part in the transaction under way. */
export class TransactionScope {
  /** False once the work has ended: its statements would join another work's transaction. */
  isOpen = true

  constructor(private readonly effects: (() => void)[]) {}

  /**
   * Runs `effect` once the transaction is on disk, and never if it is rolled back. Unlike the work,
   * which may run twice, the effect may reach outside the database.
   */
  afterCommit(effect: () => void): void {
    if (!this.isOpen) throw new TransactionEnded()
    this.effects.push(effect)
  }
}

/** The work continued after its end: it forgot to await a statement. */
export class TransactionEnded extends Error {
  override readonly name = 'TransactionEnded'

  constructor() {
    super('the transaction has ended: a work must await each of its statements')
  }
}

type Work = (scope: TransactionScope) => unknown

/** The works of one transaction and their effects after the commit. */
export class Works {
  readonly effects: (() => void)[] = []
  readonly begunAt = performance.now()
  private timer: ReturnType<typeof setTimeout> | undefined
  /** Rejects the work that runs. */
  private abandon: (error: Error) => void = () => undefined

  constructor(private readonly current: AsyncLocalStorage<TransactionScope>) {}

  runNow(work: Work): unknown {
    const scope = new TransactionScope(this.effects)
    try {
      return this.current.run(scope, work, scope)
    } finally {
      scope.isOpen = false
    }
  }

  /** A timer for each work, or a race with one, would cost as much as an insert. */
  async run(work: Work): Promise<unknown> {
    const scope = new TransactionScope(this.effects)
    this.timer ??= setTimeout(() => {
      // The next work may stall, too, and nothing could be written any more.
      this.timer = undefined
      this.abandon(new Error(STALLED))
    }, STALLED_MS)
    try {
      return await new Promise((resolve, reject) => {
        this.abandon = reject
        // Resolved with a promise, it could no longer be rejected.
        Promise.resolve(this.current.run(scope, work, scope)).then(resolve, reject)
      })
    } finally {
      scope.isOpen = false
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.timer)
  }
}
