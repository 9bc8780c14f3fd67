/** Messages from before the history come into it, once, in whatever state they are. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chatMessages, events, media, settings } from '../../../src/db/schema/index.ts'
import { createEarlierRepository } from '../../../src/modules/history/earlier-repository.ts'
import { eraseHistory, writeHistory } from '../../../src/modules/history/history-repository.ts'
import { insertChat, insertDevice, insertEvent, insertMessage, LINKED_AT } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

const MIGRATIONS = join(import.meta.dir, '../../../migrations')
const migration = (way: string) => readFileSync(join(MIGRATIONS, `0058_earlier_messages.${way}.sql`), 'utf8')

let module: ReturnType<typeof testModule>
let count = 0
beforeEach(() => {
  count = 0
  module = testModule()
  insertDevice(module.db)
  insertChat(module.db)
})
afterEach(() => module.db.destroy())

const run = (way: string) => {
  for (const sql of migration(way).split(/;\s*$/m)) if (sql.trim()) module.db.orm.run(sql)
}
async function takeAll(limit = 2): Promise<void> {
  const { takeSome } = createEarlierRepository(module.db)
  while (await takeSome(limit));
}
const rows = () => module.db.orm.select().from(chatMessages).all()
const row = (eventId: string) => rows().find(one => one.eventId === eventId)
const places = () =>
  module.db.orm
    .select()
    .from(settings)
    .all()
    .filter(({ name }) => name.startsWith('earlier'))

function told(message: string, change: Record<string, unknown> = {}): string {
  const eventId = `$e${++count}`
  const payload = {
    ...{ id: eventId, type: 'm.text', from: '@whatsapp_1:s', to: '@mg1:s', message, device_id: '237' },
    ...{
      media: null,
      event: 'message.received',
      kind: 'text',
      platform: 'wa',
      reply_to: null,
      relates_to: null,
    },
    timestamp: new Date(LINKED_AT + count * 1_000).toISOString(),
    location: null,
    ...change,
  }
  insertEvent(module.db, { eventId, payload: payload as never, receivedAt: LINKED_AT + count })
  return eventId
}

test('what is edited or deleted before it is taken in stays so', async () => {
  const hello = told('hello')
  const secret = told('secret')
  insertMessage(module.db, { id: 'msg_gone', eventId: '$gone', roomId: '!r:s', text: null })
  run('up')
  const said = { identityId: 'id_1', deviceRowId: 'dev_1', roomId: '!r:s', senderUserId: '@whatsapp_1:s' }
  const edit = told('* hello!', {
    kind: 'edit',
    event: 'message.edited',
    relates_to: hello,
    message: 'hello!',
  })
  await module.db.write(async tx => {
    const content = { event: 'message.edited', type: 'm.text', media: null, location: null } as const
    const by = { ...said, direction: 'in', kind: 'edit', replyTo: null, content } as const
    await writeHistory(
      tx,
      { ...by, eventId: edit, text: 'hello!', relatesTo: hello, sentAt: LINKED_AT + 9_000 },
      1,
    )
    await eraseHistory(tx, { ...said, eventId: secret }, 1)
  })
  await takeAll()
  expect(row(hello)).toMatchObject({ text: 'hello!', editedAt: LINKED_AT + 9_000 })
  expect([row(secret), row('$gone')]).toEqual([undefined, undefined])
})

test('what came in, was edited, deleted or reacted to is as it stands', async () => {
  const hello = told('hello')
  told('* hello!', { kind: 'edit', event: 'message.edited', relates_to: hello, message: 'hello!' })
  told('👍', { kind: 'reaction', event: 'message.reaction', relates_to: hello })
  told('👍', { kind: 'reaction', event: 'message.reaction', relates_to: hello, removed: true })
  const secret = told('secret')
  told('', { kind: 'redaction', event: 'message.deleted', relates_to: secret })
  const own = told('mine', { event: 'message.own' })
  const late = told('late', { kind: 'text' })
  run('up')
  const after = told('after the upgrade')
  await takeAll()
  expect(row(hello)).toMatchObject({ text: 'hello!', direction: 'in', senderUserId: '@whatsapp_1:s' })
  expect(row(hello)).toMatchObject({ sentAt: LINKED_AT + 1_000, storedAt: LINKED_AT + 1 })
  expect(rows().filter(one => one.kind === 'reaction' && one.deletedAt === null)).toEqual([])
  expect(row(secret)).toMatchObject({ text: '', content: null })
  expect(JSON.stringify(module.db.orm.select().from(events).all())).not.toContain('secret')
  expect(row(own)).toMatchObject({ text: 'mine', direction: 'out' })
  expect(row(late)).toBeDefined()
  expect(row(after)).toBeUndefined()
  expect(places()).toEqual([])
})

test('what was sent is, too, with its file; what has no event, and a caption’s own row, is not', async () => {
  const file = {
    identityId: 'id_1',
    fileName: 'sea.jpg',
    mimeType: 'image/jpeg',
    sizeBytes: 7,
    width: 2,
    height: 3,
  }
  const more = { durationMs: 0, blurHash: '', stored: true, createdAt: LINKED_AT, updatedAt: LINKED_AT }
  module.db.orm
    .insert(media)
    .values({ id: 'file_1', ...file, ...more })
    .run()
  const sent = { roomId: '!r:s', status: 'sent' } as const
  insertMessage(module.db, { ...sent, id: 'msg_1', eventId: '$1', text: 'hi' })
  insertMessage(module.db, { ...sent, id: 'msg_2', eventId: '$2', text: 'look', mediaId: 'file_1' })
  insertMessage(module.db, { ...sent, id: 'msg_3', eventId: '$3', text: 'look', captionOf: 'msg_2' })
  insertMessage(module.db, { id: 'msg_4', status: 'queued', text: 'waits' })
  run('up')
  await takeAll()
  expect(rows()).toMatchObject([
    { messageId: 'msg_1', eventId: '$1', direction: 'out', kind: 'text', text: 'hi', sentAt: LINKED_AT },
    { messageId: 'msg_2', kind: 'image', text: 'look', mediaId: 'file_1', content: { media: { width: 2 } } },
  ])
})

test('what the history has already stays as it is', async () => {
  const hello = told('hello')
  run('up')
  await takeAll()
  module.db.orm.update(chatMessages).set({ text: 'as edited since' }).run()
  run('up')
  await takeAll()
  expect(rows()).toMatchObject([{ eventId: hello, text: 'as edited since' }])
})

test('a new installation has nothing to take; the way down forgets what is left', async () => {
  run('up')
  expect(places()).toEqual([])
  told('hello')
  run('up')
  expect(places()).toMatchObject([{ name: 'earlier_events' }])
  run('down')
  expect(places()).toEqual([])
  expect(await createEarlierRepository(module.db).takeSome(10)).toBe(false)
})
