/** SQL of the delivery log: what became of each event at a webhook, and asking for one again. */
import type { Db } from '../../db/open.ts'
import { deliveries, inboxEvents, type Webhook } from '../../db/schema/index.ts'
import { endpointKey, type NewEvent } from '../events/event-repository.ts'
import { type Attempt, recordAttempt } from './attempt-repository.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import {
  findLogged,
  type LogFilter,
  type LoggedDelivery,
  type LogPage,
  readLogPage,
} from './log-page-repository.ts'
import { requeue } from './requeue-repository.ts'

export interface DeliveryLogRepository {
  /** As `readLogPage` says. */
  page(
    webhook: Pick<Webhook, 'identityId' | 'id'>,
    filter: LogFilter,
    limit: number,
    before: string | undefined,
  ): Promise<LogPage | null>
  find(identityId: string, deliveryId: string): Promise<LoggedDelivery | null>
  /**
   * Makes it due now, whatever became of it, under the same id; nothing is changed while it is under way.
   * @returns null when there is no such delivery
   */
  retry(identityId: string, deliveryId: string, now: number): Promise<'due' | 'under way' | null>
  /** Stores an event that went to one webhook alone, and the try that was made. */
  recordTest(webhook: Webhook, deliveryId: string, event: NewEvent, attempt: Attempt): Promise<void>
}

export function createDeliveryLogRepository(
  db: Pick<Db, 'read' | 'write'>,
  health: Pick<EndpointHealth, 'forget'>,
): DeliveryLogRepository {
  return {
    page: (...of) => db.read(reader => readLogPage(reader, ...of)),
    find: (identityId, id) => db.read(reader => findLogged(reader, identityId, id)),

    retry: (identityId, id, now) =>
      db.write(async tx => {
        const row = await findLogged(tx, identityId, id)
        if (!row) return null
        if (row.delivery.status === 'pending' && row.dueAt === null) return 'under way'
        tx.afterCommit(() => health.forget(endpointKey(identityId, row.delivery.webhookId)))
        await requeue(tx, row.delivery, `aside/${id}`, now)
        return 'due'
      }),

    recordTest: (webhook, deliveryId, { lane, ...event }, attempt) =>
      db.write(async tx => {
        const { identityId, id: webhookId } = webhook
        const stored = await tx.get(orm =>
          orm
            .insert(inboxEvents)
            .values({ ...event, name: event.payload.event, receivedAt: attempt.at })
            .returning({ seq: inboxEvents.seq }),
        )
        if (!stored) return
        const delivery = await tx.get(orm =>
          orm
            .insert(deliveries)
            .values({
              id: deliveryId,
              identityId,
              webhookId,
              inboxSeq: stored.seq,
              lane: `${endpointKey(identityId, webhookId)}/${lane}`,
              status: 'pending',
              attempts: 0,
              createdAt: attempt.at,
            })
            .returning(),
        )
        const status = attempt.error === null ? 'succeeded' : 'dead'
        if (delivery) await recordAttempt(tx, delivery, attempt, status, attempt.at)
      }),
  }
}
