/**
 * SQL of erasing a chat. Its rows are found in walks through those of its identity, some thousands
 * at a step, and erased a few milliseconds at a time: other writes come in between.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { ERASED, media } from '../../db/schema/index.ts'
import { type Statement, sqlStatement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { type ForgottenRow, forgetHistory } from '../history/history-repository.ts'

/** A chat in all its rooms. The lists are JSON, as the statements take them. */
export interface ErasedChat {
  identityId: string
  rooms: string
  /** Ids by which messages may name it: its own, and those of its rooms before. */
  chats: string
  /** Devices that write there, and the keys of their lanes to its person. */
  devices: string
  keys: string
}

/** The last rows that are erased: what comes later stays. */
export interface Through {
  history: number
  events: number
  messages: number
}

type Place = number | string

/** Rows looked at in a step, and how long a transaction may erase, in milliseconds. */
const STEP = 2_000
const BUDGET_MS = 4

const listed = (name: string) => `(SELECT value FROM json_each($${name}))`
// As a message's chat is found for clients, and by its person's number where no room is known yet.
const isOfChat = `(
  coalesce(m.room_id, (SELECT room_id FROM resolved_recipients WHERE device_row_id = m.device_row_id
    AND recipient_key = substr(m.lane, length(m.device_row_id) + 2)), m.recipient) IN ${listed('rooms')}
  OR m.recipient IN ${listed('chats')}
  OR m.room_id IS NULL AND m.device_row_id IN ${listed('devices')}
    AND substr(m.lane, length(m.device_row_id) + 2) IN ${listed('keys')})`
const laneOfDevice = `m.lane > d.id || '/' AND m.lane < d.id || '0'`

const waiting = sqlStatement<{ id: string }>(`
  SELECT m.id FROM devices d CROSS JOIN messages m INDEXED BY messages_waiting ON ${laneOfDevice}
    WHERE d.identity_id = $identityId AND m.status IN ('queued', 'sending') AND ${isOfChat}
  UNION ALL
  SELECT m.id FROM devices d CROSS JOIN messages m INDEXED BY messages_scheduled_lanes ON ${laneOfDevice}
    WHERE d.identity_id = $identityId AND m.status = 'scheduled' AND ${isOfChat}
  UNION ALL
  SELECT m.id FROM messages m INDEXED BY messages_silent
    WHERE m.status = 'submitted' AND m.identity_id = $identityId AND ${isOfChat}`)
const hide = sqlStatement(`
  UPDATE chats SET activity_at = ${ERASED}, unread_count = 0
  WHERE identity_id = $identityId AND room_id IN ${listed('rooms')}`)
const last = sqlStatement<Through>(`
  SELECT (SELECT coalesce(max(seq), 0) FROM chat_messages) AS history,
    (SELECT coalesce(max(seq), 0) FROM events) AS events,
    (SELECT coalesce(max(seq), 0) FROM messages) AS messages`)
const sharedRooms = sqlStatement<{ roomId: string }>(`
  SELECT DISTINCT room_id AS roomId FROM chats
  WHERE room_id IN ${listed('rooms')} AND identity_id <> $identityId`)
const idsOfRooms = sqlStatement<{ id: string }>(`
  SELECT id FROM chats WHERE identity_id = $identityId AND room_id IN ${listed('rooms')}`)

/** Where a walk through the rows of an identity ends its next step; null: there are no more. */
function stepsBy(table: string, column: string): Statement<{ place: Place | null }> {
  return sqlStatement(`
    SELECT max(place) AS place FROM (
      SELECT ${column} AS place FROM ${table} WHERE identity_id = $identityId AND ${column} > $after
      ORDER BY ${column} LIMIT ${STEP})`)
}
const ofStep = (column: string) =>
  `identity_id = $identityId AND ${column} > $after AND ${column} <= $place AND seq <= $through`

interface Walk<Row> {
  start: Place
  step: Statement<{ place: Place | null }>
  rows: Statement<Row>
  erase(tx: Tx, row: Row, files: string[]): Promise<void>
}

const history: Walk<ForgottenRow> = {
  start: '',
  step: stepsBy('chat_messages', 'event_id'),
  rows: sqlStatement(`
    SELECT seq, sent_at AS sentAt, identity_id AS identityId, event_id AS eventId, media_id AS mediaId, room_id AS roomId, text,
      relates_to AS relatesTo
    FROM chat_messages WHERE ${ofStep('event_id')} AND room_id IN ${listed('rooms')}`),
  async erase(tx, row, files) {
    const file = await forgetHistory(tx, row)
    if (file !== null) files.push(file)
  },
}

const eraseEvent = sqlStatement(`
  UPDATE events SET media_id = NULL, payload = CASE
    WHEN json_type(payload, '$.kind') IS NULL THEN json_remove(payload, '$.metadata')
    ELSE json_remove(json_set(payload, '$.message', '', '$.media', NULL, '$.location', NULL), '$.poll', '$.vote') END
  WHERE seq = $seq`)
const DELIVERIES = `identity_id = (SELECT identity_id FROM events WHERE seq = $seq) AND event_seq = $seq
  AND webhook_id IN (SELECT id FROM webhooks WHERE identity_id = (SELECT identity_id FROM events WHERE seq = $seq))`
const eraseAnswers = sqlStatement(`
  UPDATE deliveries SET last_response = '' WHERE ${DELIVERIES} AND last_response <> ''`)
