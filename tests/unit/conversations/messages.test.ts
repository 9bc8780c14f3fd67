/** A chat's messages, with whatever was made of them since. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { ChatMessage } from '../../../src/db/schema/index.ts'
import { chatMessages } from '../../../src/db/schema/index.ts'
import { type Conversations, createConversations } from '../../../src/modules/conversations/conversations.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { insertChat, insertDevice, insertIdentity, insertMessage } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

let module: ReturnType<typeof testModule>
let conversations: Conversations
let count = 0
beforeEach(() => {
  module = testModule()
  const repository = createDeviceRepository(module.db)
  const linked = (identityId: string) => repository.listAll(identityId)
  const devices = { linked, linkedFirst: linked, find: async () => null, get: repository.get }
  const media = { signedPath: (id: string) => `/media/${id}` }
  conversations = createConversations({ ...module, devices, media, publicUrl: () => 'http://gateway' })
  insertDevice(module.db)
  insertChat(module.db)
})
afterEach(() => module.db.destroy())

const CONTENT = { event: 'message.received', type: 'm.text', media: null, location: null } as const
function say(text: string, change: Partial<ChatMessage> = {}): string {
  const eventId = `$${++count}`
  const by = { identityId: 'id_1', deviceRowId: 'dev_1', senderUserId: '@whatsapp_4915112345678:s' }
  const place = { eventId, roomId: '!r:s', sentAt: count, storedAt: count, direction: 'in' } as const
  const row = { ...by, ...place, kind: 'text', text, content: CONTENT, ...change } as const
  module.db.orm.insert(chatMessages).values(row).run()
  return row.eventId
}
const list = (limit = 100) => conversations.messages('id_1', '!r:s', { limit })
const first = async () => (await list()).data.at(-1)

test('are listed newest first, a page at a time, of all rooms of the chat and no others', async () => {
  insertIdentity(module.db, 'id_2', '@mg2:s')
  insertChat(module.db, { roomId: '!old:s', movedTo: '!r:s' })
  insertChat(module.db, { roomId: '!older:s', movedTo: '!old:s' })
  insertChat(module.db, { roomId: '!other:s' })
  say('not here', { roomId: '!other:s' })
  say('not ours', { identityId: 'id_2' })
  say('one', { roomId: '!older:s', sentAt: 1 })
  say('two', { roomId: '!old:s', sentAt: 2 })
  // Networks count in seconds.
  for (const text of ['three', 'four', 'five']) say(text, { sentAt: 3 })
  const texts: string[] = []
  for (let after: readonly [number, string] | undefined; ; ) {
    const page = await conversations.messages('id_1', '!r:s', { limit: 2, after })
    texts.push(...page.data.map(({ text }) => text))
    if (!page.next) break
    after = page.next
  }
  expect(texts).toEqual(['five', 'four', 'three', 'two', 'one'])
  expect((await conversations.get('id_1', '!r:s')).last_message?.text).toBe('five')
  expect(conversations.messages('id_1', '!x:s', { limit: 1 })).rejects.toThrow('there is no chat !x:s')
})

test('say who wrote them, to whom they answer, and where their file is', async () => {
  const question = say('Where?')
  say('Here', { direction: 'out', senderUserId: '@mg1:s', replyTo: question })
  const info = {
    size: 1,
    mime_type: 'image/png',
    width: 2,
    height: 3,
    blur_hash: '',
    file_name: 'a.png',
    duration: 0,
  }
  say('look', {
    kind: 'image',
    mediaId: 'file_1',
    content: { ...CONTENT, media: { mxcUri: 'mxc://s/a', ...info } },
  })
  const ann = { id: '4915112345678', phone: '4915112345678', matrix_id: '@whatsapp_4915112345678:s' }
  expect((await list()).data).toMatchObject([
    { kind: 'image', text: 'look', media: { ...info, url: 'http://gateway/media/file_1' } },
    {
      direction: 'out',
      sender: { id: '237', name: 'Amina' },
      reply_to: question,
      quoted: { text: 'Where?', sender: ann },
    },
    { id: question, event_id: question, direction: 'in', sender: ann, quoted: null, status: null },
  ])
  expect(JSON.stringify(await list())).not.toContain('mxc://')
})

test('what was sent from here has its id, status and notes', async () => {
  insertMessage(module.db, { id: 'msg_1', status: 'submitted', metadata: { order: '7' } })
  const eventId = say('hi', { direction: 'out', senderUserId: '', messageId: 'msg_1' })
  expect(await first()).toMatchObject({
    id: 'msg_1',
    event_id: eventId,
    status: 'sending',
    metadata: { order: '7' },
  })
})

test('show the picture of whoever wrote them, as the direct chat with them has it', async () => {
  const peer = '@whatsapp_4915112345678:s'
  insertChat(module.db, { roomId: '!dm:s', kind: 'dm', peer, avatar: 'mxc://s/ann' })
  say('hi')
  expect((await first())?.sender.avatar_url).toBe('http://x/mxc://s/ann')
  say('hi', { senderUserId: '@whatsapp_2:s', sentAt: 0 })
  expect((await first())?.sender.avatar_url).toBeNull()
})

test('say whom they mention, the account by whichever of its users, and how they were written', async () => {
  say('@Ann and @me', { content: { ...CONTENT, mentions: ['@whatsapp_4915112345678:s', '@mg1:s'] } })
  expect(await first()).toMatchObject({
    format: 'plain',
    mentions: [{ id: '4915112345678' }, { id: '237' }],
  })
  say('*bold*', { content: { ...CONTENT, format: 'markdown' }, sentAt: 0 })
  expect(await first()).toMatchObject({ format: 'markdown', mentions: [] })
})

describe('what was made of them', () => {
  test('reactions that stand', async () => {
    const relatesTo = say('hi')
    say('👍', { kind: 'reaction', relatesTo })
    say('', { kind: 'reaction', relatesTo, deletedAt: 1, content: null })
    say('🎉', { kind: 'reaction', relatesTo, direction: 'out' })
    expect(await first()).toMatchObject({
      reactions: [
        { emoji: '👍', sender: { id: '4915112345678' } },
        { emoji: '🎉', sender: { id: '237' } },
      ],
    })
    expect((await list()).data).toHaveLength(1)
  })

  test('one of somebody is one, though it came in two spellings', async () => {
    const relatesTo = say('hi')
    say('👍️', { kind: 'reaction', relatesTo })
    say('👍', { kind: 'reaction', relatesTo })
    expect((await first())?.reactions).toMatchObject([{ emoji: '👍' }])
  })

  test('votes: the last of each', async () => {
    const options = ['a', 'b'].map(id => ({ id, text: id.toUpperCase(), votes: 0 }))
    const poll = { question: 'Which?', options, max_selections: 1 }
    const relatesTo = say('Which?', { kind: 'poll', content: { ...CONTENT, poll } })
    const vote = (id: string, senderUserId: string) =>
      say('', {
        kind: 'vote',
        relatesTo,
        senderUserId,
        content: { ...CONTENT, vote: { options: [{ id, text: id }] } },
      })
    vote('a', '@whatsapp_1:s')
    vote('a', '@whatsapp_2:s')
    vote('b', '@whatsapp_1:s')
    expect((await first())?.poll?.options.map(({ votes }) => votes)).toEqual([1, 1])
  })

  test('edits and deletions', async () => {
    say('', { kind: 'edit', relatesTo: say('now', { editedAt: 0 }), content: null })
    say('', { deletedAt: 1_000, content: null })
    expect((await list()).data).toMatchObject([
      { text: '', media: null, deleted_at: '1970-01-01T00:00:01Z' },
      { text: 'now', edited_at: '1970-01-01T00:00:00Z', deleted_at: null },
    ])
  })
})
