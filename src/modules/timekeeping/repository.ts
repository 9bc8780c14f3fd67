/** SQL of what waits until an instant, all of it: it goes on waiting for as long as it had left when somebody sets the clock. */
import { eq, gt, isNotNull, or, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import {
  awaitedLogins,
  deliveryLanes,
  devicePaces,
  devices,
  idempotencyKeys,
  messages,
  outboxLanes,
  settings,
  webhooks,
} from '../../db/schema/index.ts'

export interface TimekeepingRepository {
  /** The latest instant at which a process is known to have run, by the clock of then; null before the first. */
  lastSeen(): Promise<number | null>
  note(now: number): Promise<void>
  /**
   * The clock was set by `stepMs`.
   * @param now by the clock as it is set now
   */
  move(stepMs: number, now: number): Promise<void>
}

/** The row of `settings` that holds it. */
const LAST_SEEN = 'clock_seen'

export function createTimekeepingRepository({ orm, committer }: Db): TimekeepingRepository {
  function noteNow(now: number): void {
    const value = String(now)
    orm
      .insert(settings)
      .values({ name: LAST_SEEN, value })
      .onConflictDoUpdate({ target: settings.name, set: { value } })
      .run()
  }

  /** When a message was accepted or handed over counts only until it is settled. */
  function moveMessages(stepMs: number): void {
    orm
      .update(messages)
      .set({
        createdAt: plus(messages.createdAt, stepMs),
        expiresAt: plus(messages.expiresAt, stepMs),
        failingSince: plus(messages.failingSince, stepMs),
        refusedSince: plus(messages.refusedSince, stepMs),
      })
      .where(sql`${messages.status} in ('queued', 'sending')`)
      .run()
    orm
      .update(messages)
      .set({ updatedAt: plus(messages.updatedAt, stepMs) })
      .where(sql`${messages.status} = 'submitted'`)
      .run()
  }

  /** By a clock that was set back, what happened before would be in the future; what the network brings now would be history. */
  function moveDevices(stepMs: number, now: number): void {
    for (const column of ['linkedAt', 'stateSince', 'receivesFrom'] as const) {
      orm
        .update(devices)
        .set({ [column]: plus(devices[column], stepMs) })
        .where(gt(devices[column], now))
        .run()
    }
    orm
      .update(awaitedLogins)
      .set({ since: plus(awaitedLogins.since, stepMs) })
      .where(gt(awaitedLogins.since, now))
      .run()
  }

  return {
    async lastSeen() {
      const row = orm.select().from(settings).where(eq(settings.name, LAST_SEEN)).get()
      return row ? Number(row.value) : null
    },

    note: now => committer.write(() => noteNow(now)),

    move: (stepMs, now) =>
      committer.write(() => {
        orm
          .update(outboxLanes)
          .set({ dueAt: plus(outboxLanes.dueAt, stepMs) })
          .run()
        orm
          .update(deliveryLanes)
          .set({ dueAt: plus(deliveryLanes.dueAt, stepMs) })
          .run()
        orm
          .update(devicePaces)
          .set({ restAt: plus(devicePaces.restAt, stepMs) })
          .run()
        orm
          .update(webhooks)
          .set({
            failingSince: plus(webhooks.failingSince, stepMs),
            oldSecretUntil: plus(webhooks.oldSecretUntil, stepMs),
          })
          .where(or(isNotNull(webhooks.failingSince), isNotNull(webhooks.oldSecretUntil)))
          .run()
        // Forgotten before its day is over, a key would let a request be done twice.
        orm
          .update(idempotencyKeys)
          .set({ createdAt: plus(idempotencyKeys.createdAt, stepMs) })
          .run()
        moveMessages(stepMs)
        if (stepMs < 0) moveDevices(stepMs, now)
        noteNow(now)
      }),
  }
}

function plus(column: SQLiteColumn, ms: number) {
  return sql`${column} + ${ms}`
}
