/** hs_events, hs_room_state, hs_rooms and hs_aliases: the history, the current state, and names. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'
import type { EventRow, Membership } from '../rooms/events.ts'

const COLUMNS = `e.stream_id, e.event_id, e.room, r.room_id, e.type, e.state_key, e.sender, e.origin_server_ts, e.content,
  e.replaces, e.redacted_by, e.redacts, e.txn_scope, e.txn_id, e.position, e.is_history`
const EVENTS = 'hs_events e JOIN hs_rooms r ON r.room = e.room'

export interface NewEvent extends Omit<EventRow, 'room_id' | 'redacted_by' | 'position'> {
  history_place: number | null
  taken_at: number | null
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
  /** When an event of a batch was stored; null for others. */
  taken_at: number | null
  room: number
  is_state: number
  /** As for `hasMessages`. */
  is_message: number
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
  target: string
  sender: string
  key: string
  type: string
  room: number
}

export type EventStore = ReturnType<typeof eventStore>

/** A page of a room's events in (`from`, `to`], by their position. */
type Span = [room: number, from: number, to: number, limit: number]
type StatePlace = [room: number, type: string, stateKey: string]

export function eventStore(db: Database) {
  const { one, value, has, all, values, run } = statementsOf(db)
  // Placeholders of joins stand in expressions: bare, SQLite plans anew for each value, ten times
  // what the query takes.
  const at = one<EventRow, [streamId: number]>(`SELECT ${COLUMNS} FROM ${EVENTS} WHERE e.stream_id = (? + 0)`)
  const currentStreamId = value<number, StatePlace>(
    'SELECT stream_id FROM hs_room_state WHERE room = ? AND type = ? AND state_key = ?',
  )
  const page = `SELECT ${COLUMNS} FROM ${EVENTS} WHERE e.room = (? + 0) AND e.position > (? + 0) AND e.position <= (? + 0)
    ORDER BY e.position`
  // SQLite takes a room for as selective as an event, and would read all that is said there.
  const relations = `SELECT ${COLUMNS}, e.rel_type FROM hs_events e INDEXED BY hs_events_by_relation
    JOIN hs_rooms r ON r.room = e.room WHERE e.relates_to = ? AND e.room = ?
    AND e.position > ? AND e.position <= ? ORDER BY e.position`
  // Neither state nor a bridge's word about an event.
  const message = "state_key IS NULL AND type <> 'com.beeper.message_send_status'"
  const aged = `stream_id, event_id, room, origin_server_ts, taken_at, state_key IS NOT NULL AS is_state,
    ${message} AS is_message, interest`

  return {
    insert: run<[NewEvent]>(
      `INSERT INTO hs_events (stream_id, event_id, room, type, state_key, sender, origin_server_ts, content, replaces, redacts,
         relates_to, rel_type, txn_scope, txn_id, interest, history_place, taken_at, is_history)
       VALUES ($stream_id, $event_id, $room, $type, $state_key, $sender, $origin_server_ts, $content, $replaces, $redacts,
         $relates_to, $rel_type, $txn_scope, $txn_id, $interest, $history_place, $taken_at, $is_history)`,
    ),
    at,
    byId: one<EventRow, [eventId: string]>(`SELECT ${COLUMNS} FROM ${EVENTS} WHERE e.event_id = (? || '')`),
    /** Event that the same transaction has already created. */
    byTxn: value<string, [txnId: string, sender: string, scope: string, room: number, type: string]>(
      'SELECT event_id FROM hs_events WHERE txn_id = ? AND sender = ? AND txn_scope = ? AND room = ? AND type = ?',
    ),
    setState: run<[...StatePlace, streamId: number, membership: Membership | null]>(
      `INSERT INTO hs_room_state (room, type, state_key, stream_id, membership) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET stream_id = excluded.stream_id, membership = excluded.membership`,
    ),
    currentState(...place: StatePlace): EventRow | undefined {
      const found = currentStreamId(...place)
      return found === undefined ? undefined : at(found)
    },
    /** Next pieces of current state, by type and key. */
    stateKeys: all<StateKey, [after: { room: number; type: string; state_key: string; limit: number }]>(
      `SELECT type, state_key, stream_id FROM hs_room_state
       WHERE room = $room AND (type, state_key) > ($type, $state_key) ORDER BY type, state_key LIMIT $limit`,
    ),
    /** The piece of state as of `position`. */
    stateAt: one<EventRow, [...StatePlace, position: number]>(
      `SELECT ${COLUMNS} FROM hs_events e INDEXED BY hs_events_state JOIN hs_rooms r ON r.room = e.room
       WHERE e.room = (? + 0) AND e.type = (? || '') AND e.state_key = (? || '') AND e.stream_id <= (? + 0)
       ORDER BY e.stream_id DESC LIMIT 1`,
    ),
    /** Position of the next change of the piece of state after `position`. */
    stateAfter: value<number, [...StatePlace, position: number]>(
      `SELECT stream_id FROM hs_events INDEXED BY hs_events_state
       WHERE room = (? + 0) AND type = (? || '') AND state_key = (? || '') AND stream_id > (? + 0) ORDER BY stream_id LIMIT 1`,
    ),
    membershipIn: value<Membership, [roomId: string, userId: string]>(
      `SELECT s.membership FROM hs_rooms r JOIN hs_room_state s ON s.room = r.room
       WHERE r.room_id = ? AND s.type = 'm.room.member' AND s.state_key = ?`,
    ),
    /** Next users present, invited or knocking, by id. */
    members: all<{ state_key: string; membership: Membership }, [room: number, after: string, limit: number]>(
      `SELECT state_key, membership FROM hs_room_state
       WHERE room = ? AND type = 'm.room.member' AND state_key > ? AND membership NOT IN ('leave', 'ban')
       ORDER BY state_key LIMIT ?`,
    ),
    /** The user's next rooms, by membership and number, without forgotten ones. */
    membershipsOf: all<MembershipRow, [userId: string, membership: string, room: number, limit: number]>(
      `SELECT s.room, r.room_id, s.membership, s.stream_id FROM hs_room_state s JOIN hs_rooms r ON r.room = s.room
       WHERE s.type = 'm.room.member' AND s.state_key = ? AND (s.membership, s.room) > (?, ?)
         AND NOT EXISTS (SELECT 1 FROM hs_forgotten f WHERE f.user_id = s.state_key AND f.room = s.room)
       ORDER BY s.membership, s.room LIMIT ?`,
    ),
    /** The next rooms the user has joined, by number. */
    joinedRooms: all<{ room: number; room_id: string }, [userId: string, after: number, limit: number]>(
      `SELECT s.room, r.room_id FROM hs_room_state s JOIN hs_rooms r ON r.room = s.room
       WHERE s.type = 'm.room.member' AND s.state_key = ? AND s.membership = 'join' AND s.room > ? ORDER BY s.room LIMIT ?`,
    ),
    /** Newest first. */
    before: all<EventRow, Span>(`${page} DESC LIMIT (? + 0)`),
    /** Oldest first. */
    after: all<EventRow, Span>(`${page} LIMIT (? + 0)`),
    lastOfRoom: value<number | null, [room: number]>('SELECT max(position) FROM hs_events WHERE room = ?'),
    firstOfRoom: value<number | null, [room: number]>('SELECT min(position) FROM hs_events WHERE room = ?'),
    /** True when the room has messages, or had some that were forgotten. */
    hasMessages: has<[room: number]>(
      `SELECT 1 FROM hs_rooms WHERE room = ?1 AND had_messages
       UNION ALL SELECT 1 FROM hs_events WHERE room = ?1 AND ${message} LIMIT 1`,
    ),
    /** A message of the room is forgotten. */
    noteForgotten: run<[room: number]>(
      'UPDATE hs_rooms SET had_messages = 1 WHERE room = ? AND NOT had_messages',
    ),
    /** Appservices interested in each event of all rooms, in order. */
    stream: all<Interest, [from: number, to: number, limit: number]>(
      'SELECT stream_id, interest FROM hs_events WHERE stream_id > ? AND stream_id <= ? ORDER BY stream_id LIMIT ?',
    ),
    /** Events related to an event, oldest first. */
    relationsAfter: all<RelationRow, [eventId: string, ...Span]>(`${relations} LIMIT ?`),
    /** Events related to an event, newest first. */
    relationsBefore: all<RelationRow, [eventId: string, ...Span]>(`${relations} DESC LIMIT ?`),
    /** Position of a thread's newest reply up to `to`: anybody's, or one sender's. */
    lastOfThread: value<number, [root: string, room: number, to: number, sender: string | null]>(
      `SELECT position FROM hs_events INDEXED BY hs_events_by_relation
       WHERE relates_to = ?1 AND room = ?2 AND position <= ?3 AND rel_type = 'm.thread' AND sender = coalesce(?4, sender)
       ORDER BY position DESC LIMIT 1`,
    ),
    /** The event by which the sender has already put this key on another. */
    annotation: value<string, [Annotation]>(
      `SELECT event_id FROM hs_events INDEXED BY hs_events_annotations
       WHERE relates_to = $target AND sender = $sender
         AND CASE WHEN json_valid(content) THEN json_extract(content, '$."m.relates_to".key') END = $key
         AND rel_type = 'm.annotation' AND type = $type AND room = $room LIMIT 1`,
    ),
    /** Events of all rooms, in order. */
    aged: all<AgedRow, [after: number, limit: number]>(
      `SELECT ${aged} FROM hs_events WHERE stream_id > ? ORDER BY stream_id LIMIT ?`,
    ),
    /** Like `aged`, with contents where they name media. */
    naming: all<AgedRow & { content: string | null }, [after: number, limit: number]>(
      `SELECT ${aged}, iif(instr(content, 'mxc://') > 0, content, NULL) AS content
       FROM hs_events WHERE stream_id > ? ORDER BY stream_id LIMIT ?`,
    ),
    /** Like `naming`, of one room by position. */
    ofRoom: all<
      AgedRow & { position: number; content: string | null },
      [room: number, after: number, limit: number]
    >(
      `SELECT ${aged}, position, iif(instr(content, 'mxc://') > 0, content, NULL) AS content
       FROM hs_events WHERE room = ? AND position > ? ORDER BY position LIMIT ?`,
    ),
    remove: run<[streamId: number]>('DELETE FROM hs_events WHERE stream_id = ?'),
    redact: run<[content: string, redactedBy: number, streamId: number]>(
      'UPDATE hs_events SET content = ?, redacted_by = ?, relates_to = NULL, rel_type = NULL WHERE stream_id = ?',
    ),
    /** @returns the room's number */
    insertRoom: value<number, [roomId: string, version: string, now: number]>(
      'INSERT INTO hs_rooms (room_id, version, created_at) VALUES (?, ?, ?) RETURNING room',
    ),
    roomById: one<{ room: number; version: string }, [roomId: string]>(
      'SELECT room, version FROM hs_rooms WHERE room_id = ?',
    ),
    addAlias: run<[alias: string, room: number, creator: string]>(
      'INSERT INTO hs_aliases (alias, room, creator) VALUES (?, ?, ?)',
    ),
    alias: one<{ room_id: string; creator: string }, [alias: string]>(
      'SELECT r.room_id, a.creator FROM hs_aliases a JOIN hs_rooms r ON r.room = a.room WHERE a.alias = ?',
    ),
    aliasesOf: values<string, [room: number]>('SELECT alias FROM hs_aliases WHERE room = ? ORDER BY alias'),
    removeAlias: run<[alias: string]>('DELETE FROM hs_aliases WHERE alias = ?'),
    /** The last stream position on disk: the highest number of any stored row. */
    lastStreamId: value<number | null>(
      `SELECT max(stream_id) FROM (
         SELECT stream_id FROM hs_counter
         UNION ALL SELECT max(stream_id) FROM hs_events
         UNION ALL SELECT max(stream_id) FROM hs_receipts
         UNION ALL SELECT max(stream_id) FROM hs_account_data
         UNION ALL SELECT max(stream_id) FROM hs_to_device
         UNION ALL SELECT max(stream_id) FROM hs_key_changes)`,
    ),
    /** Reserves a number whose row will be deleted, so that it isn't reused. */
    keepCounter: run<[streamId: number]>('UPDATE hs_counter SET stream_id = max(stream_id, ?) WHERE id = 1'),
  }
}
