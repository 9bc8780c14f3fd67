/** SQL of what tries say of an endpoint: since when it fails, and that it is switched off, together with the event that tells of it. */
import { and, eq, sql } from 'drizzle-orm'
import { type Webhook, webhooks } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { writeEvent } from '../events/event-repository.ts'
import { disabledEvent } from './webhook-event.ts'

export type HealthNote =
  | { kind: 'succeeded' }
  | {
      kind: 'failed'
      error: string
      /** The endpoint wants nothing more. */
      isGone: boolean
      /** It is switched off when every try has failed for this long. */
      disableAfterMs: number
    }

const SECOND = [1_000, 'second'] as const
const UNITS = [[86_400_000, 'day'], [3_600_000, 'hour'], [60_000, 'minute'], SECOND] as const

const param = sql.placeholder
const own = and(
  eq(webhooks.identityId, param('identityId')),
  eq(webhooks.id, param('id')),
  eq(webhooks.url, param('url')),
)
const noteSuccess = statement(orm =>
  orm
    .update(webhooks)
    .set({ failingSince: null, lastSuccessAt: sql`${param('now')}` })
    .where(own),
)
const noteFailure = statement(orm =>
  orm
    .update(webhooks)
    .set({
      failingSince: sql`coalesce(${webhooks.failingSince}, ${param('now')})`,
      lastError: sql`${param('error')}`,
      lastErrorAt: sql`${param('now')}`,
    })
    .where(own)
    .returning(),
)
const switchOff = statement(orm =>
  orm
    .update(webhooks)
    .set({ active: false, disabledReason: sql`${param('reason')}`, updatedAt: sql`${param('now')}` })
    .where(own),
)

/**
 * Ignores results for a URL the webhook no longer uses.
 * @returns why the webhook was switched off by this; null when it wasn't
 */
export async function writeHealth(
  tx: Tx,
  { identityId, id, url }: Pick<Webhook, 'identityId' | 'id' | 'url'>,
  note: HealthNote,
  now: number,
): Promise<string | null> {
  if (note.kind === 'succeeded') {
    await tx.run(noteSuccess, { identityId, id, url, now })
    return null
  }
  const webhook = await tx.get(noteFailure, { identityId, id, url, error: note.error, now })
  const reason = webhook ? reasonToDisable(webhook, note, now) : null
  if (!webhook?.active || reason === null) return null
  // First: the event isn't for the webhook that it is about.
  await tx.run(switchOff, { identityId, id, url, reason, now })
  await writeEvent(tx, disabledEvent(webhook, reason, now), now)
  return reason
}

function reasonToDisable(
  { failingSince }: Webhook,
  { isGone, disableAfterMs }: Extract<HealthNote, { kind: 'failed' }>,
  now: number,
): string | null {
  // Standard Webhooks, "Delivery": 410 says that the endpoint wants nothing more.
  if (isGone) return 'the endpoint answered 410 Gone'
  if (failingSince === null || now - failingSince < disableAfterMs) return null
  return `every try has failed for ${inWords(disableAfterMs)}`
}

function inWords(ms: number): string {
  // The largest unit that says it exactly.
  const [unitMs, unit] = UNITS.find(([each]) => ms % each === 0) ?? SECOND
  const count = Math.round(ms / unitMs)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
