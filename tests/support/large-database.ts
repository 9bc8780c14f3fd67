/**
 * Makes a small database large by SQL: copies one conversation's rows in all tables of gateway,
 * homeserver and sandbox. So a gateway finds what it would have written in hours, in seconds.
 */
import type { Database } from 'bun:sqlite'
import { closeSync, fsyncSync, openSync } from 'node:fs'

export interface LargeSizes {
  /** Each is sent and answered: a message, an event with its delivery, and the rows behind both. */
  messages: number
  /** Each has a token and a linked phone of the sandbox. */
  identities: number
  /** All of the first identity's device, with a contact each; one in a hundred is a group. */
  chats: number
  /** Entries in the address book of the first device, at the sandbox. */
  contacts?: number
}

/** SQL for values of a copy: `t` is the original row, `n.n` the copy's number, from 1 on. */
type Changes = Record<string, string>

const CHAT_STRIDE = 100
const GROUP_EVERY = 100
/** Values that must be unique are the original's with this suffix. */
const suffixed = (column: string) => `t.${column} || printf('-%07d', n.n)`
const phone = (first: number, number = 'n.n') => `cast(${first} + ${number} as text)`
const ghost = (first: number, number?: string) => `'@whatsapp_' || ${phone(first, number)} || ':localhost'`
const room = (number = 'n.n') => `printf('!copy%07d:localhost', ${number})`

const FIRST_OWNER = 491_700_000_000
const FIRST_CONTACT = 491_800_000_000
const FIRST_TOKEN_ID = 1_000_000_000
/** Spreads messages over the chats: a prime, so it shares no factor with their number. */
const SPREAD = 7_919

/**
 * @param database of a stopped gateway, in which one identity has one linked phone of the sandbox
 * and one chat, with one message sent and one received
 */
export function enlarge(database: Database, sizes: LargeSizes): void {
  // Without a journal, each page is written once. A failure ruins the database and ends the test.
  for (const pragma of ['journal_mode = OFF', 'synchronous = OFF', 'cache_size = -524288'])
    database.run(`PRAGMA ${pragma}`)
  database.run('CREATE TEMP TABLE n (n INTEGER PRIMARY KEY)')
  const numbers = database.prepare(
    'INSERT OR IGNORE INTO n WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < ?1) SELECT n FROM c',
  )
  numbers.run(Math.max(...Object.values(sizes)))
  database.transaction(() => {
    const own = conversationOf(database)
    addIdentities(database, own, sizes.identities - 1)
    addChats(database, own, sizes.chats - 1)
    addMessages(database, own, sizes.messages - 1, sizes.chats - 1)
    addContacts(database, own, sizes.contacts ?? 0)
    const { last } = one<{ last: number }>(database, 'SELECT max(stream_id) AS last FROM hs_events')
    // Appservices in use have received everything; unused ones stay at their position.
    database.run(`UPDATE hs_appservices SET position = ${last} WHERE position > 0`)
  })()
  numbers.finalize()
  database.run('DROP TABLE n')
  database.run('PRAGMA journal_mode = WAL')
  syncToDisk(database.filename)
}

/** Otherwise the system writes the file out while a gateway is measured, and commits wait. */
function syncToDisk(path: string): void {
  const file = openSync(path, 'r')
  fsyncSync(file)
  closeSync(file)
}

interface Conversation {
  identity: string
  device: string
  phone: string
  user: string
  room: string
  contact: string
}

function conversationOf(database: Database): Conversation {
  return one(
    database,
    `SELECT identities.id AS identity, devices.id AS device, devices.phone, matrix_user_id AS user, chats.room_id AS room,
       replace(channel_id, '@s.whatsapp.net', '') AS contact
     FROM identities JOIN devices ON devices.identity_id = identities.id JOIN chats ON chats.identity_id = identities.id`,
  )
}

