/** The search of the history finds what is there, of one's own, and nothing that was taken away. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { chatMessages } from '../../../src/db/schema/index.ts'
import { type Conversations, createConversations } from '../../../src/modules/conversations/conversations.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { createHistoryIndex } from '../../../src/modules/history/history-index.ts'
import {
  eraseHistory,
  type NewChatMessage,
  writeHistory,
} from '../../../src/modules/history/history-repository.ts'
import { createSearchRepository } from '../../../src/modules/history/search-repository.ts'
import { matchOf } from '../../../src/modules/history/search-terms.ts'
import { createRetentionRepository } from '../../../src/modules/upkeep/retention-repository.ts'
import { insertChat, insertDevice, insertIdentity } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'
import { waitFor } from '../../support/wait-for.ts'

let module: ReturnType<typeof testModule>
let conversations: Conversations
let count = 0
beforeEach(() => {
  module = testModule()
  const repository = createDeviceRepository(module.db)
  const linked = (identityId: string) => repository.listAll(identityId)
  const find = async (identityId: string, id: string) =>
    (await linked(identityId)).find(({ deviceId }) => deviceId === id) ?? null
  const devices = { linked, linkedFirst: linked, find, get: repository.get }
  conversations = createConversations({
    ...module,
    devices,
    media: { signedPath: id => id },
    publicUrl: () => '',
  })
  insertDevice(module.db)
  insertChat(module.db)
})
afterEach(() => module.db.destroy())

const CONTENT = { event: 'message.received', type: 'm.text', media: null, location: null } as const
async function say(text: string, change: Partial<NewChatMessage> = {}): Promise<string> {
  const eventId = `$${++count}`
  const by = {
    identityId: 'id_1',
    deviceRowId: 'dev_1',
    senderUserId: '@whatsapp_1:s',
    direction: 'in',
  } as const
  const place = { eventId, roomId: '!r:s', sentAt: count, replyTo: null, relatesTo: null }
  const message = { ...by, ...place, kind: 'text' as const, text, content: CONTENT, ...change }
  await module.db.write(tx => writeHistory(tx, message, count))
  return eventId
}
const index = () => createSearchRepository(module.db).indexSome(1_000)
async function found(query: string, more: { chatId?: string; deviceId?: string } = {}): Promise<string[]> {
  const { data } = await conversations.search('id_1', { query, limit: 100, ...more })
  return data.map(({ text }) => text)
}

test('has all of the words, the last of which may go on, whatever their case and accents', async () => {
  for (const text of ['Crème brûlée for two', 'for two: creme', 'Two', '"for" NEAR(two)']) await say(text)
  await index()
  expect(await found('CREME two')).toEqual(['for two: creme', 'Crème brûlée for two'])
  expect(await found('creme br')).toEqual(['Crème brûlée for two'])
  expect(await found('br creme')).toEqual([])
  expect(await found('"for" NEAR(two)')).toEqual(['"for" NEAR(two)'])
  expect(await found('text:two* OR scope')).toEqual([])
  expect(found('— !')).rejects.toThrow('query: expected a word to look for')
})

test.each([
  ['東京', 'これは東京タワーです'],
  ['タワー', 'これは東京タワーです'],
  ['สวัสดี', 'สวัสดีครับ'],
  ['محمد', 'مُحَمَّد هنا'],
  ['ПРИВ', 'привет, мир'],
  ['a', 'b a'],
  ['foo-bar', 'foo-barren'],
  ['NOT', 'not so'],
  ['-not', 'not so'],
  ['(so*', 'not so'],
  ['"', null],
  ['🎉', null],
  ['so OR zz', null],
  ['text:so', null],
  ['大阪', null],
])('%s finds %p', async (query, expected) => {
  const texts = [
    'これは東京タワーです',
    'สวัสดีครับ',
    'مُحَمَّد هنا',
    'привет, мир',
    'b a',
    'foo-barren',
    'bar foo',
    'not so',
  ]
  for (const text of texts) await say(text)
  await index()
  const answer = await found(query).catch(error => (error as Error).message)
  if (!/[\p{L}\p{N}]/u.test(query)) expect(answer).toBe('query: expected a word to look for')
  else expect(answer).toEqual(expected === null ? [] : [expected])
})

test('reads none of what others say, also for the beginning of a word', async () => {
  insertIdentity(module.db, 'id_2', '@mg2:s')
  await say('hello theirs', { identityId: 'id_2' })
  await say('hello')
  await index()
  const match = matchOf('id_1', ['h'], null)
  const seqs = module.db.connection
    .query('SELECT rowid FROM chat_search WHERE chat_search MATCH ?')
    .all(match)
  expect(seqs).toHaveLength(1)
})

test('is of one identity, and if wanted of one chat in all its rooms, or of one device', async () => {
  insertIdentity(module.db, 'id_2', '@mg2:s')
  insertChat(module.db, { roomId: '!old:s', movedTo: '!r:s' })
  const other = insertChat(module.db, { roomId: '!other:s' })
  insertDevice(module.db, { id: 'dev_2', loginId: '238', deviceId: '238' })
  await say('hello theirs', { identityId: 'id_2' })
  await say('hello here')
  await say('hello before', { roomId: '!old:s' })
  await say('hello other', { roomId: '!other:s', deviceRowId: 'dev_2' })
  await index()
  expect(await found('hello')).toEqual(['hello other', 'hello before', 'hello here'])
  expect(await found('hello', { chatId: '!r:s' })).toEqual(['hello before', 'hello here'])
  expect(await found('hello', { chatId: other.id })).toEqual(['hello other'])
  expect(await found('hello', { deviceId: '238' })).toEqual(['hello other'])
})

test('goes on behind a page', async () => {
  for (let each = 1; each <= 5; each++) await say(`hello ${each}`)
  await index()
  const first = await conversations.search('id_1', { query: 'hello', limit: 3 })
  const second = await conversations.search('id_1', {
    query: 'hello',
    limit: 3,
    after: first.next ?? undefined,
  })
  expect([...first.data, ...second.data].map(({ text }) => text.at(-1)).join('')).toBe('54321')
  expect(second.next).toBeNull()
})

test('is in the order of sending, page by page, whenever its messages were stored', async () => {
  const now = Date.parse('2026-04-27T10:00:00Z')
  const ages = [3, 1, 4, 1, 5, 9, 2, 6]
  for (const age of ages) await say(`hello ${age}`, { sentAt: now - age * 1_000 })
  await index()
  const texts: string[] = []
  let after: Awaited<ReturnType<Conversations['search']>>['next'] | undefined
  do {
    const page = await conversations.search('id_1', { query: 'hello', limit: 3, ...(after && { after }) })
    texts.push(...page.data.map(({ text }) => text))
    after = page.next
  } while (after)
  expect(texts).toEqual(ages.toSorted().map(age => `hello ${age}`))
  const plan = module.db.connection
    .query(
      'EXPLAIN QUERY PLAN SELECT m.seq FROM chat_search CROSS JOIN chat_messages m ON ((m.sent_at << 21) | (m.seq & 2097151)) = chat_search.rowid AND m.relates_to IS NULL',
    )
    .all() as { detail: string }[]
  expect(plan.at(-1)?.detail).toContain('USING INDEX chat_messages_found')
})

test('indexes what is said as it comes, and after a stop what was left', async () => {
  const { db, signals, clock } = module
  await say('before the start')
  const stopping = new AbortController()
  const running = createHistoryIndex({ db, signals, clock }).run(stopping.signal)
  await waitFor(async () => (await found('start')).length === 1)
  await say('while it runs')
  await waitFor(async () => (await found('while')).length === 1)
  stopping.abort()
  await running
})

describe('does not find', () => {
  const edit = (eventId: string, text: string) => say(text, { kind: 'edit', relatesTo: eventId })

  test.each([
    ['indexed', true],
    ['not yet indexed', false],
  ])('the words before an edit, %s', async (_, isIndexed) => {
    const eventId = await say('one word')
    if (isIndexed) await index()
    await edit(eventId, 'another text')
    await index()
    expect(await found('word')).toEqual([])
    expect(await found('another')).toEqual(['another text'])
  })

  test('reactions, votes and edits themselves', async () => {
    await say('👍 good', { kind: 'reaction', relatesTo: '$x' })
    await index()
    expect(await found('good')).toEqual([])
  })

  test('what retention has forgotten', async () => {
    await say('old words')
    await index()
    await createRetentionRepository(module.db).history(0, Number.MAX_SAFE_INTEGER)
    expect(module.db.orm.select().from(chatMessages).all()).toEqual([])
    expect(await found('old')).toEqual([])
  })
})

test('nothing of a deleted text is left in any file once the log is written back', async () => {
  const secret = 'Zauberwort'
  for (let each = 0; each < 300; each++) await say(`kept ${each}`)
  const eventId = await say(`${secret} geheimnis`)
  await index()
  await say('and more')
  await index()
  await module.db.write(tx => eraseHistory(tx, { identityId: 'id_1', roomId: '!r:s', eventId }, 1))
  expect(await found(secret)).toEqual([])
  // A read that others share may hold the log for a moment.
  await waitFor(() => {
    try {
      return Boolean(module.db.connection.run('PRAGMA wal_checkpoint(TRUNCATE)'))
    } catch {
      return false
    }
  })
  const folder = dirname(module.db.connection.filename)
  for (const name of readdirSync(folder)) {
    const content = readFileSync(join(folder, name)).toString('latin1').toLowerCase()
    expect([name, content.includes('auberwort'), content.includes('eheimnis')]).toEqual([name, false, false])
  }
})
