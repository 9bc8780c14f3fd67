/** Reads what a webhook gets one after the other, as a client does that checks every signature. */
import { Webhook } from 'standardwebhooks'
import type { MessagePayload, WebhookPayload } from '../../src/domain/events.ts'
import type { Account } from './gateway-client.ts'
import { type ReceivedRequest, type WebhookReceiver, webhookReceiver } from './webhook-receiver.ts'

/** Long enough for a machine that does much else. */
const DEADLINE_MS = 30_000

/** @typeParam Payload what its events carry: messages received, unless it asks for others */
export class InboxReader<Payload extends WebhookPayload = MessagePayload> implements AsyncDisposable {
  private taken = 0

  private constructor(
    readonly receiver: WebhookReceiver,
    readonly webhookId: number,
    private readonly verifier: Webhook,
  ) {}

  /** Registers a webhook of the account. @param answer what each request gets, 200 by default */
  static open(
    account: Account,
    answer?: (request: ReceivedRequest, index: number) => Response | Promise<Response>,
  ): Promise<InboxReader> {
    return InboxReader.register<MessagePayload>(account, webhookReceiver(answer), undefined)
  }

  /** Registers a webhook that asks for these events. */
  static of<Payload extends WebhookPayload>(
    account: Account,
    events: readonly Payload['event'][],
  ): Promise<InboxReader<Payload>> {
    return InboxReader.register<Payload>(account, webhookReceiver(), events)
  }

  private static async register<Payload extends WebhookPayload>(
    account: Account,
    receiver: WebhookReceiver,
    events: readonly string[] | undefined,
  ): Promise<InboxReader<Payload>> {
    const { id, secret } = await account.addWebhook(`${receiver.url}/webhook`, events)
    return new InboxReader<Payload>(receiver, id, new Webhook(secret))
  }

  /** @returns the next one, once it is there. @throws Error when its signature is wrong */
  async next(): Promise<Payload> {
    const requests = await this.receiver.waitForCount(this.taken + 1, DEADLINE_MS)
    return this.read(requests[this.taken++])
  }

  /** @returns the next ones, this many */
  async take(count: number): Promise<Payload[]> {
    const requests = await this.receiver.waitForCount(this.taken + count, DEADLINE_MS)
    const taken = requests.slice(this.taken, this.taken + count).map(request => this.read(request))
    this.taken += count
    return taken
  }

  /** How many came that nobody has read yet. */
  get unread(): number {
    return this.receiver.received.length - this.taken
  }

  private read(request: ReceivedRequest | undefined): Payload {
    if (!request) throw new Error('there is no such request')
    return this.verifier.verify(request.text, Object.fromEntries(request.headers)) as Payload
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.receiver[Symbol.asyncDispose]()
  }
}
