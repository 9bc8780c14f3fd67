/**
 * SQL of the full-text index of the history. It knows messages by their terms alone
 * (search-terms.ts), as it keeps no texts of its own: whoever changes or deletes an indexed text
 * takes its terms out first, in the same transaction. New messages are indexed later, up to a place
 * that is remembered.
 */
import { asc, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { rowsBy } from '../../db/row-statements.ts'
import { type ChatMessage, chatMessages, settings } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { matchOf, roomTerm, termsOf } from './search-terms.ts'

/** A row, as far as the index has it. */
export type IndexedRow = Pick<ChatMessage, 'seq' | 'sentAt' | 'identityId' | 'roomId' | 'text' | 'relatesTo'>

/** Where a message is among those found, newest first. */
export type FoundPlace = readonly [sentAt: number, seq: number]

export interface SearchAsked {
  identityId: string
  /** The rooms of a chat; null: those of all chats. */
  rooms: readonly string[] | null
  deviceRowId: string | null
  words: readonly string[]
  /** Messages before this one alone; undefined: from the newest on. */
  before: FoundPlace | undefined
  limit: number
}

/**
 * The id of a message in the index. A full-text index is read in the order of its ids, which is the
 * order of sending so: 42 bits of the time, and the last 21 of what is stored once.
 */
const idOf = (sentAt: string, seq: string) => `((${sentAt} << 21) | (${seq} & 2097151))`
const NEWEST: FoundPlace = [2 ** 42 - 1, 0]
const PLACE = 'history_indexed'
const place = rowsBy(settings, 'name')
const setPlace = sqlStatement(`
  INSERT INTO settings (name, value) VALUES ($name, $value) ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
const nextRows = statement(orm =>
  orm
    .select({
      seq: chatMessages.seq,
      sentAt: chatMessages.sentAt,
      identityId: chatMessages.identityId,
      roomId: chatMessages.roomId,
      text: chatMessages.text,
      relatesTo: chatMessages.relatesTo,
    })
    .from(chatMessages)
    .where(gt(chatMessages.seq, numberParam('after')))
    .orderBy(asc(chatMessages.seq))
    .limit(limitParam('limit')),
)
const add = sqlStatement(`
  INSERT INTO chat_search (rowid, scope, text) VALUES (${idOf('$sentAt', '$seq')}, $scope, $text)`)
const remove = sqlStatement(`
  INSERT INTO chat_search (chat_search, rowid, scope, text)
    VALUES ('delete', ${idOf('$sentAt', '$seq')}, $scope, $text)`)
const found = sqlStatement<{ seq: number }>(`
  SELECT m.seq FROM chat_search CROSS JOIN chat_messages m
    ON ${idOf('m.sent_at', 'm.seq')} = chat_search.rowid AND m.relates_to IS NULL
  WHERE chat_search MATCH $match AND chat_search.rowid < ${idOf('$sentAt', '$before')} AND m.identity_id = $identityId
    AND ($deviceRowId IS NULL OR m.device_row_id = $deviceRowId)
  ORDER BY chat_search.rowid DESC LIMIT $limit`)
const rowsOf = statement(orm =>
  orm
    .select()
    .from(chatMessages)
    .where(sql`${chatMessages.seq} in (select value from json_each(${textParam('seqs')}))`),
)

/** Indexes some of the messages that aren't yet. @returns how many it has looked at */
async function indexSome(tx: Tx, limit: number): Promise<number> {
  const rows = await tx.all(nextRows, { after: await indexedThrough(tx), limit })
  for (const row of rows) if (isSearched(row)) await tx.run(add, entryOf(row))
  const last = rows.at(-1)
  if (last) await tx.run(setPlace, { name: PLACE, value: String(last.seq) })
  return rows.length
}

/** Takes the terms of a message out, whose text must be as it was indexed. */
export async function unindex(tx: Tx, row: IndexedRow): Promise<void> {
  if (isSearched(row) && row.seq <= (await indexedThrough(tx))) await tx.run(remove, entryOf(row))
}

/** Changes the words of a message. */
export async function reindex(tx: Tx, row: IndexedRow, text: string): Promise<void> {
  if (row.seq > (await indexedThrough(tx))) return
  await unindex(tx, row)
  if (isSearched({ ...row, text })) await tx.run(add, entryOf({ ...row, text }))
}

export function createSearchRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    indexSome: (limit: number) => db.write(tx => indexSome(tx, limit)),

    /** @returns messages with all of the words, newest first */
    find: ({ identityId, deviceRowId, before: end, limit, ...asked }: SearchAsked): Promise<ChatMessage[]> =>
      db.read(async reader => {
        const match = matchOf(identityId, asked.words, asked.rooms)
        const [sentAt, before] = end ?? NEWEST
        const seqs = await reader.all(found, { identityId, deviceRowId, sentAt, before, limit, match })
        const rows = await reader.all(rowsOf, { seqs: JSON.stringify(seqs.map(({ seq }) => seq)) })
        return rows.sort((one, other) => other.sentAt - one.sentAt || other.seq - one.seq)
      }),
  }
}

async function indexedThrough(tx: Tx): Promise<number> {
  return Number((await tx.get(place, { name: PLACE }))?.value ?? 0)
}

function isSearched({ text, relatesTo }: Pick<IndexedRow, 'text' | 'relatesTo'>): boolean {
  return text !== '' && relatesTo === null
}

function entryOf({ seq, sentAt, identityId, roomId, text }: IndexedRow) {
  return { seq, sentAt, scope: roomTerm(roomId), text: termsOf(identityId, text).join(' ') }
}
