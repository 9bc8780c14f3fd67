/** One history has what comes in, is written at the phone or is sent from here, with its chat. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chatMessages, chats, events, media, messages } from '../../../src/db/schema/index.ts'
import type { RoomEvent } from '../../../src/domain/ports.ts'
import type { ReadReceipt, RoomEventSink } from '../../../src/matrix/room-event.ts'
import { translated } from '../../../src/matrix/translate/facts.ts'
import { createReceiving } from '../../../src/modules/receiving/receiving.ts'
import { createReceivingRepository } from '../../../src/modules/receiving/receiving-repository.ts'
import { createStatusWriter } from '../../../src/modules/sending/statuses/status-repository.ts'
import { insertChat, insertDevice, insertMessage, LINKED_AT } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'

let module: ReturnType<typeof testModule>
let source: RoomEventSink
let count = 0
beforeEach(() => {
  module = testModule()
  const { db, logger } = module
  const repository = createReceivingRepository(db)
  const receiving = createReceiving({ ...module, repository, learnDevices: async () => undefined })
  source = translated(receiving, logger)
  insertDevice(db)
  insertChat(db)
})
afterEach(() => module.db.destroy())

const OWN = '@whatsapp_237:s'
const NEW = LINKED_AT + 60_000
function said(text: string, change: Partial<RoomEvent> = {}): RoomEvent {
  return {
    event_id: `$${++count}`,
    room_id: '!r:s',
    sender: '@whatsapp_1:s',
    type: 'm.room.message',
    origin_server_ts: NEW,
    content: { msgtype: 'm.text', body: text },
    ...change,
  }
}
const accept = (told: RoomEvent[], receipts: ReadReceipt[] = []) =>
  source.accept({ position: { kind: 'transaction', txnId: `t${++count}` }, events: told, receipts })
const rows = () => module.db.orm.select().from(chatMessages).all()
const chat = () => module.db.orm.select().from(chats).get()
const told = () => module.db.orm.select().from(events).all()
const picture = (body: string) => ({
  msgtype: 'm.image',
  body,
  filename: 'sea.jpg',
  url: 'mxc://s/sea',
  info: { mimetype: 'image/jpeg', size: 7 },
})

/** The homeserver has taken a message. */
async function submit(change: Partial<Parameters<typeof insertMessage>[1]>, eventId: string): Promise<void> {
  insertMessage(module.db, { ...change, status: 'sending' })
  const [message] = module.db.orm.select().from(messages).all()
  if (!message) throw new Error('no message')
  const at = { eventId, roomId: '!r:s', bridgeBot: '@whatsappbot:s' }
  await module.db.write(tx => createStatusWriter().submitted(tx, message, at, NEW + 1_000))
}

test('what comes in is a row, with the file that its event has', async () => {
  const message = said('', { content: picture('look') })
  await accept([message])
  const [row] = rows()
  expect(row).toMatchObject({ eventId: message.event_id, direction: 'in', kind: 'image', text: 'look' })
  expect(told().map(({ mediaId }) => mediaId)).toEqual([row?.mediaId ?? ''])
  expect(module.db.orm.select().from(media).all()).toMatchObject([
    { id: row?.mediaId, mxcUri: 'mxc://s/sea' },
  ])
})

test('a file of history has a row, too, so that it can be fetched', async () => {
  await accept([said('', { content: picture('look'), origin_server_ts: LINKED_AT - 60_000 })])
  expect(told()).toEqual([])
  expect(module.db.orm.select().from(media).all()).toMatchObject([{ id: rows()[0]?.mediaId, stored: false }])
})

test('an edit changes the text, the newest in whatever order they come, and a repeat nothing', async () => {
  const message = said('first')
  const edit = (text: string, at: number) =>
    said('', {
      origin_server_ts: at,
      content: {
        msgtype: 'm.text',
        body: `* ${text}`,
        'm.new_content': { msgtype: 'm.text', body: text },
        'm.relates_to': { rel_type: 'm.replace', event_id: message.event_id },
      },
    })
  await accept([message, edit('third', NEW + 2), edit('second', NEW + 1)])
  expect(rows()[0]).toMatchObject({ text: 'third', editedAt: NEW + 2 })
})

test('whom it mentions is kept and told, as the last edit has it', async () => {
  const mentioning = (body: string, id: string) => ({
    msgtype: 'm.text',
    body,
    'm.mentions': { user_ids: [id] },
  })
  const message = said('', { content: mentioning('@Ann', '@whatsapp_2:s') })
  await accept([message])
  expect(rows()).toMatchObject([{ content: { type: 'm.text', mentions: ['@whatsapp_2:s'] } }])
  expect(told()).toMatchObject([{ payload: { mentions: ['@whatsapp_2:s'] } }])
  const edit = {
    ...mentioning('* @Ben', '@whatsapp_3:s'),
    'm.new_content': mentioning('@Ben', '@whatsapp_3:s'),
    'm.relates_to': { rel_type: 'm.replace', event_id: message.event_id },
  }
  await accept([said('', { content: edit })])
  expect(rows()[0]).toMatchObject({ text: '@Ben', content: { type: 'm.text', mentions: ['@whatsapp_3:s'] } })
  await accept([said('', { type: 'm.room.redaction', content: { redacts: message.event_id } })])
  expect(JSON.stringify([told(), rows()])).not.toContain('mentions')
})

