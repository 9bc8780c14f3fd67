/** SQL of messages: storing those that are accepted, each in its lane, and showing what became of them. */
import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devices, type Message, media, messages } from '../../db/schema/index.ts'
import type { StagedFile } from '../media/types.ts'
import { createLaneOpener } from './lane-repository.ts'

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
  /** @param onStored is called inside the transaction */
  accept(
    rows: readonly NewMessage[],
    file: StagedFile | undefined,
    now: number,
    onStored?: () => void,
  ): Promise<void>
  get(identityId: string, id: string): Promise<MessageWithDevice | null>
  /** @returns null when the identity has no message `before` */
  list(identityId: string, limit: number, before: string | undefined): Promise<MessageWithDevice[] | null>
}

export function createMessageRepository(db: Db): MessageRepository {
  const { orm, committer } = db
  const param = sql.placeholder
  const openLane = createLaneOpener(db)
  const insertMessage = orm
    .insert(messages)
    .values({
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
    })
    .prepare()

  return {
    accept: (rows, file, now, onStored) =>
      committer.write(() => {
        if (file) {
          orm
            .insert(media)
            .values({ ...file, createdAt: now, updatedAt: now })
            .run()
        }
        for (const row of rows) {
          insertMessage.run({ ...row, now })
          openLane({ lane: row.lane, deviceRowId: row.deviceRowId, dueAt: now })
        }
        onStored?.()
      }),

    get: async (identityId, id) => findMessage(db, identityId, id),

    async list(identityId, limit, before) {
      const own = and(eq(messages.identityId, identityId), isNull(messages.captionOf))
      const start = before
        ? orm
            .select({ seq: messages.seq })
            .from(messages)
            .where(and(own, eq(messages.id, before)))
            .get()
        : undefined
      if (before && !start) return null
      const older = start && lt(messages.seq, start.seq)
      return withDevice(db).where(and(own, older)).orderBy(desc(messages.seq)).limit(limit).all()
    },
  }
}

/** @returns null when the identity has no such message */
export function findMessage(db: Pick<Db, 'orm'>, identityId: string, id: string): MessageWithDevice | null {
  const own = and(eq(messages.identityId, identityId), eq(messages.id, id), isNull(messages.captionOf))
  return withDevice(db).where(own).get() ?? null
}

function withDevice({ orm }: Pick<Db, 'orm'>) {
  return orm
    .select({ message: messages, platform: devices.platform, deviceId: devices.deviceId })
    .from(messages)
    .innerJoin(devices, eq(devices.id, messages.deviceRowId))
}
