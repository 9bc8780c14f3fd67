/**
 * One chat that a client sends to: numbered messages, each sent once the one before was answered. A message whose answer got lost is sent
 * again with the same Idempotency-Key, until it is answered; so it must arrive once.
 */
import { formWith } from '../../support/gateway-client.ts'
import type { Random } from '../random.ts'
import { call } from './calls.ts'
import { fileOf } from './files.ts'

/** A message as the phone has it. */
export interface Arrival {
  text: string
  /** SHA-256 of its file; null without one. */
  file: string | null
}

export interface OutgoingChat {
  /** Unlike all others; the texts begin with it. */
  key: string
  url: string
  token: string
  device: string
  /** platform, and contact or group_url */
  fields: Record<string, string>
  /** What others than its owner's have sent to the phones at the other end, oldest first. */
  arrivals(): Promise<Arrival[]>
}

export interface Accepted {
  id: string
  number: number
  withFile: boolean
}

/** Between tries, as long as there is no answer. */
const RETRY_MS = 200
const FILE_SHARE = 0.15

export class OutgoingLoad {
  readonly accepted: Accepted[] = []
  /** Numbers that were never answered, as the load ended first. */
  readonly unknown: number[] = []
  /** Answers by status and code, the 200s included. */
  readonly answers: Record<string, number> = {}
  /** Answers that no client should see: a bare 500, or a refusal of what is right. */
  readonly wrong: string[] = []
  resent = 0
  private next = 1

  constructor(
    readonly chat: OutgoingChat,
    private readonly random: Random,
  ) {}

  textOf(number: number): string {
    return `${this.chat.key}#${number}`
  }

  /** One message, until it is answered or the signal aborts. */
  async sendNext(signal: AbortSignal): Promise<void> {
    const number = this.next++
    const withFile = this.random.chance(FILE_SHARE)
    const { url, device, token, fields } = this.chat
    const text = this.textOf(number)
    for (let tries = 0; !signal.aborted; tries++) {
      if (tries > 0) this.resent++
      const body = withFile ? formWith({ ...fields, text }, fileOf(text)) : { ...fields, text }
      const answer = await call('POST', `${url}/api/v1/devices/${device}/message`, {
        token,
        body,
        headers: { 'idempotency-key': text },
      })
      const told = answer === null ? 'no answer' : [answer.status, answer.body.code].join(' ').trim()
      this.answers[told] = (this.answers[told] ?? 0) + 1
      if (answer?.status === 200) {
        const [message] = answer.body.messages as { id: string }[]
        this.accepted.push({ id: message?.id ?? '', number, withFile })
        return
      }
      // 409: the same key is being worked on. 507: the disk is full. 429, 503: later.
      if (answer !== null && ![409, 429, 503, 507].includes(answer.status)) {
        this.wrong.push(`${text}: ${answer.status} ${JSON.stringify(answer.body)}`)
        if (answer.status < 500) return
      }
      await Bun.sleep(RETRY_MS)
    }
    this.unknown.push(number)
  }
}
