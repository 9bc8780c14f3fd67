/**
 * SQL of removing what was to be delivered to a webhook that is gone. There may be hundreds of thousands of rows, so it goes in steps of a few
 * milliseconds between which others have their turn. Ids of webhooks aren't used again, so what is still there goes nowhere.
 */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { deliveries, deliveryLanes, webhooks } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
import { endpointKey } from '../events/event-repository.ts'

type Owner = Pick<typeof deliveries.$inferSelect, 'identityId' | 'webhookId'>

export interface DeliveryRemover {
  /** Everything of one webhook, whose own row is gone. */
  removeOf(owner: Owner): Promise<void>
  /** What a kill between two steps left. */
  removeLeft(): Promise<void>
}

/** Rows that a step takes at most, and for how long it goes on, in milliseconds. */
const ROWS = 200
const BUDGET_MS = 2

const param = sql.placeholder
const lanesOf = statement(orm =>
  orm
    .select({ lane: deliveryLanes.lane })
    .from(deliveryLanes)
    .where(eq(deliveryLanes.endpoint, textParam('endpoint')))
    .limit(limitParam('limit')),
)
const deleteLane = statement(orm => orm.delete(deliveryLanes).where(eq(deliveryLanes.lane, param('lane'))))
const deliveriesOf = statement(orm =>
  orm
    .select({ seq: deliveries.seq })
    .from(deliveries)
    .where(
      and(
        eq(deliveries.identityId, textParam('identityId')),
        eq(deliveries.webhookId, numberParam('webhookId')),
      ),
    )
    .limit(limitParam('limit')),
)
const deleteDelivery = statement(orm => orm.delete(deliveries).where(eq(deliveries.seq, param('seq'))))
const ownerAfter = statement(orm =>
  orm
    .select({ identityId: deliveries.identityId, webhookId: deliveries.webhookId })
    .from(deliveries)
    // All columns of the index: SQLite begins at what is equal, which else are all of a webhook's.
    .where(
      sql`(${deliveries.identityId}, ${deliveries.webhookId}, ${deliveries.inboxSeq})
        > (${textParam('identityId')}, ${numberParam('webhookId')}, ${Number.MAX_SAFE_INTEGER})`,
    )
    .orderBy(deliveries.identityId, deliveries.webhookId)
    .limit(ONE),
)
const webhookOf = statement(orm =>
  orm
    .select({ id: webhooks.id })
    .from(webhooks)
    .where(and(eq(webhooks.identityId, param('identityId')), eq(webhooks.id, param('webhookId')))),
)

/** Lanes first: those without deliveries would never be found again. @returns whether there may be more */
async function step(tx: Tx, owner: Owner): Promise<boolean> {
  const deadline = performance.now() + BUDGET_MS
  const endpoint = endpointKey(owner.identityId, owner.webhookId)
  const lanes = await tx.all(lanesOf, { endpoint, limit: ROWS })
  for (const { lane } of lanes) {
    await tx.run(deleteLane, { lane })
    if (performance.now() > deadline) return true
  }
  const rows = await tx.all(deliveriesOf, { ...owner, limit: ROWS })
  for (const { seq } of rows) {
    await tx.run(deleteDelivery, { seq })
    if (performance.now() > deadline) return true
  }
  return lanes.length === ROWS || rows.length === ROWS
}

export function createDeliveryRemover(db: Pick<Db, 'read' | 'write'>): DeliveryRemover {
  async function removeOf(owner: Owner): Promise<void> {
    while (await db.write(tx => step(tx, owner))) await yieldToEventLoop()
  }

  const next = (after: Owner) => db.read(reader => reader.get(ownerAfter, after))
  const find = (owner: Owner) => db.read(reader => reader.get(webhookOf, owner))

  return {
    removeOf,
    async removeLeft() {
      let owner = await next({ identityId: '', webhookId: 0 })
      while (owner) {
        if (!(await find(owner))) await removeOf(owner)
        await yieldToEventLoop()
        owner = await next(owner)
      }
    },
  }
}