/** Each gets a token of the same credential, and a phone linked at the sandbox for the probe. */
function addIdentities(database: Database, own: Conversation, count: number): void {
  const user = `printf('@mg%010d:localhost', n.n)`
  const owner = phone(FIRST_OWNER)
  copy(database, 'identities', count, { id: suffixed('id'), matrix_user_id: user, is_host: '0' })
  copy(database, 'tokens', count, {
    id: `${FIRST_TOKEN_ID} + n.n`,
    token_hash: suffixed('token_hash'),
    identity_id: suffixed('identity_id'),
    is_admin: '0',
  })
  copy(database, 'devices', count, {
    id: suffixed('id'),
    identity_id: suffixed('identity_id'),
    login_id: owner,
    device_id: owner,
    phone: owner,
    ghost_user_id: ghost(FIRST_OWNER),
  })
  copy(database, 'hs_users', count, { user_id: user }, `user_id GLOB '@mg*'`)
  copy(database, 'sandbox_login', count, { id: owner, phone: owner, user_id: user })
  copy(database, 'sandbox_phone', count, { phone: owner }, `phone = '${own.phone}'`)
}

function addChats(database: Database, own: Conversation, count: number): void {
  const contact = phone(FIRST_CONTACT)
  const chat = `'wa:${own.phone}:' || ${contact}`
  const isGroup = `n.n % ${GROUP_EVERY} = 0`
  copy(database, 'chats', count, {
    id: `'chat_' || lower(hex(randomblob(16)))`,
    room_id: room(),
    kind: `iif(${isGroup}, 'group', t.kind)`,
    channel_id: `${contact} || iif(${isGroup}, '@g.us', '@s.whatsapp.net')`,
    name: `'Contact ' || n.n`,
    peer: `iif(${isGroup}, NULL, ${ghost(FIRST_CONTACT)})`,
  })
  copy(database, 'resolved_recipients', count, { recipient_key: `'contact:' || ${contact}`, room_id: room() })
  const names = { matrix_user_id: ghost(FIRST_CONTACT), user_id: ghost(FIRST_CONTACT) }
  const isContact = `= '@whatsapp_${own.contact}:localhost'`
  copy(database, 'profiles', count, names, `matrix_user_id ${isContact}`)
  copy(database, 'hs_users', count, names, `user_id ${isContact}`)
  copy(database, 'sandbox_ghost', count, names, `user_id ${isContact}`)
  copy(database, 'sandbox_phone', count, { phone: contact }, `phone = '${own.contact}'`)
  copy(database, 'sandbox_portal', count, { chat, room_id: room() })
  copy(database, 'sandbox_chat', count, { id: chat }, `kind = 'dm'`)
  const member = `iif(t.phone = '${own.phone}', t.phone, ${contact})`
  copy(database, 'sandbox_member', count, { chat, phone: member }, `chat LIKE 'wa:${own.phone}:%'`)

  const { base } = one<{ base: number }>(database, 'SELECT max(stream_id) AS base FROM hs_events')
  const streamId = (column: string) => `${base} + (n.n - 1) * ${CHAT_STRIDE} + t.${column}`
  const stateKey = `iif(t.state_key = '@whatsapp_${own.contact}:localhost', ${ghost(FIRST_CONTACT)}, t.state_key)`
  copy(database, 'hs_rooms', count, { room: 'n.n + 1', room_id: room() })
  copy(
    database,
    'hs_events',
    count,
    {
      stream_id: streamId('stream_id'),
      event_id: suffixed('event_id'),
      room: 'n.n + 1',
      state_key: stateKey,
      replaces: streamId('replaces'),
    },
    't.state_key IS NOT NULL AND t.room = 1',
  )
  copy(
    database,
    'hs_room_state',
    count,
    { room: 'n.n + 1', state_key: stateKey, stream_id: streamId('stream_id') },
    't.room = 1',
  )
}

