/** Edits of messages, votes in polls, and reading chats. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { chatMessages, chats, messages } from '../../../src/db/schema/index.ts'
import { SEND_REQUEST } from '../../support/messages.ts'
import { insertEvent, insertMessage, LINKED_AT } from '../../support/rows.ts'
import { waitFor } from '../../support/wait-for.ts'
import { actionsScene } from './scene.ts'

let scene: ReturnType<typeof actionsScene>
beforeEach(() => {
  scene = actionsScene()
})
afterEach(() => scene[Symbol.asyncDispose]())

const IDENTITY = 'id_1'
const on = (messageId: string) => ({ identityId: IDENTITY, messageId })
const SENT = { eventId: '$sent', roomId: '!r:s' }
const RECEIVED = {
  id: '$1',
  event: 'message.received',
  kind: 'text',
  message: 'hi',
  timestamp: new Date(LINKED_AT).toISOString(),
}
const OPTIONS = [
  { id: 'a', text: 'Monday', votes: 0 },
  { id: 'b', text: 'Tuesday', votes: 0 },
  { id: 'c', text: 'a', votes: 0 },
]
const POLL = { ...RECEIVED, kind: 'poll', poll: { question: 'When?', options: OPTIONS, max_selections: 2 } }
const READ = { identityId: IDENTITY, chatId: 'chat_1' }

async function send(change: object): Promise<string> {
  const [accepted] = await scene.messages.accept({ ...SEND_REQUEST, ...change })
  return accepted?.id ?? ''
}

function cameIn(eventId: string, sentAt: number, change: { direction?: 'out' } = {}): void {
  const place = { identityId: IDENTITY, roomId: '!r:s', deviceRowId: 'dev_1', senderUserId: '@whatsapp_1:s' }
  scene.db.orm
    .insert(chatMessages)
    .values({
      ...place,
      eventId,
      direction: 'in',
      kind: 'text',
      text: 'x',
      sentAt,
      storedAt: sentAt,
      ...change,
    })
    .run()
}

test('an edit names its message, with the new text as a whole', async () => {
  insertMessage(scene.db, SENT)
  scene.start()
  const { id } = await scene.actions.edit(on('msg_0'), 'better')
  await scene.idle()
  expect(scene.calls).toEqual([
    {
      call: 'm.room.message',
      room: '!r:s',
      txnId: id,
      content: {
        msgtype: 'm.text',
        body: '* better',
        'm.new_content': { msgtype: 'm.text', body: 'better' },
        'm.relates_to': { rel_type: 'm.replace', event_id: '$sent' },
      },
    },
  ])
  const textOf = () => scene.db.orm.select().from(messages).where(eq(messages.id, 'msg_0')).get()?.text
  expect(textOf()).toBe('hi')
  cameIn('$sent', 1)
  await scene.reports(`$${id}`, 'sent')
  expect(textOf()).toBe('better')
  const history = scene.db.orm.select().from(chatMessages).all()
  expect(history.map(({ kind, text, relatesTo, messageId }) => [kind, text, relatesTo, messageId])).toEqual([
    ['text', 'better', null, null],
    ['edit', '', '$sent', id],
  ])
})

test('a caption that went by itself is edited there', async () => {
  insertMessage(scene.db, { ...SENT, mediaId: 'file_1' })
  insertMessage(scene.db, { id: 'msg_0-caption', captionOf: 'msg_0', eventId: '$caption', roomId: '!r:s' })
  scene.start()
  await scene.actions.edit(on('msg_0'), 'better')
  await scene.idle()
  expect(scene.calls[0]?.content).toMatchObject({
    'm.new_content': { msgtype: 'm.text', body: 'better' },
    'm.relates_to': { event_id: '$caption' },
  })
})

/** The first Markdown is waited for, as its reader is loaded then. */
const called = () =>
  waitFor(async () => {
    await scene.idle()
    return scene.calls.length > 0
  })

test('an edit goes on mentioning those who still stand in it, and formats as the message did', async () => {
  const content = { format: 'markdown', mentions: ['12', '34'] } as const
  insertMessage(scene.db, { ...SENT, text: 'hi @12 @34', content: { ...content, mentions: ['12', '34'] } })
  scene.start()
  await scene.actions.edit(on('msg_0'), '*hi* @34')
  await called()
  const link = '<a href="https://matrix.to/#/@whatsapp_34:s">@34</a>'
  expect(scene.calls[0]?.content).toMatchObject({
    'm.new_content': {
      formatted_body: `<p><em>hi</em> ${link}</p>`,
      'm.mentions': { user_ids: ['@whatsapp_34:s'] },
    },
    // They were told then.
    'm.mentions': {},
  })
  scene.calls.splice(0)
  await scene.actions.edit(on('msg_0'), 'bye')
  await called()
  expect(scene.calls[0]?.content?.['m.new_content']).not.toHaveProperty(['m.mentions'])
})

