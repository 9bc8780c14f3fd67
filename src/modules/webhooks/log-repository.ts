/** SQL of the delivery log: what became of each event at a webhook, and asking for one again. */
import type { Db } from '../../db/open.ts'
import { deliveries, inboxEvents, type Webhook } from '../../db/schema/index.ts'
import { endpointKey, type NewEvent } from '../events/repository.ts'
import { type Attempt, createAttemptWriter } from './attempt-repository.ts'
import {
  createDeliveryLogReader,
  type DeliveryLogReader,
  type LoggedDelivery,
  type LogPage,
} from './log-page-repository.ts'
import { createRequeuer } from './requeue-repository.ts'

export interface DeliveryLogRepository {
  /** As `DeliveryLogReader` says. */
  page(...of: Parameters<DeliveryLogReader['page']>): Promise<LogPage | null>
  find(identityId: string, deliveryId: string): Promise<LoggedDelivery | null>
  /**
   * Makes it due now, whatever became of it, under the same id; nothing is changed while it is under way.
   * @returns null when there is no such delivery
   */
  retry(identityId: string, deliveryId: string, now: number): Promise<'due' | 'under way' | null>
  /** Stores an event that went to one webhook alone, and the try that was made. */
  recordTest(webhook: Webhook, deliveryId: string, event: NewEvent, attempt: Attempt): Promise<void>
}

export function createDeliveryLogRepository(db: Db): DeliveryLogRepository {
  const { orm, committer } = db
  const reader = createDeliveryLogReader(db)
  const attempts = createAttemptWriter(db)
  const requeue = createRequeuer(db)

  return {
    page: async (...of) => reader.page(...of),
    find: async (identityId, id) => reader.find(identityId, id),

    retry: (identityId, id, now) =>
      committer.write(() => {
        const row = reader.find(identityId, id)
        if (!row) return null
        if (row.delivery.status === 'pending' && row.dueAt === null) return 'under way'
        requeue(row.delivery, `aside/${id}`, now)
        return 'due'
      }),

    recordTest: (webhook, deliveryId, event, attempt) =>
      committer.write(() => {
        const { identityId, id: webhookId } = webhook
        const { lane, ...columns } = event
        const { seq: inboxSeq } = orm
          .insert(inboxEvents)
          .values({ ...columns, name: event.payload.event, receivedAt: attempt.at })
          .returning({ seq: inboxEvents.seq })
          .get()
        const delivery = orm
          .insert(deliveries)
          .values({
            id: deliveryId,
            identityId,
            webhookId,
            inboxSeq,
            lane: `${endpointKey(identityId, webhookId)}/${lane}`,
            status: 'pending',
            attempts: 0,
            createdAt: attempt.at,
          })
          .returning()
          .get()
        attempts.record(delivery, attempt, attempt.error === null ? 'succeeded' : 'dead', attempt.at)
      }),
  }
}