describe('what was sent from here', () => {
  test('in Markdown says so', async () => {
    await submit({ text: '*hi*', content: { format: 'markdown' } }, '$sent')
    expect(rows()).toMatchObject([{ text: '*hi*', content: { format: 'markdown' } }])
  })

  test('is written once the homeserver has it, and not once more when it comes back', async () => {
    await submit({ text: 'hello', replyTo: '$q' }, '$sent')
    const double = { 'fi.mau.double_puppet_source': 'x', msgtype: 'm.text', body: 'hello' }
    await accept([said('', { event_id: '$sent', sender: '@mg1:s', content: double })])
    expect(rows()).toMatchObject([
      { messageId: 'msg_0', eventId: '$sent', direction: 'out', kind: 'text', text: 'hello', replyTo: '$q' },
    ])
    expect(told()).toEqual([])
  })

  test('and is sent again as another event, is that event alone', async () => {
    await submit({ text: 'hello' }, '$one')
    module.db.orm.delete(messages).run()
    await submit({ text: 'hello', resends: 1 }, '$two')
    expect(rows()).toMatchObject([{ messageId: 'msg_0', eventId: '$two' }])
  })

  test('and is deleted, says nothing any more', async () => {
    await submit({ text: 'secret' }, '$sent')
    module.db.orm.update(messages).set({ status: 'sent' }).run()
    await accept([said('', { type: 'm.room.redaction', sender: OWN, content: { redacts: '$sent' } })])
    expect(rows()).toMatchObject([{ text: '', content: null }])
    expect(module.db.orm.select().from(messages).all()).toMatchObject([{ text: null, content: null }])
    expect(told().map(({ payload }) => payload)).toMatchObject([{ event: 'message.own', kind: 'redaction' }])
  })
})

test('a message that is deleted says nothing any more in the events that told of it and of its edits', async () => {
  const message = said('secret')
  const change = {
    msgtype: 'm.text',
    body: '* secret too',
    'm.new_content': { msgtype: 'm.text', body: 'secret too' },
    'm.relates_to': { rel_type: 'm.replace', event_id: message.event_id },
  }
  await accept([message, said('', { content: change }), said('', { content: picture('kept') })])
  await accept([said('', { type: 'm.room.redaction', content: { redacts: message.event_id } })])
  expect(JSON.stringify([told(), rows()])).not.toContain('secret')
  expect(JSON.stringify(told())).toContain('kept')
})

describe('the chat', () => {
  test('counts what came in, and none once its owner has written', async () => {
    const like = { 'm.relates_to': { rel_type: 'm.annotation', event_id: '$x', key: '🎉' } }
    await accept([
      said('a'),
      said('b', { origin_server_ts: NEW + 5 }),
      said('', { type: 'm.reaction', content: like }),
    ])
    expect(chat()).toMatchObject({ unreadCount: 2, activityAt: NEW + 5 })
    await accept([said('c'), said('mine', { sender: OWN }), said('d')])
    expect(chat()).toMatchObject({ unreadCount: 1, activityAt: NEW + 5 })
    await submit({ text: 'hello' }, '$sent')
    expect(chat()).toMatchObject({ unreadCount: 0, activityAt: NEW + 1_000 })
  })

  test('is as old as its history, if it has nothing else', async () => {
    await accept([said('old', { origin_server_ts: 5 }), said('older', { origin_server_ts: 3 })])
    await accept([said('older still', { origin_server_ts: 1 })])
    expect(chat()).toMatchObject({ unreadCount: 0, activityAt: 5 })
  })

  test.each([
    ['the identity', '@mg1:s'],
    ['the account’s own ghost', OWN],
  ])('is read up to where %s has, and that is told once', async (_, userId) => {
    const [a, b, c] = [
      said('a'),
      said('b', { origin_server_ts: NEW + 1 }),
      said('c', { origin_server_ts: NEW + 2 }),
    ]
    await accept([a, b, c])
    const upTo = (eventId: string) => [{ roomId: '!r:s', eventId, userId }]
    await accept([], upTo(b.event_id))
    expect(chat()?.unreadCount).toBe(1)
    await accept([], upTo(b.event_id))
    await accept([], upTo(a.event_id))
    await accept([], upTo('$unknown'))
    expect(chat()?.unreadCount).toBe(1)
    await accept([], upTo(c.event_id))
    const read = {
      event: 'chat.read',
      device_id: '237',
      chat_id: chat()?.id,
      chat: { id: '!r:s', name: 'Jonas' },
    }
    expect(
      told()
        .filter(({ name }) => name === 'chat.read')
        .map(({ payload }) => payload),
    ).toMatchObject([
      { ...read, up_to: b.event_id, unread_count: 1 },
      { ...read, up_to: c.event_id, unread_count: 0 },
    ])
  })

  test('is not read by others', async () => {
    const message = said('a')
    await accept([message])
    await accept([], [{ roomId: '!r:s', eventId: message.event_id, userId: '@whatsapp_1:s' }])
    expect(chat()?.unreadCount).toBe(1)
  })
})
