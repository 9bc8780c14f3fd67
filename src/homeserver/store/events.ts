/** hs_events and hs_room_state: the history and the current state. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'
import type { EventRow, Membership } from '../rooms/events.ts'

const COLUMNS = `e.stream_id, e.event_id, e.room, r.room_id, e.type, e.state_key, e.sender, e.origin_server_ts, e.content,
  e.replaces, e.redacted_by, e.redacts, e.txn_scope, e.txn_id`
const EVENTS = 'hs_events e JOIN hs_rooms r ON r.room = e.room'

export interface NewEvent extends Omit<EventRow, 'room_id' | 'redacted_by'> {
  relates_to: string | null
  rel_type: string | null
  interest: string | null
}

export type RelationRow = EventRow & { rel_type: string | null }

/** Comma-separated numbers of the appservices that get the event. */
export interface Interest {
  stream_id: number
  interest: string | null
}

/** Facts that decide whether an event may be forgotten. */
export interface AgedRow extends Interest {
  event_id: string
  origin_server_ts: number
  is_state: number
}

/** A piece of current state without its content. */
export interface StateKey {
  type: string
  state_key: string
  stream_id: number
}

export interface MembershipRow {
  room: number
  room_id: string
  membership: Membership
  stream_id: number
}

/** A reaction: one user's key on an event. */
interface Annotation {
  sender: string
  key: string
  type: string
  room: number
}

export type EventStore = ReturnType<typeof eventStore>

/** A page of a room's events in (`from`, `to`]. */
type Span = [room: number, from: number, to: number, limit: number]
type StatePlace = [room: number, type: string, stateKey: string]

