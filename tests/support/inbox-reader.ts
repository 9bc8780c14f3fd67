/** Reads a webhook's events in order and checks every signature. */
import { Webhook } from 'standardwebhooks'
import type { MessagePayload, WebhookPayload } from '../../src/domain/events.ts'
import type { Account } from './gateway-client.ts'
import { type ReceivedRequest, type WebhookReceiver, webhookReceiver } from './webhook-receiver.ts'

/** Long enough for a busy machine. */
const DEADLINE_MS = 30_000

/** @typeParam Payload of its events: messages received, unless it subscribes to others */
export class InboxReader<Payload extends WebhookPayload = MessagePayload> implements AsyncDisposable {
  private taken = 0

  private constructor(
    readonly receiver: WebhookReceiver,
    readonly webhookId: number,
    private readonly verifier: Webhook,
  ) {}

  /** Registers a webhook of the account. @param answer to each request, 200 by default */
  static open(
    account: Account,
    answer?: (request: ReceivedRequest, index: number) => Response | Promise<Response>,
  ): Promise<InboxReader> {
    return InboxReader.register<MessagePayload>(account, webhookReceiver(answer), undefined)
  }

  /** Registers a webhook for these events. */
  static of<Payload extends WebhookPayload>(
    account: Account,
    events: readonly Payload['event'][],
    settings: Parameters<Account['addWebhook']>[2] = {},
  ): Promise<InboxReader<Payload>> {
    return InboxReader.register<Payload>(account, webhookReceiver(), events, settings)
  }

  private static async register<Payload extends WebhookPayload>(
    account: Account,
    receiver: WebhookReceiver,
    events: readonly string[] | undefined,
    settings: Parameters<Account['addWebhook']>[2] = {},
  ): Promise<InboxReader<Payload>> {
    const { id, secret } = await account.addWebhook(`${receiver.url}/webhook`, events, settings)
    return new InboxReader<Payload>(receiver, id, new Webhook(secret))
  }

  /** @returns the next event, once it is there. @throws Error when its signature is wrong */
  async next(): Promise<Payload> {
    const requests = await this.receiver.waitForCount(this.taken + 1, DEADLINE_MS)
    return this.read(requests[this.taken++])
  }

  /** @returns the next `count` events */
  async take(count: number): Promise<Payload[]> {
    const requests = await this.receiver.waitForCount(this.taken + count, DEADLINE_MS)
    const taken = requests.slice(this.taken, this.taken + count).map(request => this.read(request))
    this.taken += count
    return taken
  }

  /** Number of events that nobody has read yet. */
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
