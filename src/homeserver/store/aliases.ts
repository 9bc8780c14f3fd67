/** hs_aliases: names of rooms. */
import type { Database } from 'bun:sqlite'

export interface AliasRow {
  alias: string
  room: number
  room_id: string
  creator: string
}

export type AliasStore = ReturnType<typeof aliasStore>

export function aliasStore(db: Database) {
  const insert = db.prepare('INSERT INTO hs_aliases (alias, room, creator) VALUES (?, ?, ?)')
  const find = db.prepare<AliasRow, [string]>(
    'SELECT a.alias, a.room, r.room_id, a.creator FROM hs_aliases a JOIN hs_rooms r ON r.room = a.room WHERE a.alias = ?',
  )
  const ofRoom = db.prepare<{ alias: string }, [number]>(
    'SELECT alias FROM hs_aliases WHERE room = ? ORDER BY alias',
  )
  const remove = db.prepare('DELETE FROM hs_aliases WHERE alias = ?')
  return {
    insert(alias: string, room: number, creator: string): void {
      insert.run(alias, room, creator)
    },
    find: (alias: string) => find.get(alias) ?? undefined,
    ofRoom: (room: number) => ofRoom.all(room).map(row => row.alias),
    remove(alias: string): void {
      remove.run(alias)
    },
  }
}