test('a text that waits mentions nobody who stands in it no more', async () => {
  const id = await send({ text: 'hi @12 @34', content: { mentions: ['12', '34'] } })
  const contentOf = () => scene.db.orm.select().from(messages).where(eq(messages.id, id)).get()?.content
  await scene.actions.edit(on(id), 'hi @34')
  expect(contentOf()).toEqual({ mentions: ['34'] })
  await scene.actions.edit(on(id), 'hi')
  expect(contentOf()).toBeNull()
})

test('the caption of a file is edited whatever else was said of it; a contact card has none', async () => {
  const file = { mediaId: 'file_1', ...SENT }
  insertMessage(scene.db, { ...file, content: { as: 'file', format: 'markdown' } })
  insertMessage(scene.db, { id: 'msg_0-caption', captionOf: 'msg_0', eventId: '$caption', roomId: '!r:s' })
  insertMessage(scene.db, {
    ...file,
    id: 'msg_card',
    eventId: '$card',
    content: { contact_card: { name: 'A', phones: [] } },
  })
  scene.start()
  await scene.actions.edit(on('msg_0'), '*better*')
  await called()
  expect(scene.calls[0]?.content?.['m.new_content']).toMatchObject({
    formatted_body: '<p><em>better</em></p>',
  })
  await expect(scene.actions.edit(on('msg_card'), 'x')).rejects.toMatchObject({ code: 'unprocessable' })
})

test('a message that nobody has tried is changed in its place, a tried one by an edit behind it', async () => {
  const untried = await send({ text: 'first' })
  const tried = await send({ text: 'second' })
  scene.db.orm.update(messages).set({ attempts: 1 }).where(eq(messages.id, tried)).run()
  expect(await scene.actions.edit(on(untried), 'better')).toMatchObject({
    type: 'edit',
    message_id: untried,
    status: 'sent',
  })
  expect(await scene.actions.edit(on(tried), 'later')).toMatchObject({ status: 'queued' })
  scene.start()
  await scene.idle()
  expect(scene.calls.map(({ content }) => content?.body)).toEqual(['better', 'second', '* later'])
})

test('only own texts are edited, as long and as often as the network allows', async () => {
  insertMessage(scene.db, SENT)
  insertEvent(scene.db, { payload: RECEIVED as never })
  const poll = await send({ text: undefined, content: { poll: { question: 'q', options: ['a', 'b'] } } })
  await expect(scene.actions.edit(on('$1'), 'x')).rejects.toMatchObject({
    code: 'unprocessable',
    message: 'only your own messages can be edited',
  })
  await expect(scene.actions.edit(on(poll), 'x')).rejects.toMatchObject({ code: 'unprocessable' })
  await expect(scene.actions.edit(on('msg_0'), ' ')).rejects.toMatchObject({ code: 'bad_request' })
  scene.state.features = {
    ...scene.state.features,
    max_text_length: 3,
    edit_max_count: 1,
    edit_max_age: 86_400,
  }
  await expect(scene.actions.edit(on('msg_0'), 'too long')).rejects.toMatchObject({
    details: { feature: 'max_text_length', limit: 3 },
  })
  const { id } = await scene.actions.edit(on('msg_0'), 'ok')
  await expect(scene.actions.edit(on('msg_0'), 'no')).rejects.toMatchObject({
    message: 'WhatsApp allows one edit of a message',
    details: { feature: 'edit_max_count', limit: 1 },
  })
  await scene.clock.advance(LINKED_AT + 86_400_001 - scene.clock.now())
  await expect(scene.actions.edit(on('msg_0'), 'no')).rejects.toMatchObject({
    message: 'WhatsApp allows edits for 24 hours',
    details: { feature: 'edit_max_age', limit: 86_400 },
  })
  // It was accepted in time, and its turn comes too late.
  scene.start()
  await scene.idle()
  expect((await scene.actions.get(IDENTITY, id)).reason).toBe(
    'unsupported_by_chat: WhatsApp allows edits for 24 hours',
  )
})

test('the age of a message counts from its sending, whenever it was read', async () => {
  insertMessage(scene.db, { ...SENT, status: 'read', updatedAt: LINKED_AT + 60_000 })
  cameIn(SENT.eventId, LINKED_AT, { direction: 'out' })
  scene.state.features = { ...scene.state.features, edit_max_age: 3600, delete_max_age: 3600 }
  await scene.clock.advance(LINKED_AT + 3_600_000 - scene.clock.now())
  await scene.actions.edit(on('msg_0'), 'in time')
  await scene.clock.advance(1)
  const tooLate = (feature: string) => ({ code: 'unsupported_by_chat', details: { feature, limit: 3600 } })
  await expect(scene.actions.edit(on('msg_0'), 'late')).rejects.toMatchObject(tooLate('edit_max_age'))
  await expect(scene.actions.unsend(on('msg_0'))).rejects.toMatchObject(tooLate('delete_max_age'))
})

