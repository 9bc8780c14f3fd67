/** A phone writes to a linked device; every webhook of the device's owner must get each message. */
import type { Random } from '../random.ts'
import type { Arrival } from './outgoing.ts'

export interface IncomingChat {
  /** Unique; texts begin with it. */
  key: string
  /** Endpoints that must get the chat's messages. */
  endpoints: readonly string[]
  /** Sends from the phone. Rejects when that fails or its outcome is unknown. */
  send(text: string, withFile: boolean): Promise<void>
  /** Messages that the phone has really sent. */
  sent(): Promise<Arrival[]>
}

const FILE_SHARE = 0.15

export class IncomingLoad {
  private next = 1
  /** Sends without an answer; their outcome is looked up at the end. */
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
