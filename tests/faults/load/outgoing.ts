/**
 * A client's sends to one chat: numbered messages, each after the answer to the one before. A
 * message without an answer is sent again with its Idempotency-Key, so it must arrive once.
 */
import { formWith } from '../../support/gateway-client.ts'
import type { Random } from '../random.ts'
import { call } from './calls.ts'
import { fileOf } from './files.ts'

/** A message on a phone. */
export interface Arrival {
  text: string
  /** The file's SHA-256; null without a file. */
  file: string | null
}

export interface OutgoingChat {
  /** Unique; texts begin with it. */
  key: string
  url: string
  token: string
  device: string
  /** platform, and contact or group_url */
  fields: Record<string, string>
  /** Messages at the other end's phones, without their owners' own, oldest first. */
  arrivals(): Promise<Arrival[]>
}

export interface Accepted {
  id: string
  number: number
  withFile: boolean
}

/** Pause between tries without an answer. */
const RETRY_MS = 200
const FILE_SHARE = 0.15

export class OutgoingLoad {
  readonly accepted: Accepted[] = []
  /** Numbers of messages unanswered when the load ended. */
  readonly unknown: number[] = []
  /** Count of answers by status and code, including 200s. */
  readonly answers: Record<string, number> = {}
  /** Answers that no client should see: a bare 500, or a refusal of a valid send. */
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

  /** Sends one message until it is answered or the signal aborts. */
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
      // 409: the key is in use by another request. 507: the disk is full. 429, 503: try later.
      if (answer !== null && ![409, 429, 503, 507].includes(answer.status)) {
        this.wrong.push(`${text}: ${answer.status} ${JSON.stringify(answer.body)}`)
        if (answer.status < 500) return
      }
      await Bun.sleep(RETRY_MS)
    }
    this.unknown.push(number)
  }
}
