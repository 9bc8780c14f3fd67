/** hs_aliases: names of rooms. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

export interface AliasRow {
  alias: string
  room: number
  room_id: string
  creator: string
}

export type AliasStore = ReturnType<typeof aliasStore>

export function aliasStore(db: Database) {
  const { one, all, run } = statementsOf(db)
  const ofRoom = all<{ alias: string }, [room: number]>(
    'SELECT alias FROM hs_aliases WHERE room = ? ORDER BY alias',
  )
  return {
    insert: run<[alias: string, room: number, creator: string]>(
      'INSERT INTO hs_aliases (alias, room, creator) VALUES (?, ?, ?)',
    ),
    find: one<AliasRow, [alias: string]>(
      'SELECT a.alias, a.room, r.room_id, a.creator FROM hs_aliases a JOIN hs_rooms r ON r.room = a.room WHERE a.alias = ?',
    ),
    ofRoom: (room: number) => ofRoom(room).map(row => row.alias),
    remove: run<[alias: string]>('DELETE FROM hs_aliases WHERE alias = ?'),
  }
}
