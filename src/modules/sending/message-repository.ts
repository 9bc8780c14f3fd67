/** SQL of messages: storing those that are accepted, each in its lane, and showing what became of them. */
import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devices, type Message, media, messages } from '../../db/schema/index.ts'
import { type Orm, statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import type { StagedFile } from '../media/types.ts'
import { openLane } from './lane-repository.ts'

export type NewMessage = Pick<
  Message,
  | 'id'
  | 'identityId'
  | 'deviceRowId'
  | 'lane'
  | 'recipientKind'
  | 'recipient'
  | 'text'
  | 'mediaId'
  | 'replyTo'
  | 'expiresAt'
>

export interface MessageWithDevice {
  message: Message
  platform: string
  deviceId: string
}

export interface MessageRepository {
  /** @param record is called once they are stored, in the same transaction */
  accept(
    rows: readonly NewMessage[],
    file: StagedFile | undefined,
    now: number,
    record?: (tx: Tx) => Promise<void>,
  ): Promise<void>
  get(identityId: string, id: string): Promise<MessageWithDevice | null>
  /** @returns null when the identity has no message `before` */
  list(identityId: string, limit: number, before: string | undefined): Promise<MessageWithDevice[] | null>
}

const param = sql.placeholder
const insertMessage = statement(orm =>
  orm.insert(messages).values({
    id: param('id'),
    identityId: param('identityId'),
    deviceRowId: param('deviceRowId'),
    lane: param('lane'),
    recipientKind: param('recipientKind'),
    recipient: param('recipient'),
    text: param('text'),
    mediaId: param('mediaId'),
    replyTo: param('replyTo'),
    expiresAt: param('expiresAt'),
    status: 'queued',
    reason: null,
    attempts: 0,
    resends: 0,
    roomId: null,
    eventId: null,
    createdAt: param('now'),
    updatedAt: param('now'),
  }),
)
const ownById = and(
  eq(messages.identityId, param('identityId')),
  eq(messages.id, param('id')),
  isNull(messages.captionOf),
)
const seqOf = statement(orm => orm.select({ seq: messages.seq }).from(messages).where(ownById))
const one = statement(orm => withDevice(orm).where(ownById))

export function createMessageRepository(db: Pick<Db, 'read' | 'write'>): MessageRepository {
  return {
    accept: (rows, file, now, record) =>
      db.write(async tx => {
        if (file) await tx.run(orm => orm.insert(media).values({ ...file, createdAt: now, updatedAt: now }))
        for (const row of rows) {
          await tx.run(insertMessage, { ...row, now })
          await openLane(tx, { lane: row.lane, deviceRowId: row.deviceRowId, dueAt: now })
        }
        await record?.(tx)
      }),

    get: (identityId, id) => db.read(reader => findMessage(reader, identityId, id)),

    list: (identityId, limit, before) =>
      db.read(async reader => {
        const start = before && (await reader.get(seqOf, { identityId, id: before }))
        if (before && !start) return null
        const older = start ? lt(messages.seq, start.seq) : undefined
        const own = and(eq(messages.identityId, identityId), isNull(messages.captionOf), older)
        return reader.all(orm => withDevice(orm).where(own).orderBy(desc(messages.seq)).limit(limit))
      }),
  }
}

/** @returns null when the identity has no such message */
export async function findMessage(
  reader: Reader,
  identityId: string,
  id: string,
): Promise<MessageWithDevice | null> {
  return (await reader.get(one, { identityId, id })) ?? null
}

function withDevice(orm: Orm) {
  return orm
    .select({ message: messages, platform: devices.platform, deviceId: devices.deviceId })
    .from(messages)
    .innerJoin(devices, eq(devices.id, messages.deviceRowId))
}