export function eventStore(db: Database) {
  const { one, all, run } = statementsOf(db)
  const insert = run<[...(string | number | null)[]]>(
    `INSERT INTO hs_events (stream_id, event_id, room, type, state_key, sender, origin_server_ts, content, replaces, redacts,
       relates_to, rel_type, txn_scope, txn_id, interest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  // Placeholders of joins stand in expressions: bare, SQLite plans anew for each value, ten times
  // what the query takes.
  const at = one<EventRow, [streamId: number]>(`SELECT ${COLUMNS} FROM ${EVENTS} WHERE e.stream_id = (? + 0)`)
  const byTxn = one<{ event_id: string }, [string, string, string, number, string]>(
    'SELECT event_id FROM hs_events WHERE txn_id = ? AND sender = ? AND txn_scope = ? AND room = ? AND type = ?',
  )
  const currentStreamId = one<{ stream_id: number }, StatePlace>(
    'SELECT stream_id FROM hs_room_state WHERE room = ? AND type = ? AND state_key = ?',
  )
  const stateKeys = all<StateKey, [...StatePlace, number]>(
    `SELECT type, state_key, stream_id FROM hs_room_state
     WHERE room = ? AND (type, state_key) > (?, ?) ORDER BY type, state_key LIMIT ?`,
  )
  const stateAfter = one<{ stream_id: number }, [...StatePlace, number]>(
    `SELECT stream_id FROM hs_events INDEXED BY hs_events_state
     WHERE room = (? + 0) AND type = (? || '') AND state_key = (? || '') AND stream_id > (? + 0) ORDER BY stream_id LIMIT 1`,
  )
  const membershipIn = one<{ membership: Membership }, [string, string]>(
    `SELECT s.membership FROM hs_rooms r JOIN hs_room_state s ON s.room = r.room
     WHERE r.room_id = ? AND s.type = 'm.room.member' AND s.state_key = ?`,
  )
  const membershipsOf = all<MembershipRow, [string, string, number, number]>(
    `SELECT s.room, r.room_id, s.membership, s.stream_id FROM hs_room_state s JOIN hs_rooms r ON r.room = s.room
     WHERE s.type = 'm.room.member' AND s.state_key = ? AND (s.membership, s.room) > (?, ?)
       AND NOT EXISTS (SELECT 1 FROM hs_forgotten f WHERE f.user_id = s.state_key AND f.room = s.room)
     ORDER BY s.membership, s.room LIMIT ?`,
  )
  const lastOfRoom = one<{ stream_id: number | null }, [number]>(
    'SELECT max(stream_id) AS stream_id FROM hs_events WHERE room = ?',
  )
  const relations = `SELECT ${COLUMNS}, e.rel_type FROM ${EVENTS} WHERE e.relates_to = ? AND e.room = ?
    AND e.stream_id > ? AND e.stream_id <= ? ORDER BY e.stream_id`
  const lastOfThread = one<{ stream_id: number }, [string, number, number, string | null]>(
    `SELECT stream_id FROM hs_events INDEXED BY hs_events_by_relation
     WHERE relates_to = ?1 AND room = ?2 AND stream_id <= ?3 AND rel_type = 'm.thread' AND sender = coalesce(?4, sender)
     ORDER BY stream_id DESC LIMIT 1`,
  )
  const annotated = one<{ found: number }, [string, string, string, string, number]>(
    `SELECT 1 AS found FROM hs_events INDEXED BY hs_events_annotations
     WHERE relates_to = ? AND sender = ?
       AND CASE WHEN json_valid(content) THEN json_extract(content, '$."m.relates_to".key') END = ?
       AND rel_type = 'm.annotation' AND type = ? AND room = ? LIMIT 1`,
  )
  const insertRoom = one<{ room: number }, [string, string, number]>(
    'INSERT INTO hs_rooms (room_id, version, created_at) VALUES (?, ?, ?) RETURNING room',
  )

  return {
    insert(event: NewEvent): void {
      insert(
        event.stream_id,
        event.event_id,
        event.room,
        event.type,
        event.state_key,
        event.sender,
        event.origin_server_ts,
        event.content,
        event.replaces,
        event.redacts,
        event.relates_to,
        event.rel_type,
        event.txn_scope,
        event.txn_id,
        event.interest,
      )
    },
    at,
    byId: one<EventRow, [eventId: string]>(`SELECT ${COLUMNS} FROM ${EVENTS} WHERE e.event_id = (? || '')`),
    /** Event that the same transaction has already created. */
    byTxn: (txnId: string, sender: string, scope: string, room: number, type: string) =>
      byTxn(txnId, sender, scope, room, type)?.event_id,
    setState: run<[...StatePlace, streamId: number, membership: Membership | null]>(
      `INSERT INTO hs_room_state (room, type, state_key, stream_id, membership) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET stream_id = excluded.stream_id, membership = excluded.membership`,
    ),
    currentState(...place: StatePlace): EventRow | undefined {
      const found = currentStreamId(...place)
      return found && at(found.stream_id)
    },
    /** Next pieces of current state, by type and key. */
    stateKeys: (room: number, { type, state_key }: Omit<StateKey, 'stream_id'>, limit: number) =>
      stateKeys(room, type, state_key, limit),
    /** The piece of state as of `position`. */
    stateAt: one<EventRow, [...StatePlace, position: number]>(
      `SELECT ${COLUMNS} FROM hs_events e INDEXED BY hs_events_state JOIN hs_rooms r ON r.room = e.room
       WHERE e.room = (? + 0) AND e.type = (? || '') AND e.state_key = (? || '') AND e.stream_id <= (? + 0)
       ORDER BY e.stream_id DESC LIMIT 1`,
    ),
    /** Position of the next change of the piece of state after `position`. */
    stateAfter: (room: number, type: string, stateKey: string, position: number) =>
      stateAfter(room, type, stateKey, position)?.stream_id,
    membershipIn: (roomId: string, userId: string) => membershipIn(roomId, userId)?.membership,
    /** Next users present, invited or knocking, by id. */
    members: all<{ state_key: string; membership: Membership }, [room: number, after: string, limit: number]>(
      `SELECT state_key, membership FROM hs_room_state
       WHERE room = ? AND type = 'm.room.member' AND state_key > ? AND membership NOT IN ('leave', 'ban')
       ORDER BY state_key LIMIT ?`,
    ),
    /** The user's next rooms, by membership and number, without forgotten ones. */
    membershipsOf: (userId: string, after: { membership: string; room: number }, limit: number) =>
      membershipsOf(userId, after.membership, after.room, limit),
    /** The next rooms the user has joined, by number. */
    joinedRooms: all<{ room: number; room_id: string }, [userId: string, after: number, limit: number]>(
      `SELECT s.room, r.room_id FROM hs_room_state s JOIN hs_rooms r ON r.room = s.room
       WHERE s.type = 'm.room.member' AND s.state_key = ? AND s.membership = 'join' AND s.room > ? ORDER BY s.room LIMIT ?`,
    ),
    /** Newest first. */
    before: all<EventRow, Span>(
      `SELECT ${COLUMNS} FROM ${EVENTS} WHERE e.room = (? + 0) AND e.stream_id > (? + 0) AND e.stream_id <= (? + 0)
       ORDER BY e.stream_id DESC LIMIT (? + 0)`,
    ),
    /** Oldest first. */
    after: all<EventRow, Span>(
      `SELECT ${COLUMNS} FROM ${EVENTS} WHERE e.room = (? + 0) AND e.stream_id > (? + 0) AND e.stream_id <= (? + 0)
       ORDER BY e.stream_id LIMIT (? + 0)`,
    ),
    lastOfRoom: (room: number) => lastOfRoom(room)?.stream_id ?? 0,
    /** Appservices interested in each event of all rooms, in order. */
    stream: all<Interest, [from: number, to: number, limit: number]>(
      'SELECT stream_id, interest FROM hs_events WHERE stream_id > ? AND stream_id <= ? ORDER BY stream_id LIMIT ?',
    ),
    /** Events related to an event, oldest first. */
    relationsAfter: all<RelationRow, [eventId: string, ...Span]>(`${relations} LIMIT ?`),
    /** Events related to an event, newest first. */
    relationsBefore: all<RelationRow, [eventId: string, ...Span]>(`${relations} DESC LIMIT ?`),
    /** Position of a thread's newest reply up to `to`: anybody's, or one sender's. */
    lastOfThread: (root: string, room: number, to: number, sender: string | null) =>
      lastOfThread(root, room, to, sender)?.stream_id,
    /** True when the sender has already put this key on the event. */
    isAnnotated: (target: string, { sender, key, type, room }: Annotation) =>
      annotated(target, sender, key, type, room) !== undefined,
    /** Events of all rooms, in order. */
    aged: all<AgedRow, [after: number, limit: number]>(
      `SELECT stream_id, event_id, origin_server_ts, state_key IS NOT NULL AS is_state, interest FROM hs_events
       WHERE stream_id > ? ORDER BY stream_id LIMIT ?`,
    ),
    /** Like `aged`, with contents where they name media. */
    naming: all<AgedRow & { content: string | null }, [after: number, limit: number]>(
      `SELECT stream_id, event_id, origin_server_ts, state_key IS NOT NULL AS is_state, interest,
         iif(instr(content, 'mxc://') > 0, content, NULL) AS content
       FROM hs_events WHERE stream_id > ? ORDER BY stream_id LIMIT ?`,
    ),
    remove: run<[streamId: number]>('DELETE FROM hs_events WHERE stream_id = ?'),
    redact: run<[content: string, redactedBy: number, streamId: number]>(
      'UPDATE hs_events SET content = ?, redacted_by = ?, relates_to = NULL, rel_type = NULL WHERE stream_id = ?',
    ),
    insertRoom(roomId: string, version: string, now: number): number {
      const row = insertRoom(roomId, version, now)
      if (!row) throw new Error('the room was not inserted')
      return row.room
    },
    roomById: one<{ room: number; room_id: string; version: string }, [roomId: string]>(
      'SELECT room, room_id, version FROM hs_rooms WHERE room_id = ?',
    ),
  }
}
