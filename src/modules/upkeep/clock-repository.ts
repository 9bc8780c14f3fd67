/**
 * SQL of all rows that wait until an instant: when the clock is set, they wait as long as they had
 * left.
 */
import { getTableColumns, gt, isNotNull, or, type SQL, sql } from 'drizzle-orm'
import type { SQLiteTable } from 'drizzle-orm/sqlite-core'
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
import { numberParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { replaceSetting, settingOf } from '../tenants/settings-repository.ts'

// The end of a restriction is the network's time, which no clock of ours moves.
const keepRestricted = statement(orm =>
  orm
    .update(outboxLanes)
    .set({ dueAt: sql`${outboxLanes.dueAt} - ${numberParam('stepMs')}` })
    .where(
      sql`${outboxLanes.leaseId} is null and exists (select 1 from devices where devices.id = ${outboxLanes.deviceRowId}
        and devices.restricted_until = ${outboxLanes.dueAt} - ${numberParam('stepMs')})`,
    ),
)

/** The row of `settings` that holds it. */
const LAST_SEEN = 'clock_seen'

export type TimekeepingRepository = ReturnType<typeof createTimekeepingRepository>

export function createTimekeepingRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /** The latest instant at which a process ran, by the clock of then; null before the first. */
    async lastSeen(): Promise<number | null> {
      const seen = await db.read(reader => settingOf(reader, LAST_SEEN))
      return seen === null ? null : Number(seen)
    },

    note: (now: number) => db.write(tx => note(tx, now)),

    /**
     * The clock was set by `stepMs`.
     * @param now by the clock as it is set now
     */
    move: (stepMs: number, now: number) =>
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
  await move(tx, stepMs, outboxDevices, ['dueAt', 'nextSendAt'])
  await move(tx, stepMs, outboxLanes, ['dueAt'])
  await tx.run(keepRestricted, { stepMs })
  await move(tx, stepMs, deliveryLanes, ['dueAt'])
  const isWaiting = or(isNotNull(webhooks.failingSince), isNotNull(webhooks.oldSecretUntil))
  await move(tx, stepMs, webhooks, ['failingSince', 'oldSecretUntil'], isWaiting)
  // Forgotten before its day is over, a key would let a request be done twice.
  await move(tx, stepMs, idempotencyKeys, ['createdAt'])
}

/** When a message was accepted or handed over counts only until it is settled. */
async function moveMessages(tx: Tx, stepMs: number): Promise<void> {
  const isWaiting = sql`${messages.status} in ('queued', 'sending')`
  const times = ['createdAt', 'expiresAt', 'failingSince', 'refusedSince'] as const
  await move(tx, stepMs, messages, times, isWaiting)
  await move(tx, stepMs, messages, ['updatedAt'], sql`${messages.status} = 'submitted'`)
}

/**
 * By a clock that was set back, what happened before would be in the future; what the network
 * brings now would be history.
 */
async function moveDevices(tx: Tx, stepMs: number, now: number): Promise<void> {
  for (const name of ['linkedAt', 'stateSince', 'receivesFrom'] as const)
    await move(tx, stepMs, devices, [name], gt(devices[name], now))
  await move(tx, stepMs, awaitedLogins, ['since'], gt(awaitedLogins.since, now))
}

async function move<Table extends SQLiteTable>(
  tx: Tx,
  stepMs: number,
  table: Table,
  names: readonly (keyof Table['_']['columns'])[],
  where?: SQL,
): Promise<void> {
  const columns = getTableColumns(table)
  const set = Object.fromEntries(names.map(name => [name, sql`${columns[name]} + ${stepMs}`]))
  await tx.run(orm =>
    orm
      .update(table)
      .set(set as never)
      .where(where),
  )
}
