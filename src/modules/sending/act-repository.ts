/**
 * SQL of acts: rows of the outbox like messages, which change a message or a chat instead of being
 * one. They wait in the lane of their chat, so each goes behind what was accepted before it.
 */
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import { given } from '../../db/row-statements.ts'
import { type Message, messages } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import type { ActArguments } from '../../domain/act-arguments.ts'
import {
  type ActType,
  type MessageEventName,
  type MessageKind,
  type MessageStatus,
  shownStatus,
} from '../../domain/states.ts'
import type { ActionView } from '../../domain/views/action.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { eraseHistory, writeHistory } from '../history/history-repository.ts'
import { openLane } from './queue/lane-repository.ts'

export type NewAct = Pick<
  Message,
  'id' | 'identityId' | 'deviceRowId' | 'lane' | 'recipientKind' | 'recipient' | 'target' | 'text'
> & { act: ActType; content: ActArguments | null; mediaId?: string | null }

/** Acts that say something of their own. */
const SAID: Partial<Record<ActType, { kind: MessageKind; event: MessageEventName; type: string }>> = {
  react: { kind: 'reaction', event: 'message.reaction', type: 'm.reaction' },
  edit: { kind: 'edit', event: 'message.edited', type: 'm.text' },
  vote: { kind: 'vote', event: 'poll.vote', type: 'm.poll.response' },
}

/** A row of the outbox that is an act. */
export type Act = Message & { act: ActType }

export function isAct(message: Message): message is Act {
  return message.act !== null
}