test('a vote names options by text or id, at most as many as the poll allows, and none takes it back', async () => {
  insertEvent(scene.db, { payload: POLL as never })
  scene.start()
  await scene.actions.vote(on('$1'), ['Monday', 'a', 'Tuesday'])
  const { id } = await scene.actions.vote(on('$1'), [])
  await scene.idle()
  const type = 'org.matrix.msc3381.poll.response'
  expect(scene.calls.map(({ content }) => content?.[type])).toEqual([
    { answers: ['a', 'b'] },
    { answers: [] },
  ])
  expect(scene.calls[1]).toMatchObject({
    call: type,
    txnId: id,
    content: { 'm.relates_to': { rel_type: 'm.reference', event_id: '$1' } },
  })
  for (const wrong of [['Sunday'], ['a', 'b', 'c']])
    await expect(scene.actions.vote(on('$1'), wrong)).rejects.toMatchObject({ code: 'bad_request' })
})

test('one votes in a poll of one’s own, but in nothing else, and where the network has polls', async () => {
  const poll = await send({ text: undefined, content: { poll: { question: 'q', options: ['x', 'y'] } } })
  insertMessage(scene.db, SENT)
  scene.state.features = { ...scene.state.features, poll: 2 }
  await scene.actions.vote(on(poll), ['y'])
  scene.start()
  await scene.idle()
  expect(scene.calls[1]?.content?.['org.matrix.msc3381.poll.response']).toEqual({ answers: ['2'] })
  await expect(scene.actions.vote(on('msg_0'), [])).rejects.toMatchObject({ code: 'unprocessable' })
  scene.state.features = { id: 'none', reaction: 2 }
  await expect(scene.actions.vote(on(poll), ['x'])).rejects.toMatchObject({
    message: 'WhatsApp takes no votes here',
  })
})

test('a chat is read up to its newest message, or to one of it, and a newer reading replaces one that waits', async () => {
  cameIn('$1', 1)
  cameIn('$2', 2)
  scene.db.orm.update(chats).set({ unreadCount: 2 }).run()
  const first = await scene.actions.read({ ...READ, upTo: '$1' })
  expect(first).toMatchObject({ type: 'read', message_id: '$1', chat_id: 'chat_1', status: 'queued' })
  const second = await scene.actions.read({ ...READ, chatId: '!r:s' })
  expect(second.message_id).toBe('$2')
  expect(scene.db.orm.select().from(chats).get()?.unreadCount).toBe(0)
  scene.start()
  await scene.idle()
  expect(scene.calls).toEqual([{ call: 'read', room: '!r:s', txnId: '', event: '$2' }])
  expect(await scene.actions.get(IDENTITY, first.id)).toMatchObject({ status: 'cancelled' })
  expect(await scene.actions.get(IDENTITY, second.id)).toMatchObject({ status: 'sent', reason: null })
})

test('a reading is of a chat of a linked device, and of its own messages', async () => {
  scene.db.orm
    .insert(chats)
    .values({ ...scene.chat, id: 'chat_2', roomId: '!o:s', channelId: '2' })
    .run()
  insertEvent(scene.db, { roomId: '!o:s', payload: RECEIVED as never })
  await expect(scene.actions.read({ ...READ, chatId: 'chat_9' })).rejects.toMatchObject({ code: 'not_found' })
  await expect(scene.actions.read({ ...READ, upTo: '$9' })).rejects.toMatchObject({ code: 'not_found' })
  await expect(scene.actions.read({ ...READ, upTo: '$1' })).rejects.toMatchObject({ code: 'unprocessable' })
  // Nothing was said there, so there is nothing to be told.
  expect((await scene.actions.read(READ)).status).toBe('sent')
  cameIn('$past', 1)
  expect((await scene.actions.read(READ)).message_id).toBe('$past')
})

test('reading takes no turn of the device’s pace, and every other action does', async () => {
  cameIn('$1', 1)
  scene.state.pace = { intervalMs: 60_000, jitter: 0, burst: 1 }
  await scene.actions.read(READ)
  await scene.actions.react(on('$1'), '👍')
  await scene.actions.react(on('$1'), '🔥')
  scene.start()
  await scene.idle()
  expect(scene.calls.map(({ call }) => call)).toEqual(['read', 'm.reaction'])
  await scene.clock.advance(60_000)
  await scene.idle()
  expect(scene.calls.map(({ call }) => call)).toEqual(['read', 'm.reaction', 'm.reaction'])
})

test('a message that is sent later can be changed and cancelled, but not reacted to', async () => {
  const sendAt = new Date(scene.clock.now() + 3_600_000).toISOString()
  const id = await send({ text: 'later', sendAt })
  await expect(scene.actions.react(on(id), '👍')).rejects.toMatchObject({ code: 'conflict' })
  expect((await scene.actions.edit(on(id), 'better')).status).toBe('sent')
  expect((await scene.actions.unsend(on(id))).status).toBe('sent')
  expect((await scene.messages.get(IDENTITY, id)).status).toBe('cancelled')
})
