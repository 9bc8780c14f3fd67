/** A database with an identity and a webhook, its dispatcher, and a clock that a test moves. */
import {
  type Delivery,
  deliveries,
  deliveryLanes,
  events,
  identities,
  type webhooks,
} from '../../src/db/schema/index.ts'
import type { StoredEvent } from '../../src/domain/events.ts'
import type { StoredEventName } from '../../src/domain/states.ts'
import { createSealer } from '../../src/lib/sealing.ts'
import { writeEvent } from '../../src/modules/events/event-repository.ts'
import { signingSecretContext } from '../../src/modules/webhooks/delivery-try.ts'
import type { Worker } from '../../src/runtime/worker.ts'
import { ManualClock, settled } from './manual-clock.ts'
import { insertIdentity, insertToken, insertWebhook } from './rows.ts'
import { type TempDb, tempDb } from './temp-db.ts'
import { TEST_SEALING_KEY, type TestWebhooksOptions, testWebhooks } from './test-webhooks.ts'

export class WebhookScene {
  readonly db: TempDb = tempDb()
  readonly clock = new ManualClock()
  side: ReturnType<typeof testWebhooks>
  private readonly stops: (() => Promise<void>)[] = []
  private count = 0

  constructor() {
    insertIdentity(this.db)
    insertToken(this.db)
    this.side = testWebhooks({ db: this.db, clock: this.clock })
    this.hook(1)
  }

  /** Adds a webhook of the identity, at http://hook/<id>. */
  hook(id: number, change: Partial<typeof webhooks.$inferInsert> = {}): void {
    const context = signingSecretContext(change.identityId ?? 'id_1')
    const secretSealed = createSealer(TEST_SEALING_KEY).seal('whsec_c2VjcmV0', context)
    insertWebhook(this.db, { id, url: `http://hook/${id}`, secretSealed, ...change })
    this.db.orm
      .update(identities)
      .set({ nextWebhookId: id + 1 })
      .run()
  }

  /**
   * Stores an event as the inbox does, with a delivery for each webhook that subscribes to it.
   * @param fields further ones of its payload
   */
  async happens(
    text: string,
    {
      name = 'message.received',
      roomId = '!r:s',
      ...fields
    }: { name?: StoredEventName; roomId?: string; [field: string]: unknown } = {},
  ): Promise<void> {
    const eventId = `$${++this.count}`
    const payload = { event: name, message: text, ...fields } as unknown as StoredEvent
    const of = { identityId: 'id_1', roomId, deviceRowId: 'dev_1', senderUserId: '@a:s', mediaId: null }
    await this.db.write(tx => writeEvent(tx, { ...of, eventId, lane: roomId, payload }, this.clock.now()))
  }

  /** Inserts an event with a delivery to one webhook. */
  event(text: string, { identityId = 'id_1', webhookId = 1, roomId = '!r:s' } = {}): void {
    const { orm } = this.db
    const now = this.clock.now()
    const id = ++this.count
    const { seq } = orm
      .insert(events)
      .values({
        identityId,
        eventId: `$${id}`,
        name: 'message.received',
        roomId,
        deviceRowId: 'dev_1',
        senderUserId: '@a:s',
        mediaId: null,
        payload: { event: 'message.received', message: text } as never,
        receivedAt: now,
      })
      .returning()
      .get()
    const endpoint = `${identityId}/${webhookId}`
    const lane = `${endpoint}/${roomId}`
    const of = { id: `evt_${id}`, identityId, webhookId, eventSeq: seq, lane }
    orm
      .insert(deliveries)
      .values({ ...of, status: 'pending', attempts: 0, createdAt: now })
      .run()
    orm.insert(deliveryLanes).values({ lane, endpoint, dueAt: now }).onConflictDoNothing().run()
  }

  /** Starts delivering, until `stop`. A second start is as after a kill: work under way stays. */
  start(options: Omit<TestWebhooksOptions, 'db' | 'clock'> = {}): void {
    const { answer } = this.side.endpoint
    const { tries } = this.side
    this.side = testWebhooks({ db: this.db, clock: this.clock, tries, ...options })
    this.side.endpoint.answer = answer
    this.run(this.side.dispatcher)
    this.run(this.side.replays.worker)
  }

  private run(worker: Worker): void {
    const controller = new AbortController()
    const running = worker.run(controller.signal)
    this.stops.push(async () => {
      controller.abort()
      await running
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.stops.splice(0).map(stop => stop()))
  }

  async idle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await settled()
  }

  /** Lets time pass in steps, and runs what is ready after each. */
  async pass(ms: number, steps = 20): Promise<void> {
    for (let step = 0; step < steps; step++) {
      await this.clock.advance(ms / steps)
      await this.idle()
    }
  }

  /** Texts that the endpoints received, in order. */
  texts(): unknown[] {
    return this.side.tries.map(({ payload }) => payload.message)
  }

  rows(): Delivery[] {
    return this.db.orm.select().from(deliveries).all()
  }

  statuses(): Delivery['status'][] {
    return this.rows().map(({ status }) => status)
  }

  async destroy(): Promise<void> {
    await this.stop()
    await this.db.destroy()
  }
}