const eraseEarlierAnswers = sqlStatement(`
  UPDATE delivery_attempts SET response = ''
  WHERE response <> '' AND delivery_seq IN (SELECT seq FROM deliveries WHERE ${DELIVERIES})`)
const events: Walk<{ seq: number; mediaId: string | null }> = {
  start: 0,
  step: stepsBy('events', 'seq'),
  // That a message waits, is told before its room is known.
  rows: sqlStatement(`
    SELECT seq, media_id AS mediaId FROM events WHERE ${ofStep('seq')} AND (room_id IN ${listed('rooms')}
      OR name = 'message.status' AND (json_extract(payload, '$.chat_id') IN ${listed('chats')}
        OR EXISTS (SELECT 1 FROM messages m WHERE m.id = json_extract(events.payload, '$.id') AND ${isOfChat})))`),
  async erase(tx, { seq, mediaId }, files) {
    await tx.run(eraseEvent, { seq })
    await tx.run(eraseAnswers, { seq })
    await tx.run(eraseEarlierAnswers, { seq })
    await forgetFile(tx, mediaId, files)
  },
}

const eraseMessage = sqlStatement(`
  UPDATE messages SET text = NULL, content = NULL, metadata = NULL, media_id = NULL WHERE seq = $seq`)
const messages: Walk<{ seq: number; mediaId: string | null }> = {
  start: 0,
  step: stepsBy('messages', 'seq'),
  rows: sqlStatement(`
    SELECT seq, media_id AS mediaId FROM messages m WHERE ${ofStep('seq')}
      AND status NOT IN ('scheduled', 'queued', 'sending', 'submitted') AND ${isOfChat}
      AND (text IS NOT NULL OR content IS NOT NULL OR metadata IS NOT NULL OR media_id IS NOT NULL)`),
  async erase(tx, { seq, mediaId }, files) {
    await tx.run(eraseMessage, { seq })
    await forgetFile(tx, mediaId, files)
  },
}

// Spelled out, as partial indexes are found by their texts.
const fileIsNeeded = sqlStatement(`
  SELECT 1 FROM messages WHERE media_id = $mediaId AND media_id IS NOT NULL
  UNION ALL SELECT 1 FROM chat_messages WHERE media_id = $mediaId AND media_id IS NOT NULL LIMIT 1`)
const deleteFile = statement(orm => orm.delete(media).where(eq(media.id, sql.placeholder('mediaId'))))

/** Deletes the row of a file unless another message has it. */
async function forgetFile(tx: Tx, mediaId: string | null, files: string[]): Promise<void> {
  if (mediaId === null || (await tx.get<unknown>(fileIsNeeded, { mediaId }))) return
  await tx.run(deleteFile, { mediaId })
  files.push(mediaId)
}

export function createErasureRepository(db: Pick<Db, 'read' | 'write'>) {
  /** Erases the rows of a walk. @param discard removes files whose rows are gone */
  async function through<Row>(
    { start, step, rows, erase }: Walk<Row>,
    { identityId, ...chat }: ErasedChat,
    lastSeq: number,
    discard: (files: readonly string[]) => Promise<void>,
  ): Promise<void> {
    for (let after = start; ; ) {
      const place = (await db.read(reader => reader.get(step, { identityId, after })))?.place ?? null
      if (place === null) return
      const asked = { identityId, ...chat, after, place, through: lastSeq }
      for (let left = await db.read(reader => reader.all(rows, asked)); left.length > 0; ) {
        const { done, files } = await db.write(tx => eraseSome(tx, left, erase))
        await discard(files)
        left = left.slice(done)
      }
      after = place
    }
  }

  async function eraseSome<Row>(tx: Tx, rows: readonly Row[], erase: Walk<Row>['erase']) {
    const deadline = performance.now() + BUDGET_MS
    const files: string[] = []
    let done = 0
    for (const row of rows) {
      await erase(tx, row, files)
      done++
      if (performance.now() > deadline) break
    }
    return { done, files }
  }

  return {
    /** @returns ids of chats in these rooms */
    idsOf: async (identityId: string, rooms: readonly string[]): Promise<string[]> => {
      const values = { identityId, rooms: JSON.stringify(rooms) }
      return (await db.read(reader => reader.all(idsOfRooms, values))).map(({ id }) => id)
    },

    /** @returns those of the rooms in which other identities are, too */
    sharedRooms: async ({ identityId, rooms }: ErasedChat): Promise<Set<string>> => {
      const found = await db.read(reader => reader.all(sharedRooms, { identityId, rooms }))
      return new Set(found.map(({ roomId }) => roomId))
    },

    /**
     * Hides the chat, unless something of it isn't on the network yet.
     * @returns the last rows to erase, or the ids of those messages and acts
     */
    begin: (chat: ErasedChat): Promise<{ waiting: string[] } | { through: Through }> =>
      db.write(async tx => {
        const found = await tx.all(waiting, { ...chat })
        if (found.length > 0) return { waiting: found.map(({ id }) => id) }
        await tx.run(hide, { identityId: chat.identityId, rooms: chat.rooms })
        const end = await tx.get(last)
        return { through: end ?? { history: 0, events: 0, messages: 0 } }
      }),

    /** Erases what was said in it. @param discard removes files whose rows are gone */
    async erase(
      chat: ErasedChat,
      end: Through,
      discard: (files: readonly string[]) => Promise<void>,
    ): Promise<void> {
      await through(history, chat, end.history, discard)
      // They look for what they are about in the messages.
      await through(events, chat, end.events, discard)
      await through(messages, chat, end.messages, discard)
    },
  }
}
