/**
 * SQL of captions that went as messages of their own behind their files. Each has a row; to clients
 * both are one message, whose status is the file's. A caption that failed is its reason, and one
 * that the network may take later is sent again like any text.
 */
import { eq, sql } from 'drizzle-orm'
import { type Message, messages } from '../../../db/schema/index.ts'
import { statement } from '../../../db/statement.ts'
import type { Reader, Tx } from '../../../db/transaction.ts'

/** Result of handing a caption over. */
export type SentCaption = { eventId: string } | { failed: string }

const SUFFIX = '-caption'

/** A failed caption's `reason`, as its message tells it. */
const NOT_SENT = sql.raw(`'the caption was not sent: ' || coalesce(caption.reason, 'nobody said why')`)

/**
 * Set as a message's reason: the one given, else why its caption failed, else none. Binds `reason`.
 */
export const REASON_OR_CAPTIONS = sql`case when media_id is null then ${sql.placeholder('reason')} else coalesce(${sql.placeholder('reason')},
  (select ${NOT_SENT} from messages as caption where caption.id = messages.id || ${sql.raw(`'${SUFFIX}'`)} and caption.status = 'failed')) end`

const param = sql.placeholder
const seqOfId = statement(orm =>
  orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(eq(messages.id, param('id'))),
)
const captionOfSeq = statement(orm =>
  orm
    .select({ captionOf: messages.captionOf })
    .from(messages)
    .where(eq(messages.seq, param('seq'))),
)
const setCaptionsReason = statement(orm =>
  orm
    .update(messages)
    // Why the file itself failed says more.
    .set({
      reason: sql`case when status = 'failed' then reason
        else (select ${NOT_SENT} from messages as caption where caption.seq = ${param('seq')}) end`,
    })
    .where(eq(messages.id, param('id')))
    .returning({ seq: messages.seq, identityId: messages.identityId }),
)

/** The id of a message's caption, which is its Matrix transaction id, too. */
export function captionId(messageId: string): string {
  return `${messageId}${SUFFIX}`
}

/** True when the message's caption was handed over already, with an earlier event of its file. */
export async function isCaptionSent(reader: Reader, messageId: string): Promise<boolean> {
  return (await reader.get(seqOfId, { id: captionId(messageId) })) !== undefined
}

/** @returns the row of the caption, null when there was one before */
export async function addCaption(
  tx: Tx,
  message: Message,
  roomId: string,
  sent: SentCaption,
  now: number,
): Promise<Message | null> {
  const outcome =
    'failed' in sent
      ? { status: 'failed' as const, reason: sent.failed, eventId: null }
      : { status: 'submitted' as const, reason: null, eventId: sent.eventId }
  const { identityId, deviceRowId, lane, recipientKind, recipient, text, content } = message
  const added = await tx.get(orm =>
    orm
      .insert(messages)
      .values({
        id: captionId(message.id),
        captionOf: message.id,
        ...{ identityId, deviceRowId, lane, recipientKind, recipient, text, content, roomId },
        ...outcome,
        attempts: 1,
        resends: 0,
        createdAt: now,
        updatedAt: now,
      })
      .onConflictDoNothing()
      .returning(),
  )
  return added ?? null
}

/**
 * Passes the reason of a caption that failed on.
 * @returns the message whose caption it is; null when it isn't one
 */
export async function passFailureOn(
  tx: Tx,
  seq: number,
): Promise<Pick<Message, 'seq' | 'identityId'> | null> {
  const caption = await tx.get(captionOfSeq, { seq })
  if (!caption?.captionOf) return null
  return (await tx.get(setCaptionsReason, { id: caption.captionOf, seq })) ?? null
}
