/** Actions on messages: what is accepted, in which order it is done, and what becomes of it. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { chatMessages, chats, devices, media, messages } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import { SEND_REQUEST } from '../../support/messages.ts'
import { insertEvent, insertMessage, insertWebhook, LINKED_AT } from '../../support/rows.ts'
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
const statusOf = async (id: string) => (await scene.actions.get(IDENTITY, id)).status
const done = () => scene.calls.map(({ call, txnId }) => [call, txnId])

async function send(text: string): Promise<string> {
  const [accepted] = await scene.messages.accept({ ...SEND_REQUEST, text })
  return accepted?.id ?? ''
}

test('a reaction goes to the event of a message that was sent, and has a status of its own', async () => {
  insertMessage(scene.db, SENT)
  scene.start()
  const { id, ...shown } = await scene.actions.react(on('msg_0'), '👍')
  expect(shown).toMatchObject({ type: 'react', message_id: 'msg_0', chat_id: 'chat_1', status: 'queued' })
  await scene.idle()
  const relation = { rel_type: 'm.annotation', event_id: '$sent', key: '👍' }
  expect(scene.calls).toEqual([
    { call: 'm.reaction', room: '!r:s', txnId: id, content: { 'm.relates_to': relation } },
  ])
  expect(await statusOf(id)).toBe('sending')
  await scene.reports(`$${id}`, 'sent')
  expect(await statusOf(id)).toBe('sent')
})

test('a message is named by its event as well, and one that was received by its own', async () => {
  insertMessage(scene.db, SENT)
  insertEvent(scene.db, { payload: RECEIVED as never })
  scene.start()
  expect((await scene.actions.react(on('$sent'), '👍')).message_id).toBe('msg_0')
  expect(await scene.actions.react(on('$1'), '👎')).toMatchObject({ message_id: '$1', chat_id: 'chat_1' })
  await scene.idle()
  expect(scene.calls.map(({ content }) => content?.['m.relates_to'])).toEqual([
    { rel_type: 'm.annotation', event_id: '$sent', key: '👍' },
    { rel_type: 'm.annotation', event_id: '$1', key: '👎' },
  ])
  // It waits where a send to that chat does.
  await scene.messages.accept({ ...SEND_REQUEST, contact: '!r:s' })
  const lanes = scene.rows().map(({ lane }) => lane)
  expect(lanes[3]).toBe(lanes[2] ?? '')
  expect(lanes[1]).toBe(lanes[0] ?? '')
})

test('an action goes behind the message that it is for, which is still queued, and before later ones', async () => {
  const first = await send('first')
  const action = await scene.actions.react(on(first), '👍')
  const second = await send('second')
  scene.start()
  await scene.idle()
  expect(done()).toEqual([
    ['m.room.message', first],
    ['m.reaction', action.id],
    ['m.room.message', second],
  ])
  expect(scene.lanes()).toEqual([])
})

test('what nobody can act on is refused: unknown messages, actions, and what was never sent', async () => {
  insertMessage(scene.db, SENT)
  insertMessage(scene.db, { id: 'msg_failed', status: 'failed', eventId: '$failed', roomId: '!r:s' })
  insertMessage(scene.db, { id: 'msg_cancelled', status: 'cancelled' })
  insertEvent(scene.db, { eventId: '$vote', payload: { ...RECEIVED, kind: 'vote' } as never })
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  for (const unknown of ['msg_9', '$nothing', '$vote', id, 'caption'])
    await expect(scene.actions.react(on(unknown), '👍')).rejects.toMatchObject({ code: 'not_found' })
  const another = { identityId: 'id_2', messageId: 'msg_0' }
  await expect(scene.actions.react(another, '👍')).rejects.toMatchObject({ code: 'not_found' })
  await expect(scene.actions.get('id_2', id)).rejects.toMatchObject({ code: 'not_found' })
  for (const [never, how] of [
    ['msg_failed', 'failed'],
    ['msg_cancelled', 'was cancelled'],
  ] as const)
    await expect(scene.actions.react(on(never), '👍')).rejects.toMatchObject({
      code: 'conflict',
      message: `the message ${never} was never sent: it ${how}`,
    })
})

test('an action fails when the message before it does, and says so', async () => {
  const message = await send('first')
  const { id } = await scene.actions.react(on(message), '👍')
  scene.state.failWith = ({ call }) =>
    call === 'm.room.message' ? new GatewayError('forbidden', 'not here') : undefined
  scene.start()
  await scene.idle()
  await scene.clock.advance(60_000)
  await scene.idle()
  expect(await scene.actions.get(IDENTITY, id)).toMatchObject({
    status: 'failed',
    reason: `the message ${message} was never sent: it failed`,
  })
})

test('of a device that can send no more nothing is accepted', async () => {
  insertMessage(scene.db, SENT)
  scene.db.orm.update(devices).set({ state: 'logged_out' }).run()
  await expect(scene.actions.react(on('msg_0'), '👍')).rejects.toMatchObject({ code: 'conflict' })
  scene.db.orm.update(devices).set({ removedAt: 1 }).run()
  await expect(scene.actions.react(on('msg_0'), '👍')).rejects.toMatchObject({ code: 'conflict' })
})

test('a message of a room that its bridge has closed can’t be acted on', async () => {
  insertMessage(scene.db, SENT)
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  scene.db.orm
    .insert(chats)
    .values({ ...scene.chat, id: 'chat_2', roomId: '!new:s', channelId: '2' })
    .run()
  scene.db.orm.update(chats).set({ movedTo: '!new:s' }).where(eq(chats.roomId, '!r:s')).run()
  await expect(scene.actions.react(on('msg_0'), '👍')).rejects.toMatchObject({ code: 'unprocessable' })
  scene.start()
  await scene.idle()
  expect(await scene.actions.get(IDENTITY, id)).toMatchObject({
    status: 'failed',
    reason: expect.stringContaining('a room that its bridge has closed since'),
  })
})

test('a reaction is one emoji, which the network allows', async () => {
  insertMessage(scene.db, SENT)
  for (const emoji of ['', 'a', '1', '👍👍', ' 👍', 'ok'])
    await expect(scene.actions.react(on('msg_0'), emoji)).rejects.toMatchObject({ code: 'bad_request' })
  scene.state.features = { ...scene.state.features, allowed_reactions: ['❤️', '🔥'] }
  for (const emoji of ['❤', '❤️', '🔥']) await scene.actions.react(on('msg_0'), emoji)
  await expect(scene.actions.react(on('msg_0'), '👍')).rejects.toMatchObject({
    code: 'unsupported_by_chat',
    message: 'WhatsApp takes only these reactions here: ❤️ 🔥',
    details: { feature: 'allowed_reactions', limit: null },
  })
  scene.state.features = { id: 'none' }
  await expect(scene.actions.react(on('msg_0'), '🔥')).rejects.toMatchObject({
    message: 'WhatsApp takes no reactions here',
  })
  scene.state.features = {}
  expect((await scene.actions.react(on('msg_0'), '👍')).status).toBe('queued')
})

test('features may change until its turn: then it fails with the limit', async () => {
  insertMessage(scene.db, SENT)
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  scene.state.features = { id: 'none' }
  scene.start()
  await scene.idle()
  expect((await scene.actions.get(IDENTITY, id)).reason).toBe(
    'unsupported_by_chat: WhatsApp takes no reactions here',
  )
})

test('a new reaction takes the place of the one before, and the same one is sent once', async () => {
  insertMessage(scene.db, SENT)
  scene.start()
  const first = await scene.actions.react(on('msg_0'), '❤️')
  await scene.idle()
  const same = await scene.actions.react(on('msg_0'), '❤')
  const second = await scene.actions.react(on('msg_0'), '🔥')
  await scene.idle()
  expect(done()).toEqual([
    ['m.reaction', first.id],
    ['m.reaction', second.id],
  ])
  expect(await statusOf(same.id)).toBe('sent')
  // Where a person may have several, the earlier one has to be taken away.
  scene.state.features = { ...scene.state.features, reaction_count: undefined }
  await scene.reports(`$${second.id}`, 'sent')
  const third = await scene.actions.react(on('msg_0'), '👍')
  await scene.idle()
  expect(scene.calls.slice(2)).toMatchObject([
    { call: 'redact', event: `$${second.id}`, txnId: `${third.id}.before` },
    { call: 'm.reaction', txnId: third.id },
  ])
})

test('a reaction is taken back by its event; without one there is nothing to take back', async () => {
  insertMessage(scene.db, SENT)
  await expect(scene.actions.unreact(on('msg_0'))).rejects.toMatchObject({ code: 'conflict' })
  const reaction = await scene.actions.react(on('msg_0'), '❤️')
  const removal = await scene.actions.unreact(on('msg_0'))
  await expect(scene.actions.unreact(on('msg_0'))).rejects.toMatchObject({ code: 'conflict' })
  scene.start()
  await scene.idle()
  await scene.reports(`$${reaction.id}`, 'sent')
  await scene.clock.advance(500)
  await scene.idle()
  expect(scene.calls[1]).toEqual({
    call: 'redact',
    room: '!r:s',
    txnId: removal.id,
    event: `$${reaction.id}`,
  })
})

test('a reaction that was made at the phone is taken back by its event, and is the one that stands', async () => {
  insertMessage(scene.db, SENT)
  const reacted = {
    identityId: IDENTITY,
    roomId: '!r:s',
    deviceRowId: 'dev_1',
    senderUserId: '@whatsapp_237:s',
  }
  const place = { ...reacted, relatesTo: '$sent', kind: 'reaction', storedAt: 1 } as const
  const rows = [
    { ...place, eventId: '$theirs', direction: 'in', text: '👎', sentAt: 3 },
    { ...place, eventId: '$gone', direction: 'out', text: '😮', sentAt: 2, deletedAt: 2 },
  ] as const
  scene.db.orm
    .insert(chatMessages)
    .values([...rows])
    .run()
  await expect(scene.actions.unreact(on('msg_0'))).rejects.toMatchObject({ code: 'conflict' })
  const own = { ...place, eventId: '$phone', direction: 'out', text: '🎉', sentAt: 1 } as const
  scene.db.orm.insert(chatMessages).values(own).run()
  scene.start()
  await scene.actions.react(on('msg_0'), '🎉')
  await scene.idle()
  expect(scene.calls).toEqual([])
  const { id } = await scene.actions.unreact(on('msg_0'))
  await scene.idle()
  expect(scene.calls).toEqual([{ call: 'redact', room: '!r:s', txnId: id, event: '$phone' }])
})

test('what its bridge hasn’t reported yet isn’t taken away under its hands', async () => {
  scene.state.features = { ...scene.state.features, reaction_count: undefined }
  insertMessage(scene.db, SENT)
  scene.start()
  const { id: reaction } = await scene.actions.react(on('msg_0'), '👍')
  const { id: removal } = await scene.actions.unreact(on('msg_0'))
  const id = await send('hasty')
  await scene.idle()
  // The message behind them waits as well.
  expect(done()).toEqual([['m.reaction', reaction]])
  expect(await scene.actions.get(IDENTITY, removal)).toMatchObject({
    status: 'queued',
    reason: expect.stringContaining('hasn’t said yet'),
  })
  const goOn = async (eventId: string) => {
    await scene.reports(`$${eventId}`, 'sent')
    await scene.clock.advance(500)
    await scene.idle()
  }
  await goOn(reaction)
  const { id: unsending } = await scene.actions.unsend(on(id))
  await scene.idle()
  expect(scene.calls.map(({ txnId }) => txnId)).toEqual([reaction, removal, id])
  await goOn(id)
  expect(scene.calls.at(-1)).toMatchObject({ call: 'redact', event: `$${id}`, txnId: unsending })
})

test('a reaction that the network refused for now is sent again in the place of the first event', async () => {
  insertMessage(scene.db, SENT)
  scene.start()
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  await scene.idle()
  await scene.reports(`$${id}`, 'queued', 'try later')
  await scene.clock.advance(10_000)
  await scene.idle()
  expect(scene.calls.slice(1)).toMatchObject([
    { call: 'm.reaction', txnId: id },
    { call: 'redact', event: `$${id}`, txnId: `${id}.refused` },
    { call: 'm.reaction', txnId: `${id}.1` },
  ])
})

test('an act goes again with its message, which the network refused for now', async () => {
  scene.start()
  const message = await send('too early')
  const { id } = await scene.actions.edit(on(message), 'better')
  await scene.idle()
  await scene.reports(`$${message}`, 'queued', 'try later')
  await scene.reports(`$${id}`, 'failed', 'not known')
  expect(await statusOf(id)).toBe('queued')
  await scene.clock.advance(10_000)
  await scene.idle()
  const again = { call: 'm.room.message', txnId: `${message}.1` }
  expect(scene.calls.slice(2)).toMatchObject([again, { txnId: `${id}.1` }])
  expect(scene.calls[3]?.content?.['m.relates_to']).toMatchObject({ event_id: `$${message}.1` })
  // The message has arrived: now the same words end the act.
  await scene.reports(`$${message}.1`, 'sent')
  await scene.reports(`$${id}.1`, 'failed', 'no edits')
  expect(await scene.actions.get(IDENTITY, id)).toMatchObject({ status: 'failed', reason: 'no edits' })
})

test('an act whose failure is told before our own commit goes again, too', async () => {
  insertMessage(scene.db, { ...SENT, resends: 1 })
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  await scene.reports(`$${id}`, 'failed', 'not known')
  scene.start()
  await scene.idle()
  expect(await statusOf(id)).toBe('queued')
  await scene.clock.advance(10_000)
  await scene.idle()
  expect(scene.calls.at(-1)).toMatchObject({ call: 'm.reaction', txnId: `${id}.1` })
  expect(await statusOf(id)).toBe('sending')
})

test('a file that is still to be fetched is forwarded by its URL', async () => {
  const fileUrl = 'https://files.example/a.png'
  const [sent] = await scene.messages.accept({ ...SEND_REQUEST, text: 'look', fileUrl })
  const { id } = await scene.forwarding.forward(on(sent?.id ?? ''), { contact: '55' })
  expect(scene.rows().find(row => row.id === id)).toMatchObject({ text: 'look', recipient: '55' })
  const files = scene.db.orm.select().from(media).all()
  expect(files.map(({ sourceUrl }) => sourceUrl)).toEqual([fileUrl, fileUrl])
})

test('a message is unsent with its caption, and has lost its text then', async () => {
  insertMessage(scene.db, { ...SENT, mediaId: 'file_1' })
  insertMessage(scene.db, { id: 'msg_0-caption', captionOf: 'msg_0', eventId: '$caption', roomId: '!r:s' })
  scene.start()
  const { id } = await scene.actions.unsend(on('$caption'))
  await scene.idle()
  expect(scene.calls).toMatchObject([
    { call: 'redact', event: '$caption', txnId: `${id}.caption` },
    { call: 'redact', event: '$sent', txnId: id },
  ])
  expect((await scene.messages.get(IDENTITY, 'msg_0')).deleted_at).toBeNull()
  await scene.reports(`$${id}`, 'sent')
  const shown = await scene.messages.get(IDENTITY, 'msg_0')
  expect(shown.deleted_at).not.toBeNull()
  expect(shown.actions).toEqual([expect.objectContaining({ id, type: 'unsend', status: 'sent' })])
  expect(scene.rows().map(({ text }) => text)).toEqual([null, null, null])
  await expect(scene.actions.react(on('msg_0'), '👍')).rejects.toMatchObject({
    code: 'conflict',
    message: 'the message msg_0 was deleted',
  })
})

test('a message that is still queued is cancelled instead', async () => {
  const id = await send('never')
  const action = await scene.actions.unsend(on(id))
  expect(action.status).toBe('sent')
  expect(await scene.messages.get(IDENTITY, id)).toMatchObject({
    status: 'cancelled',
    deleted_at: null,
    actions: [{ id: action.id, type: 'unsend' }],
  })
  scene.start()
  await scene.idle()
  expect(scene.calls).toEqual([])
})

test('only one’s own messages are unsent, while the network allows it', async () => {
  insertMessage(scene.db, SENT)
  insertEvent(scene.db, { payload: RECEIVED as never })
  await expect(scene.actions.unsend(on('$1'))).rejects.toMatchObject({
    code: 'unprocessable',
    message: 'only your own messages can be unsent',
  })
  scene.state.features = { ...scene.state.features, delete_max_age: 172_800 }
  await scene.clock.advance(LINKED_AT + 172_800_000 - scene.clock.now())
  await scene.actions.unsend(on('msg_0'))
  await scene.clock.advance(1)
  await expect(scene.actions.unsend(on('msg_0'))).rejects.toMatchObject({
    code: 'unsupported_by_chat',
    message: 'WhatsApp allows unsending for 2 days',
    details: { feature: 'delete_max_age', limit: 172_800 },
  })
})

test('an action is no message: it is in no list, can’t be cancelled or quoted, and nobody reads it', async () => {
  insertMessage(scene.db, SENT)
  scene.start()
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  await scene.idle()
  await scene.reports(`$${id}`, 'sent')
  expect((await scene.messages.list(IDENTITY, 10)).map(message => message.id)).toEqual(['msg_0'])
  await expect(scene.messages.get(IDENTITY, id)).rejects.toMatchObject({ code: 'not_found' })
  await expect(scene.messages.cancel(IDENTITY, id)).rejects.toMatchObject({ code: 'not_found' })
  expect(await scene.store.repository.hasEvent(scene.device, `$${id}`)).toBe(false)
  await scene.reads(`$${id}`)
  expect(scene.rows().map(({ act, status }) => [act, status])).toEqual([
    [null, 'read'],
    ['react', 'sent'],
  ])
})

test('a report or receipt that comes before our own commit counts, up to `sent`', async () => {
  insertMessage(scene.db, SENT)
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  await scene.reads(`$${id}`)
  scene.start()
  await scene.idle()
  expect(await statusOf(id)).toBe('sent')
})

test('the event of its status goes to those who name it', async () => {
  insertMessage(scene.db, SENT)
  insertWebhook(scene.db, { events: ['message.status'] })
  scene.start()
  const first = await scene.actions.react(on('msg_0'), '👍')
  await scene.idle()
  await scene.reports(`$${first.id}`, 'sent')
  expect(scene.events()).toEqual([])
  insertWebhook(scene.db, { id: 2, url: 'http://127.0.0.1:2/hook', events: ['action.status'] })
  const second = await scene.actions.react(on('msg_0'), '🔥')
  await scene.idle()
  await scene.reports(`$${second.id}`, 'failed', 'no')
  expect(scene.events().map(({ payload }) => payload)).toEqual([
    expect.objectContaining({
      event: 'action.status',
      platform: 'wa',
      device_id: '237',
      id: second.id,
      type: 'react',
      status: 'failed',
      reason: 'no',
    }),
  ])
})

test('a kill between the send and its note repeats it with the same transaction', async () => {
  insertMessage(scene.db, SENT)
  const { id } = await scene.actions.react(on('msg_0'), '👍')
  const at = { leaseId: 'lease_1', now: scene.clock.now(), maxLanes: 1, maxMessagesPerLane: 1 }
  await scene.store.queue.claim({ ...at, paceOf: () => scene.state.pace })
  expect(scene.rows().at(-1)?.status).toBe('sending')
  scene.start()
  await scene.idle()
  expect(done()).toEqual([['m.reaction', id]])
  expect(scene.db.orm.select().from(messages).where(eq(messages.id, id)).get()?.attempts).toBe(2)
})
