/**
 * Room in memory for the files in deliveries under way. An endpoint that takes its time holds a body for the whole try, so there may be only so
 * many bodies; deliveries without a file need none, and pass those that wait.
 */
import type { Clock } from '../../lib/clock.ts'

/** There was none in time. It costs the endpoint none of its tries. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom'

  constructor() {
    super('files in other deliveries take up all the memory there is for them')
  }
}

interface Hold {
  holder: string
  bytes: number
}

interface Waiting extends Hold {
  letIn(): void
}

/** For all deliveries together. */
const MAX_BYTES = 128 * 1024 * 1024
/** A file is held as base64 twice: as what is signed, and as what is sent. */
const BYTES_PER_FILE_BYTE = (2 * 4) / 3
/** Then the lane is given back, so that others have their turn. */
const WAIT_MS = 10_000

export class PayloadRoom {
  private taken = 0
  private readonly takenBy = new Map<string, number>()
  private readonly waiting = new Set<Waiting>()

  constructor(
    private readonly clock: Pick<Clock, 'sleep'>,
    private readonly maxBytes = MAX_BYTES,
  ) {}

  /**
   * Waits for room. A holder may have as much as then is still free, so there is some for one more holder: alone it gets half.
   * @param holder whose share it is of: an identity
   * @returns gives it back. Rejects with NoRoom when there was none in time
   */
  async take(holder: string, fileBytes: number): Promise<() => void> {
    // One file counts for half at most, or the largest would never find room.
    const hold = {
      holder,
      bytes: Math.min(Math.ceil(fileBytes * BYTES_PER_FILE_BYTE), Math.floor(this.maxBytes / 2)),
    }
    if (this.fits(hold)) this.count(hold, 1)
    else await this.turnOf(hold)
    return () => this.giveBack(hold)
  }

  private fits({ holder, bytes }: Hold): boolean {
    const its = this.takenBy.get(holder) ?? 0
    const left = this.maxBytes - this.taken - bytes
    return left >= 0 && (its === 0 || its + bytes <= left)
  }

  private async turnOf(hold: Hold): Promise<void> {
    const turn = new AbortController()
    const waiting = { ...hold, letIn: () => turn.abort() }
    this.waiting.add(waiting)
    await this.clock.sleep(WAIT_MS, turn.signal)
    if (this.waiting.delete(waiting)) throw new NoRoom()
  }

  private giveBack(hold: Hold): void {
    this.count(hold, -1)
    for (const waiting of this.waiting) {
      if (!this.fits(waiting)) continue
      this.count(waiting, 1)
      this.waiting.delete(waiting)
      waiting.letIn()
    }
  }

  private count({ holder, bytes }: Hold, sign: 1 | -1): void {
    this.taken += sign * bytes
    const its = (this.takenBy.get(holder) ?? 0) + sign * bytes
    if (its === 0) this.takenBy.delete(holder)
    else this.takenBy.set(holder, its)
  }
}