/** Spreads the messages over the added chats. */
function addMessages(database: Database, own: Conversation, count: number, chats: number): void {
  const number = chats > 0 ? `(n.n * ${SPREAD} % ${chats} + 1)` : '0'
  const roomId = chats > 0 ? room(number) : `'${own.room}'`
  const contact = chats > 0 ? phone(FIRST_CONTACT, number) : `'${own.contact}'`
  const sender = `'@whatsapp_' || ${contact} || ':localhost'`
  const at = (column: string) => `t.${column} + n.n`
  copy(database, 'messages', count, {
    seq: 't.seq + n.n',
    id: suffixed('id'),
    lane: `'${own.device}/contact:' || ${contact}`,
    recipient: contact,
    text: `'message ' || n.n`,
    room_id: roomId,
    event_id: suffixed('event_id'),
  })
  copy(
    database,
    'events',
    count,
    {
      seq: 't.seq + n.n',
      event_id: suffixed('event_id'),
      room_id: roomId,
      sender_user_id: sender,
      payload: `replace(t.payload, t.event_id, ${suffixed('event_id')})`,
    },
    `name = 'message.received'`,
  )
  copy(database, 'deliveries', count, {
    seq: 't.seq + n.n',
    id: suffixed('id'),
    event_seq: at('event_seq'),
    lane: `'${own.identity}/1/' || ${roomId}`,
  })
  const { base, first, each } = one<{ base: number; first: number; each: number }>(
    database,
    `SELECT (SELECT max(stream_id) FROM hs_events) AS base, min(stream_id) AS first, max(stream_id) - min(stream_id) + 1 AS each
     FROM hs_events WHERE state_key IS NULL`,
  )
  copy(
    database,
    'hs_events',
    count,
    {
      stream_id: `${base} + (n.n - 1) * ${each} + t.stream_id - ${first} + 1`,
      event_id: suffixed('event_id'),
      room: `${number} + 1`,
      sender: `iif(t.sender = '@whatsapp_${own.contact}:localhost', ${sender}, t.sender)`,
      relates_to: suffixed('relates_to'),
      txn_id: suffixed('txn_id'),
    },
    'state_key IS NULL',
  )
  copy(database, 'sandbox_message', count, {
    seq: 't.seq + n.n * 2',
    id: suffixed('id'),
    chat: `'wa:${own.phone}:' || ${contact}`,
    sender: `iif(t.sender = '${own.contact}', ${contact}, t.sender)`,
  })
  copy(database, 'sandbox_inbox', count, {
    seq: 't.seq + n.n * 2',
    phone: `iif(t.phone = '${own.contact}', ${contact}, t.phone)`,
  })
  copy(database, 'sandbox_event', count, {
    event_id: suffixed('event_id'),
    room_id: roomId,
    message_id: suffixed('message_id'),
  })
}

function addContacts(database: Database, own: Conversation, count: number): void {
  database.run(
    `INSERT OR IGNORE INTO sandbox_contact (phone, contact, name)
     SELECT '${own.phone}', ${phone(FIRST_CONTACT)}, 'Contact ' || n.n FROM n WHERE n.n <= ${count}`,
  )
}

/** @param changes by column; others stay the original's. @param where selects the original rows */
function copy(database: Database, table: string, count: number, changes: Changes, where = 'true'): void {
  const columns = database
    .query<{ name: string }, []>(`SELECT name FROM pragma_table_info('${table}')`)
    .all()
    .map(({ name }) => name)
  const values = columns.map(column => changes[column] ?? `t.${column}`)
  database.run(`CREATE TEMP TABLE t AS SELECT * FROM ${table} AS t WHERE ${where}`)
  database.run(
    `INSERT INTO ${table} (${columns.join(', ')})
     SELECT ${values.join(', ')} FROM n CROSS JOIN t WHERE n.n <= ${count}`,
  )
  database.run('DROP TABLE temp.t')
}

function one<Row>(database: Database, sql: string): Row {
  const row = database.query<Row, []>(sql).get()
  if (!row) throw new Error(`nothing to copy: ${sql}`)
  return row
}
