/** Reads a webhook's messages one after the other, as a client does that checks every signature. */
import { Webhook } from 'standardwebhooks'
import type { MessagePayload } from '../../src/domain/events.ts'
import type { Account } from './gateway-client.ts'
import { type ReceivedRequest, type WebhookReceiver, webhookReceiver } from './webhook-receiver.ts'

/** Long enough for a machine that does much else. */
const DEADLINE_MS = 30_000

export class InboxReader implements AsyncDisposable {
  private taken = 0

  private constructor(
    readonly receiver: WebhookReceiver,
    readonly webhookId: number,
    private readonly verifier: Webhook,
  ) {}

  /** Registers a webhook of the account. @param answer what each request gets, 200 by default */
  static async open(
    account: Account,
    answer?: (request: ReceivedRequest, index: number) => Response | Promise<Response>,
  ): Promise<InboxReader> {
    const receiver = webhookReceiver(answer)
    const { id, secret } = await account.addWebhook(`${receiver.url}/webhook`)
    return new InboxReader(receiver, id, new Webhook(secret))
  }

  /** @returns the next message, once it is there. @throws Error when its signature is wrong */
  async next(): Promise<MessagePayload> {
    const requests = await this.receiver.waitForCount(this.taken + 1, DEADLINE_MS)
    return this.read(requests[this.taken++])
  }

  /** @returns the next messages, this many */
  async take(count: number): Promise<MessagePayload[]> {
    const requests = await this.receiver.waitForCount(this.taken + count, DEADLINE_MS)
    const taken = requests.slice(this.taken, this.taken + count).map(request => this.read(request))
    this.taken += count
    return taken
  }

  /** How many came that nobody has read yet. */
  get unread(): number {
    return this.receiver.received.length - this.taken
  }

  private read(request: ReceivedRequest | undefined): MessagePayload {
    if (!request) throw new Error('there is no such request')
    return this.verifier.verify(request.text, Object.fromEntries(request.headers)) as MessagePayload
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.receiver[Symbol.asyncDispose]()
  }
}