const param = sql.placeholder
const insertAct = statement(orm =>
  orm
    .insert(messages)
    .values({
      ...given('id', 'identityId', 'deviceRowId', 'lane', 'recipientKind', 'recipient'),
      ...given('act', 'target', 'text', 'content', 'mediaId', 'status'),
      attempts: 0,
      resends: 0,
      createdAt: param('now'),
      updatedAt: param('now'),
    })
    .returning(),
)
const ownAct = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      and(
        eq(messages.identityId, param('identityId')),
        eq(messages.id, param('id')),
        isNotNull(messages.act),
      ),
    ),
)
// The condition of the index messages_target follows from the list.
const actsOn = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      sql`${messages.target} in (select value from json_each(${textParam('targets')})) and ${messages.target} is not null
        and ${messages.identityId} = ${textParam('identityId')}`,
    )
    .orderBy(messages.target, messages.seq),
)
const queuedOfType = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      // The list is the one of messages_waiting.
      sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending')
        and ${messages.status} = 'queued' and ${messages.act} = ${textParam('act')}`,
    ),
)
const isMessage = and(eq(messages.identityId, param('identityId')), eq(messages.id, param('id')))
const rewriteMessage = statement(orm =>
  orm
    .update(messages)
    .set({ text: sql`${param('text')}` })
    .where(isMessage),
)
const replaceUntried = statement(orm =>
  orm
    .update(messages)
    .set({ text: sql`${param('text')}`, content: param('content') as never, updatedAt: sql`${param('now')}` })
    .where(and(isMessage, sql`${messages.status} in ('scheduled', 'queued') and ${messages.attempts} = 0`))
    .returning({ seq: messages.seq }),
)
const eventOf = statement(orm => orm.select({ eventId: messages.eventId }).from(messages).where(isMessage))
// The bridge was told of the act under an event of its target that it didn't take.
const targetSentAgain = sqlStatement<{ id: string }>(`
  SELECT target.id FROM messages AS act
  JOIN messages AS target ON target.identity_id = act.identity_id AND target.id = act.target
  WHERE act.seq = $seq AND (target.status IN ('queued', 'sending') OR target.resends > act.resends)`)
const bySeq = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(eq(messages.seq, param('seq'))),
)
const deleteMessage = statement(orm =>
  orm
    .update(messages)
    .set({ deletedAt: sql`coalesce(${messages.deletedAt}, ${param('now')})`, text: null, content: null })
    .where(
      sql`${messages.identityId} = ${param('identityId')}
        and (${messages.id} = ${param('id')} or ${messages.id} = ${param('id')} || '-caption')`,
    )
    .returning({ eventId: messages.eventId, roomId: messages.roomId }),
)

/**
 * Gives a message that nobody has tried to send another text, and what stands beside it.
 * @returns false, with nothing done, when it was tried
 */
export async function replaceText(
  tx: Tx,
  message: Pick<Message, 'identityId' | 'id' | 'content'> & { text: string },
  now: number,
): Promise<boolean> {
  return (await tx.get(replaceUntried, { ...message, now })) !== undefined
}

/** @returns acts of a type that wait in a lane, and that nobody has begun */
export async function queuedActs(tx: Tx, lane: string, act: ActType): Promise<Act[]> {
  return (await tx.all(queuedOfType, { lane, act })) as Act[]
}

/** Stores an act that waits for its turn. */
export async function acceptAct(tx: Tx, act: NewAct, now: number): Promise<Act> {
  const row = await storeAct(tx, act, 'queued', now)
  await openLane(tx, { lane: act.lane, deviceRowId: act.deviceRowId, dueAt: now })
  return row
}

/** Stores an act that needed no network. */
export function noteAct(tx: Tx, act: NewAct, now: number): Promise<Act> {
  return storeAct(tx, act, 'sent', now)
}

async function storeAct(tx: Tx, act: NewAct, status: MessageStatus, now: number): Promise<Act> {
  return (await tx.get(insertAct, { ...act, mediaId: act.mediaId ?? null, status, now })) as Act
}

/** @returns null when the identity has no such act */
export async function findAct(reader: Reader, identityId: string, id: string): Promise<Act | null> {
  return ((await reader.get(ownAct, { identityId, id })) as Act | undefined) ?? null
}

/** @returns the acts on messages of an identity, those on one message oldest first */
export async function actsOnMessages(
  reader: Reader,
  identityId: string,
  targets: readonly string[],
): Promise<Act[]> {
  return (await reader.all(actsOn, { identityId, targets: JSON.stringify(targets) })) as Act[]
}

/** True when the message that an act is for was sent back since the act went, and goes again. */
export async function isTargetSentAgain(tx: Tx, seq: number): Promise<boolean> {
  return (await tx.get(targetSentAgain, { seq })) !== undefined
}

/**
 * Does what follows here from an act that the network has taken.
 * @param seq of the act
 */
export async function actTaken(tx: Tx, seq: number, now: number): Promise<void> {
  const act = await tx.get(bySeq, { seq })
  if (!act || act.target === null) return
  const { identityId, target, text } = act
  if (act.act === 'unsend') await eraseTarget(tx, { ...act, target }, now)
  if (act.act === 'edit') await tx.run(rewriteMessage, { identityId, id: target, text })
  await writeSaid(tx, { ...act, target }, now)
}

/** Writes to the history what an act says: a reaction, an edit or a vote. */
async function writeSaid(tx: Tx, act: Message & { target: string }, now: number): Promise<void> {
  const { id: messageId, identityId, deviceRowId, eventId, roomId, target, text, content } = act
  const said = SAID[act.act ?? 'unreact']
  if (!said || eventId === null || roomId === null) return
  const sent = await tx.get(eventOf, { identityId, id: target })
  const options = (content?.votes ?? []).map(id => ({ id, text: null }))
  const row = {
    ...{ identityId, deviceRowId, eventId, roomId, messageId, kind: said.kind },
    text: content?.emoji ?? text ?? '',
    content: { event: said.event, type: said.type, media: null, location: null, vote: { options } },
    replyTo: null,
    relatesTo: sent?.eventId ?? target,
    senderUserId: '',
    direction: 'out' as const,
    sentAt: now,
  }
  await writeHistory(tx, row, now)
}

async function eraseTarget(
  tx: Tx,
  { identityId, target, roomId }: Pick<Message, 'identityId' | 'roomId'> & { target: string },
  now: number,
): Promise<void> {
  const sent = await tx.all(deleteMessage, { identityId, id: target, now })
  const events = sent.length > 0 ? sent : [{ eventId: target, roomId }]
  for (const { eventId, roomId: saidIn } of events)
    if (eventId !== null && saidIn !== null)
      await eraseHistory(tx, { identityId, roomId: saidIn, eventId }, now)
}

/** An act as clients see it. */
export function actionView(act: Act, updatedAt = act.updatedAt): ActionView {
  return {
    id: act.id,
    type: act.act,
    message_id: act.target ?? act.content?.upTo ?? null,
    chat_id: act.recipient.startsWith('chat_') ? act.recipient : null,
    ...(act.content?.member && { member: act.content.member.written }),
    status: shownStatus(act.status),
    reason: act.reason,
    created_at: rfc3339(act.createdAt),
    updated_at: rfc3339(updatedAt),
  }
}
