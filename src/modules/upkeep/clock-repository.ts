/**
 * SQL of all rows that wait until an instant: when the clock is set, they wait as long as they had
 * left.
 */
import { gt, isNotNull, or, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import {
  awaitedLogins,
  deliveryLanes,
  devices,
  idempotencyKeys,
  messages,
  outboxDevices,
  outboxLanes,
  webhooks,
} from '../../db/schema/index.ts'
import type { Tx } from '../../db/transaction.ts'
import { replaceSetting, settingOf } from '../tenants/settings-repository.ts'

export interface TimekeepingRepository {
  /**
   * The latest instant at which a process is known to have run, by the clock of then; null before
   * the first.
   */
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

export function createTimekeepingRepository(db: Pick<Db, 'read' | 'write'>): TimekeepingRepository {
  return {
    async lastSeen() {
      const seen = await db.read(reader => settingOf(reader, LAST_SEEN))
      return seen === null ? null : Number(seen)
    },

    note: now => db.write(tx => note(tx, now)),

    move: (stepMs, now) =>
      db.write(async tx => {
        await moveQueues(tx, stepMs)
        await moveMessages(tx, stepMs)
        if (stepMs < 0) await moveDevices(tx, stepMs, now)
        await note(tx, now)
      }),
  }
}

function note(tx: Tx, now: number): Promise<void> {
  return replaceSetting(tx, LAST_SEEN, String(now))
}

async function moveQueues(tx: Tx, stepMs: number): Promise<void> {
  // First the devices, as a lane that moves back makes its device due.
  await tx.run(orm =>
    orm.update(outboxDevices).set({
      dueAt: plus(outboxDevices.dueAt, stepMs),
      nextSendAt: plus(outboxDevices.nextSendAt, stepMs),
    }),
  )
  await tx.run(orm => orm.update(outboxLanes).set({ dueAt: plus(outboxLanes.dueAt, stepMs) }))
  await tx.run(orm => orm.update(deliveryLanes).set({ dueAt: plus(deliveryLanes.dueAt, stepMs) }))
  await tx.run(orm =>
    orm
      .update(webhooks)
      .set({
        failingSince: plus(webhooks.failingSince, stepMs),
        oldSecretUntil: plus(webhooks.oldSecretUntil, stepMs),
      })
      .where(or(isNotNull(webhooks.failingSince), isNotNull(webhooks.oldSecretUntil))),
  )
  // Forgotten before its day is over, a key would let a request be done twice.
  await tx.run(orm => orm.update(idempotencyKeys).set({ createdAt: plus(idempotencyKeys.createdAt, stepMs) }))
}

/** When a message was accepted or handed over counts only until it is settled. */
async function moveMessages(tx: Tx, stepMs: number): Promise<void> {
  await tx.run(orm =>
    orm
      .update(messages)
      .set({
        createdAt: plus(messages.createdAt, stepMs),
        expiresAt: plus(messages.expiresAt, stepMs),
        failingSince: plus(messages.failingSince, stepMs),
        refusedSince: plus(messages.refusedSince, stepMs),
      })
      .where(sql`${messages.status} in ('queued', 'sending')`),
  )
  await tx.run(orm =>
    orm
      .update(messages)
      .set({ updatedAt: plus(messages.updatedAt, stepMs) })
      .where(sql`${messages.status} = 'submitted'`),
  )
}

/**
 * By a clock that was set back, what happened before would be in the future; what the network
 * brings now would be history.
 */
async function moveDevices(tx: Tx, stepMs: number, now: number): Promise<void> {
  for (const name of ['linkedAt', 'stateSince', 'receivesFrom'] as const) {
    const column = devices[name]
    await tx.run(orm =>
      orm
        .update(devices)
        .set({ [name]: plus(column, stepMs) })
        .where(gt(column, now)),
    )
  }
  await tx.run(orm =>
    orm
      .update(awaitedLogins)
      .set({ since: plus(awaitedLogins.since, stepMs) })
      .where(gt(awaitedLogins.since, now)),
  )
}

function plus(column: SQLiteColumn, ms: number) {
  return sql`${column} + ${ms}`
}
