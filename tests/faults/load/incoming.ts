/** One chat in which a phone writes to a linked device: what it has sent must reach every webhook of the device's owner. */
import type { Random } from '../random.ts'
import type { Arrival } from './outgoing.ts'

export interface IncomingChat {
  /** Unlike all others; the texts begin with it. */
  key: string
  /** Endpoints that must get what is sent here. */
  endpoints: readonly string[]
  /** The phone sends. Rejects when it can't, or when that isn't known. */
  send(text: string, withFile: boolean): Promise<void>
  /** What the phone has really sent. */
  sent(): Promise<Arrival[]>
}

const FILE_SHARE = 0.15

export class IncomingLoad {
  private next = 1
  /** Whether the phone had to do without an answer; what it has sent is looked up at the end. */
  unanswered = 0

  constructor(
    readonly chat: IncomingChat,
    private readonly random: Random,
  ) {}

  async sendNext(): Promise<void> {
    const text = `${this.chat.key}#${this.next++}`
    await this.chat.send(text, this.random.chance(FILE_SHARE)).catch(() => {
      this.unanswered++
    })
  }
}
