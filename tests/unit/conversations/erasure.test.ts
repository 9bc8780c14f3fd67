/** Erasing a chat: in short turns however large it is, and again after it was cut off. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { createErasure } from '../../../src/modules/conversations/erasure.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { createSearchRepository } from '../../../src/modules/history/search-repository.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'
import { insertChat, insertDevice } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

let module: ReturnType<typeof testModule>
let discarded: string[]
let isCut: boolean
beforeEach(() => {
  module = testModule()
  discarded = []
  isCut = false
  insertDevice(module.db)
  insertChat(module.db, { roomId: '!r:s', kind: 'dm' })
  insertChat(module.db, { roomId: '!other:s', kind: 'dm' })
})
afterEach(() => module.db.destroy())

function erase(reference = '!r:s') {
  const { listAll } = createDeviceRepository(module.db)
  const erasure = createErasure({
    ...module,
    devices: { linkedFirst: listAll },
    media: {
      async discardAll(ids) {
        if (isCut) throw new Error('killed')
        discarded.push(...ids)
      },
    },
    eraseRoom: undefined,
  })
  return erasure.erase('id_1', reference)
}

/** Messages, received and sent, each with a file and an event, in both chats. */
async function fill(count: number): Promise<void> {
  const { connection } = module.db
  connection.run(`CREATE TEMP TABLE n AS WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < ${count * 2})
    SELECT n, iif(n % 2, '!r:s', '!other:s') AS room FROM c`)
  connection.run(`INSERT INTO media (id, identity_id, file_name, mime_type, size_bytes, width, height, duration_ms, blur_hash, stored,
      created_at, updated_at)
    SELECT 'file' || n, 'id_1', 'secret.txt', '', 1, 0, 0, 0, '', 1, 1, 1 FROM n`)
  connection.run(`INSERT INTO chat_messages (identity_id, event_id, room_id, device_row_id, sender_user_id, direction, kind, text, sent_at,
      stored_at, media_id)
    SELECT 'id_1', '$' || n, room, 'dev_1', '', 'in', 'text', 'secret ' || n, n, n, 'file' || n FROM n`)
  connection.run(`INSERT INTO events (identity_id, event_id, name, room_id, device_row_id, sender_user_id, media_id, payload, received_at)
    SELECT 'id_1', '$' || n, 'message.received', room, 'dev_1', '', 'file' || n,
      json_object('kind', 'text', 'message', 'secret', 'media', json_object('file_name', 'secret')), 1 FROM n`)
  connection.run(`INSERT INTO messages (id, identity_id, device_row_id, lane, recipient_kind, recipient, text, metadata, status, attempts,
      resends, room_id, event_id, created_at, updated_at)
    SELECT 'msg_' || n, 'id_1', 'dev_1', 'dev_1/contact:' || n, 'contact', n, 'secret', '{"a":"secret"}', 'sent', 1, 0, room, '$s' || n, 1, 1
    FROM n`)
  connection.run('DROP TABLE temp.n')
  while ((await createSearchRepository(module.db).indexSome(1_000)) === 1_000);
}

/** @returns how many rows of each table still say something, by room */
function left() {
  const count = (sql: string) =>
    module.db.connection.query<{ count: number }, []>(`SELECT count(*) AS count ${sql}`).get()?.count
  return {
    history: count('FROM chat_messages'),
    found: count(`FROM chat_search WHERE chat_search MATCH 'text : i*'`),
    events: count(`FROM events WHERE payload LIKE '%secret%' OR media_id IS NOT NULL`),
    messages: count('FROM messages WHERE text IS NOT NULL OR metadata IS NOT NULL'),
    files: count('FROM media'),
  }
}
const all = (each: number) => ({ history: each, found: each * 2, events: each, messages: each, files: each })

test('a large one holds up nobody', async () => {
  await fill(10_000)
  await expectShortTurns(() => erase(), { rounds: 1 })
  expect(left()).toEqual({ ...all(10_000), found: left().found ?? -1 })
  expect(discarded).toHaveLength(10_000)
})

test('what a kill leaves, the next call erases', async () => {
  await fill(300)
  isCut = true
  expect(erase()).rejects.toThrow('killed')
  await Bun.sleep(0)
  isCut = false
  expect(left().history).toBeGreaterThan(300)
  await erase()
  expect(left()).toEqual({ ...all(300), found: left().found ?? -1 })
  await erase('!other:s')
  expect(left()).toEqual({ history: 0, found: 0, events: 0, messages: 0, files: 0 })
})
