/** Fills the embedded homeserver's tables by SQL: large databases in seconds. */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'

interface NewEvent {
  room: number
  type: string
  sender: string
  content: Record<string, unknown>
  stateKey?: string
  relatesTo?: { eventId: string; relType: string }
  /** Numbers of the appservices that get the event, comma-separated. */
  interest?: string
  at?: number
}

/**
 * Appends rows as the homeserver would. Write all in one `all`, before a homeserver opens the
 * database, as the homeserver keeps counters in memory.
 */
export class HomeserverRows {
  private streamId: number
  private room: number
  private readonly insertEvent
  private readonly insertState
  private readonly insertRoom
  private readonly insertUser

  constructor(
    private readonly db: Database,
    private readonly serverName: string,
  ) {
    const last = (sql: string) => db.query<{ last: number | null }, []>(sql).get()?.last ?? 0
    this.streamId = last('SELECT max(stream_id) AS last FROM hs_events')
    this.room = last('SELECT max(room) AS last FROM hs_rooms')
    this.insertEvent = db.prepare(
      `INSERT INTO hs_events (stream_id, event_id, room, type, state_key, sender, origin_server_ts, content, replaces, relates_to,
         rel_type, interest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.insertState = db.prepare(
      `INSERT INTO hs_room_state (room, type, state_key, stream_id, membership) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET stream_id = excluded.stream_id, membership = excluded.membership`,
    )
    this.insertRoom = db.prepare(
      "INSERT INTO hs_rooms (room, room_id, version, created_at) VALUES (?, ?, '11', 0)",
    )
    this.insertUser = db.prepare(
      'INSERT INTO hs_users (user_id, displayname, created_at) VALUES (?, ?, 0) ON CONFLICT DO NOTHING',
    )
  }

  /** Runs `write` in one transaction. */
  all(write: () => void): void {
    this.db.transaction(write)()
  }

  userId(localpart: string): string {
    return `@${localpart}:${this.serverName}`
  }

  user(localpart: string, displayname = localpart): void {
    this.insertUser.run(this.userId(localpart), displayname)
  }

  /** A room that all of them have joined; the first is its creator. */
  newRoom(localparts: readonly [string, ...string[]], interest?: string): { room: number; roomId: string } {
    const room = ++this.room
    const roomId = `!${randomBytes(18).toString('base64url')}:${this.serverName}`
    this.insertRoom.run(room, roomId)
    const sender = this.userId(localparts[0])
    const by = (content: Record<string, unknown>) => ({
      room,
      sender,
      content,
      ...(interest ? { interest } : {}),
    })
    this.event({ ...by({ room_version: '11' }), type: 'm.room.create', stateKey: '' })
    for (const localpart of localparts) {
      const userId = this.userId(localpart)
      this.event({
        ...by({ membership: 'join', displayname: localpart }),
        type: 'm.room.member',
        sender: userId,
        stateKey: userId,
      })
    }
    this.event({ ...by({ users: { [sender]: 100 } }), type: 'm.room.power_levels', stateKey: '' })
    return { room, roomId }
  }

  /** @returns the event's id */
  event({ room, type, sender, content, stateKey, relatesTo, interest, at = 0 }: NewEvent): string {
    const streamId = ++this.streamId
    const eventId = `$${randomBytes(32).toString('base64url')}`
    const replaces =
      stateKey === undefined
        ? null
        : (this.db
            .query<{ stream_id: number }, [number, string, string]>(
              'SELECT stream_id FROM hs_room_state WHERE room = ? AND type = ? AND state_key = ?',
            )
            .get(room, type, stateKey)?.stream_id ?? null)
    this.insertEvent.run(
      streamId,
      eventId,
      room,
      type,
      stateKey ?? null,
      sender,
      at,
      JSON.stringify(content),
      replaces,
      relatesTo?.eventId ?? null,
      relatesTo?.relType ?? null,
      interest ?? null,
    )
    if (stateKey !== undefined) {
      const membership = type === 'm.room.member' ? String(content.membership) : null
      this.insertState.run(room, type, stateKey, streamId, membership)
    }
    return eventId
  }

  message(room: number, localpart: string, body: string, interest?: string): string {
    return this.event({
      room,
      type: 'm.room.message',
      sender: this.userId(localpart),
      content: { msgtype: 'm.text', body },
      ...(interest ? { interest } : {}),
    })
  }
}
