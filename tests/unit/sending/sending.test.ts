/** Accepting sends: what is refused, and what is on disk when it was accepted. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chats, type Device, messages as rows } from '../../../src/db/schema/index.ts'
import {
  createChatRepository,
  featuresOf,
  rememberFeatures,
} from '../../../src/modules/chats/chat-repository.ts'
import { createPeopleRepository } from '../../../src/modules/chats/people-repository.ts'
import { createRecipientRepository } from '../../../src/modules/chats/recipient-repository.ts'
import type { SendRequest } from '../../../src/modules/sending/content/request.ts'
import { createBacklog } from '../../../src/modules/sending/limits.ts'
import type { Messages } from '../../../src/modules/sending/sending.ts'
import { messageStore, messagesOn, SEND_REQUEST, stagedFile } from '../../support/messages.ts'
import {
  insertChat,
  insertDevice,
  insertEvent,
  insertIdentity,
  insertMessage,
  insertWebhook,
} from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let messages: Messages
let discarded: string[]
let nudged: number
let device: Device

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  device = insertDevice(db)
  discarded = []
  nudged = 0
  messages = messagesOn(messageStore(db), {
    devices: {
      linked: async identityId => (identityId === device.identityId ? [device] : []),
      find: async (_, deviceId, platform) => (deviceId === '237' && platform === 'wa' ? device : null),
    },
    media: {
      discard: async file => {
        discarded.push(file.id)
      },
      discardAll: async ids => {
        discarded.push(...ids)
      },
    },
  })
  db.signals.on('accepted', () => nudged++)
})
afterEach(() => db.destroy())

const FILE = stagedFile()
const all = () => db.orm.select().from(rows).all()

test('one message for each recipient, in the order given; one who is written in several ways gets it once', async () => {
  const accepted = await messages.accept({ ...SEND_REQUEST, contact: '+23 7-1, 2371 ,other,, +23 7-1' })
  expect(accepted.map(({ to, status }) => [to, status])).toEqual([
    ['+23 7-1', 'queued'],
    ['other', 'queued'],
  ])
  await messages.accept({ ...SEND_REQUEST, contact: '2371' })
  expect(all().map(row => [row.recipient, row.lane])).toEqual([
    ['+23 7-1', 'dev_1/contact:2371'],
    ['other', 'dev_1/contact:other'],
    ['2371', 'dev_1/contact:2371'],
  ])
  expect(nudged).toBe(2)
})

test('recipients are also a list', async () => {
  const accepted = await messages.accept({ ...SEND_REQUEST, contact: ['2371', '2372, 2373', ' +2371'] })
  expect(accepted.map(({ to }) => to)).toEqual(['2371', '2372', '2373'])
})

describe('a chat’s id', () => {
  const request = { ...SEND_REQUEST, contact: undefined, platform: undefined }

  test('says to whom, through which platform, and is answered where it is known', async () => {
    const { id } = insertChat(db, { peer: '@whatsapp_4915123:s' })
    const byId = await messages.accept({ ...request, chatId: id })
    const byRoom = await messages.accept({ ...request, chatId: '!r:s' })
    const byNumber = await messages.accept({ ...request, contact: `4915123,${id},!r:s`, platform: 'wa' })
    const status = 'queued' as const
    expect([...byId, ...byRoom, ...byNumber]).toEqual([
      { id: expect.any(String), to: id, chat_id: id, status },
      { id: expect.any(String), to: '!r:s', chat_id: id, status },
      { id: expect.any(String), to: '4915123', chat_id: null, status },
    ])
    expect(all().map(({ recipientKind, lane }) => [recipientKind, lane])).toEqual(
      Array(3).fill(['contact', 'dev_1/contact:4915123']),
    )
    const { id: groupId } = insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
    await messages.accept({ ...request, chatId: groupId })
    expect(all().at(-1)).toMatchObject({ recipientKind: 'group', lane: 'dev_1/group:5@g.us' })
    const shown = await messages.list('id_1', 10)
    expect(shown.map(({ to, chat_id }) => [to, chat_id])).toEqual([
      [groupId, groupId],
      ['4915123', null],
      ['!r:s', id],
      [id, id],
    ])
  })

  test('that it is shown with is the one it goes on by, once its room is known', async () => {
    const remembered = { roomId: '!r:s', matrixUserId: null }
    await createRecipientRepository(db).rememberRoom('dev_1', 'contact:1', remembered, 1)
    insertChat(db, { movedTo: '!r2:s' })
    const { id } = insertChat(db, { roomId: '!r2:s' })
    const [accepted] = await messages.accept({ ...SEND_REQUEST, contact: '1' })
    expect(accepted?.chat_id).toBe(id)
    expect((await messages.get('id_1', accepted?.id ?? '')).chat_id).toBe(id)
    db.orm.update(rows).set({ roomId: '!r:s' }).run()
    expect((await messages.get('id_1', accepted?.id ?? '')).chat_id).toBe(id)
  })

  test.each([
    ['of nobody', {}, 'there is no chat'],
    ['of another login', { receiver: '999' }, 'of the wa device 237'],
    ['of another identity', { identityId: 'id_2' }, 'there is no chat'],
    ['of no network', { platform: null }, 'there is no chat'],
  ] as const)('%s is none', async (_, change, says) => {
    insertIdentity(db, 'id_2', '@mg2:s')
    const { id } = insertChat(db, change)
    const chatId = Object.keys(change).length === 0 ? `chat_${'0'.repeat(32)}` : id
    const failure = messages.accept({ ...request, chatId })
    expect(failure).rejects.toMatchObject({ code: 'not_found', message: expect.stringMatching(says) })
    await failure.catch(() => undefined)
    expect(all()).toEqual([])
  })

  test('of another platform than the one that is named is none', async () => {
    const { id } = insertChat(db, { platform: 'signal' })
    expect(messages.accept({ ...request, chatId: id, platform: 'wa' })).rejects.toMatchObject({
      code: 'not_found',
      message: `chat_id: there is no chat ${id} of the wa device 237`,
    })
  })

  test.each([{ contact: '1' }, { groupUrl: ['1@g.us'] }])('stands alone, not beside %p', async other => {
    expect(messages.accept({ ...request, ...other, chatId: '!r:s' })).rejects.toMatchObject({
      code: 'bad_request',
      message: 'chat_id: expected alone, without contact and group_url',
    })
  })
})

describe('the parts of a message', () => {
  const poll = { question: 'q', options: ['a', 'b'] }

  test('are kept with it, and its notes are shown', async () => {
    const metadata = { order: '4711' }
    const [{ id = '' } = {}] = await messages.accept({
      ...SEND_REQUEST,
      text: '',
      content: { poll },
      metadata,
    })
    expect(all()).toMatchObject([{ text: null, content: { poll }, metadata }])
    expect(await messages.get('id_1', id)).toMatchObject({ metadata })
    const [plain] = await messages.accept(SEND_REQUEST)
    expect(all().at(-1)).toMatchObject({ content: null, metadata: null })
    expect(await messages.get('id_1', plain?.id ?? '')).toMatchObject({ metadata: null })
  })

  test.each([
    [{ content: { poll: { ...poll, options: ['a', 'b', 'a'] } } }, 'poll.options.2: expected another text'],
    [{ content: { poll: { ...poll, max_selections: 3 } } }, 'poll.max_selections: expected at most 2'],
    [
      { content: { contact_card: { name: 'x', phones: ['1', 'y'] } } },
      'contact_card.phones.1: expected a phone',
    ],
    [{ metadata: { a: 'x'.repeat(2_041) } }, 'metadata: expected at most 2048 bytes'],
    [{ text: '@12', content: { mentions: ['1'] } }, 'mentions: expected "@1" in text'],
    [{ text: 'x', content: { as: 'gif' as const } }, 'as: expected with a file'],
  ])('%j is refused', async (change, says) => {
    const text = 'content' in change ? '' : 'x'
    expect(messages.accept({ ...SEND_REQUEST, text, ...change })).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(says),
    })
    await messages.accept({ ...SEND_REQUEST, metadata: { a: 'x'.repeat(2_040) } })
  })

  test('a file is no voice message unless it was recorded as one, whoever it goes to', async () => {
    const voice = { ...SEND_REQUEST, text: '', content: { as: 'voice' as const } }
    for (const [mimeType, words] of [
      ['audio/mpeg', 'not audio/mpeg'],
      ['audio/ogg; codecs=opus', 'not a recording that can’t be read'],
    ] as const)
      expect(messages.accept({ ...voice, files: [stagedFile({ mimeType })] })).rejects.toMatchObject({
        code: 'unsupported_by_chat',
        message: `WhatsApp takes voice messages as Ogg with Opus alone, ${words}`,
      })
    const file = stagedFile({ id: 'file_2', mimeType: 'audio/ogg; codecs=opus', durationMs: 1 })
    expect(await messages.accept({ ...voice, files: [file] })).toMatchObject([{ status: 'queued' }])
  })

  test('that the chat doesn’t take are refused', async () => {
    const features = featuresOf({ id: 'x' })
    await db.write(tx => rememberFeatures(tx, features))
    insertChat(db, { features: features.digest })
    expect(
      messages.accept({ ...SEND_REQUEST, contact: '!r:s', text: '', content: { poll } }),
    ).rejects.toMatchObject({
      code: 'unsupported_by_chat',
      message: 'WhatsApp takes no polls here',
      details: { feature: 'poll', limit: null },
    })
  })
})

test('a text in which nothing is to be seen is no caption', async () => {
  await messages.accept({ ...SEND_REQUEST, text: ' \u200b', files: [FILE] })
  expect(all()).toMatchObject([{ text: null }])
})

test.each([
  ['a number', '00237 1234567, (+237) 123-4567, ２３７１２３４５６７', '00237 1234567'],
  ['a number and who webhooks say it is', '@whatsapp_2371234567:s,+237 1234567', '@whatsapp_2371234567:s'],
  [
    'a number in links',
    'https://wa.me/2371234567?text=Hi, tel:+237-1234567, 2371234567, sms:+2371234567',
    'https://wa.me/2371234567?text=Hi',
  ],
  ['a name with what a paste brought along', '\u200ead\u00e1, ad\u00e1 \u202c', '\u200ead\u00e1'],
])('%s in several spellings is one recipient, answered as first written', async (_, contact, to) => {
  const accepted = await messages.accept({ ...SEND_REQUEST, contact })
  expect(accepted.map(message => message.to)).toEqual([to])
  for (const spelling of contact.split(',')) await messages.accept({ ...SEND_REQUEST, contact: spelling })
  expect(new Set(all().map(({ lane }) => lane)).size).toBe(1)
})

test('a number that becomes known while messages wait keeps their order, however the person is written', async () => {
  const hidden = '@whatsapp_lid-55:s'
  const lanes = () => all().map(({ lane }) => lane)
  await messages.accept({ ...SEND_REQUEST, contact: hidden })
  await createPeopleRepository(db).putPhone('dev_1', hidden, '2371234567', 0)
  for (const contact of [hidden, '+237 1234567']) await messages.accept({ ...SEND_REQUEST, contact })
  expect(lanes()).toEqual(Array(3).fill(`dev_1/contact:${hidden}`))
  db.orm.update(rows).set({ status: 'sent' }).run()
  for (const contact of ['2371234567', hidden]) await messages.accept({ ...SEND_REQUEST, contact })
  expect(lanes().slice(3)).toEqual(Array(2).fill('dev_1/contact:2371234567'))
})

test('a name whose person became known waits in the lane where it waits already, then in theirs', async () => {
  const lanes = () => all().map(({ lane }) => lane)
  await messages.accept({ ...SEND_REQUEST, contact: '@ada' })
  const ada = { roomId: '!r:s', matrixUserId: '@whatsapp_lid-5:s' }
  await createRecipientRepository(db).rememberRoom('dev_1', 'contact:@ada', ada, 1)
  await messages.accept({ ...SEND_REQUEST, contact: '@ada' })
  expect(lanes()).toEqual(Array(2).fill('dev_1/contact:@ada'))
  db.orm.update(rows).set({ status: 'sent' }).run()
  await messages.accept({ ...SEND_REQUEST, contact: '@ada' })
  expect(lanes().at(-1)).toBe('dev_1/contact:@whatsapp_lid-5:s')
})

test('to somebody for whom messages wait under several ids, it goes behind those written like it, else the last', async () => {
  const [first, second] = ['@whatsapp_lid-55:s', '@whatsapp_lid-56:s'] as const
  for (const contact of [first, second]) await messages.accept({ ...SEND_REQUEST, contact })
  for (const id of [first, second]) await createPeopleRepository(db).putPhone('dev_1', id, '2371234567', 0)
  for (const contact of ['2371234567', first]) await messages.accept({ ...SEND_REQUEST, contact })
  expect(all().map(({ lane }) => lane)).toEqual(
    [first, second, second, first].map(id => `dev_1/contact:${id}`),
  )
})

test('a group is one lane, by its link or not; what waits under a link that wasn’t known goes first', async () => {
  const link = 'https://chat.whatsapp.com/abc'
  const lanes = () => all().map(({ lane }) => lane)
  const sendBoth = async () => {
    for (const groupUrl of ['5@g.us', link])
      await messages.accept({ ...SEND_REQUEST, contact: undefined, groupUrl })
  }
  await messages.accept({ ...SEND_REQUEST, contact: undefined, groupUrl: link })
  insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
  const found = { roomId: '!g:s', matrixUserId: null }
  await createRecipientRepository(db).rememberRoom('dev_1', `group:${link}`, found, 1)
  await sendBoth()
  expect(lanes()).toEqual(Array(3).fill(`dev_1/group:${link}`))
  db.orm.update(rows).set({ status: 'sent' }).run()
  await sendBoth()
  expect(lanes().slice(3)).toEqual(Array(2).fill('dev_1/group:5@g.us'))
})

test('on a network whose ids are not numbers, a ghost’s id is no number either', async () => {
  device = { ...device, loginId: '4242', ghostUserId: '@telegram_4242:s' }
  await messages.accept({ ...SEND_REQUEST, contact: '@telegram_2371234567:s, +2371234567' })
  expect(all().map(({ lane }) => lane)).toEqual([
    'dev_1/contact:@telegram_2371234567:s',
    'dev_1/contact:2371234567',
  ])
})

test('a reply is taken to what the device received or sent, and to what it is still to send', async () => {
  insertChat(db, { receiver: null })
  insertEvent(db, { eventId: '$received' })
  // In a chat that devices of an identity share, one of them has the event.
  insertEvent(db, { eventId: '$shared', deviceRowId: 'dev_2' })
  insertMessage(db, { id: 'msg_sent', eventId: '$sent', status: 'read' })
  insertMessage(db, { id: 'msg_queued', status: 'queued' })
  const answerable = ['$received', '$shared', '$sent', 'msg_sent', 'msg_queued']
  for (const replyId of answerable) await messages.accept({ ...SEND_REQUEST, replyId })
  expect(all().flatMap(({ replyTo }) => replyTo ?? [])).toEqual(answerable)
})

test('a group that is written in several ways gets it once; the code in a link keeps its case', async () => {
  const links = [
    'https://chat.whatsapp.com/Abc',
    'chat.whatsapp.com/Abc',
    'HTTP://CHAT.whatsapp.com/Abc/?mode=x',
    'www.Chat.whatsapp.com/Abc',
    'https://chat.whatsapp.com/abc',
    'signal.group/#Abc',
    'https://signal.group/#Abc',
    'https://signal.group/#abc',
    'tg://join?invite=Abc',
    't.me/+Abc',
    'https://t.me/joinchat/Abc',
    'http://telegram.me/joinchat/Abc/',
    'HTTPS://www.Telegram.dog/+Abc?x=1',
    'https://t.me/%2BAbc',
    'tg://join/?x=1&invite=Abc&y',
    't.me/+abc',
    't.me/Abc',
    'telegram.me/Abc',
    'whatsapp://chat/?code=abc',
    'sgnl://signal.group/#abc',
    '1@g.us',
    'https://chat.whatsapp.com/invite/Abc',
    // On other networks the query may say which group it is.
    'https://invite.viber.com/?g2=Abc',
    'https://invite.viber.com/?g2=abc',
    'invite.viber.com/?g2=Abc',
  ]
  const accepted = await messages.accept({ ...SEND_REQUEST, groupUrl: links.join() })
  expect(accepted.map(({ to }) => links.indexOf(to))).toEqual([0, 4, 5, 7, 8, 15, 16, 20, 22, 23])
})

test.each([
  ['link and id', 'https://chat.whatsapp.com/abc, 5@g.us'],
  ['id and link', '5@g.us,https://chat.whatsapp.com/abc'],
  ['room and link', '!g:s, chat.whatsapp.com/abc/'],
  ['id and room', ' 5@g.us , !g:s'],
])('a group that is known, named by %s in a call, gets it once', async (_, groupUrl) => {
  insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
  insertChat(db, { roomId: '!other:s', kind: 'group', channelId: '6@g.us' })
  await createRecipientRepository(db).rememberRoom(
    'dev_1',
    'group:https://chat.whatsapp.com/abc',
    { roomId: '!g:s', matrixUserId: null },
    1,
  )
  const accepted = await messages.accept({ ...SEND_REQUEST, groupUrl: `${groupUrl},6@g.us` })
  expect(accepted.map(({ to }) => to)).toEqual([groupUrl.split(',')[0]?.trim() ?? '', '6@g.us'])
})

test('a contact that is known, named by number, chat and Matrix user in a call, gets it once', async () => {
  insertChat(db, { roomId: '!dm:s', peer: '@whatsapp_lid-5:s' })
  await createRecipientRepository(db).rememberRoom(
    'dev_1',
    'contact:2371234567',
    { roomId: '!dm:s', matrixUserId: null },
    1,
  )
  const contact = '+237 1234567, !dm:s, @whatsapp_lid-5:s'
  const accepted = await messages.accept({ ...SEND_REQUEST, contact })
  expect(accepted.map(({ to }) => to)).toEqual(['+237 1234567'])
})

describe('a text that is too long for the chats of its recipients', () => {
  const TOO_LONG = 'WhatsApp takes texts of at most 5 characters here, not 6'
  async function limited(max_text_length: number, file?: object) {
    db.orm.update(chats).set({ features: null }).run()
    await createChatRepository(db).learnFeatures('id_1', '!g:s', { max_text_length, ...(file && { file }) })
  }
  beforeEach(async () => {
    insertChat(db, { roomId: '!g:s', kind: 'group', channelId: '5@g.us' })
    await createRecipientRepository(db).rememberRoom(
      'dev_1',
      'contact:1',
      { roomId: '!g:s', matrixUserId: null },
      1,
    )
    await limited(5)
  })
  const send = (change: Partial<SendRequest>) => messages.accept({ ...SEND_REQUEST, ...change })

  test.each<[string, Partial<SendRequest>]>([
    ['by its id', { groupUrl: '5@g.us' }],
    ['by its room', { groupUrl: '!g:s' }],
    ['as a contact', { contact: '+1' }],
    ['with a file, whose caption is too long, too', { contact: '1', files: [FILE] }],
  ])('is refused at once, %s', async (_, change) => {
    if (change.files) await limited(5, { 'm.file': { mime_types: { '*/*': 2 }, max_caption_length: 4 } })
    await expect(send({ text: 'abc😀ef', ...change })).rejects.toMatchObject({
      code: 'unsupported_by_chat',
      message: TOO_LONG,
      details: { feature: 'max_text_length', limit: 5 },
    })
    expect([all(), discarded]).toEqual([[], change.files ? ['file_1'] : []])
    expect(await send({ ...change, text: 'abc😀e' })).toHaveLength(1)
  })

  test('is taken while the chat or its limit is unknown, and where another recipient may take it', async () => {
    const text = 'x'.repeat(6)
    insertChat(db, { roomId: '!unlimited:s', kind: 'group', channelId: '6@g.us' })
    expect(await send({ text, contact: '2' })).toHaveLength(1)
    expect(await send({ text, groupUrl: '6@g.us' })).toHaveLength(1)
    expect(await send({ text, groupUrl: '5@g.us, 6@g.us' })).toHaveLength(2)
    await expect(send({ text, groupUrl: '5@g.us, !g:s' })).rejects.toMatchObject({ message: TOO_LONG })
  })

  test('is taken as the caption of a file for which the network has room', async () => {
    await limited(5, { 'm.file': { mime_types: { '*/*': 2 }, caption: 2, max_caption_length: 10 } })
    expect(await send({ text: 'x'.repeat(6), contact: '1', files: [FILE] })).toHaveLength(1)
  })
})

describe('what a recipient’s chat does not take', () => {
  const SMALL = { mime_types: { '*/*': 2 }, max_size: 1_000 }
  beforeEach(async () => {
    for (const [id, file] of [
      ['5', { 'm.file': SMALL }],
      ['6', { 'm.file': { mime_types: { '*/*': 2 } } }],
    ] as const) {
      insertChat(db, { roomId: `!${id}:s`, kind: 'group', channelId: `${id}@g.us` })
      await createChatRepository(db).learnFeatures('id_1', `!${id}:s`, { file })
    }
  })
  const large = stagedFile({ sizeBytes: 1_001 })

  test('fails for that recipient alone, at once, with the limit; others get it', async () => {
    insertWebhook(db, { events: ['message.status'] })
    let answer: unknown
    const accepted = await messages.accept({
      ...SEND_REQUEST,
      groupUrl: '5@g.us, 6@g.us',
      files: [large],
      record: async (_tx, kept) => {
        answer = kept
      },
    })
    const reason = 'unsupported_by_chat: WhatsApp takes files of at most 1 KB here'
    expect(accepted).toMatchObject([
      { to: '5@g.us', status: 'failed', reason },
      { to: '6@g.us', status: 'queued' },
    ])
    expect(accepted[1]).not.toHaveProperty('reason')
    expect(answer).toEqual(accepted)
    expect(all().map(({ status, reason }) => [status, reason])).toEqual([
      ['failed', reason],
      ['queued', null],
    ])
    expect(await messages.get('id_1', accepted[0]?.id ?? '')).toMatchObject({ status: 'failed', reason })
    expect(discarded).toEqual([])
    const events = db.orm.query.events.findMany().sync()
    expect(events).toMatchObject([{ payload: { event: 'message.status', status: 'failed', reason } }])
  })

  test('takes no place in the queue', async () => {
    const backlog = createBacklog({ limits: { perIdentity: 2, inAll: 2 }, waiting: new Map() })
    messages = messagesOn(messageStore(db, undefined, backlog), {
      backlog,
      devices: { linked: async () => [device], find: async () => device },
    })
    await messages.accept({ ...SEND_REQUEST, groupUrl: '5@g.us, 6@g.us', files: [large] })
    expect(await messages.accept({ ...SEND_REQUEST, groupUrl: '6@g.us' })).toHaveLength(1)
  })

  test('is refused where it is so for all, with nothing stored', async () => {
    const send = messages.accept({ ...SEND_REQUEST, groupUrl: '5@g.us', files: [large] })
    await expect(send).rejects.toMatchObject({
      code: 'unsupported_by_chat',
      message: 'WhatsApp takes files of at most 1 KB here',
      details: { feature: 'max_size', limit: 1_000 },
    })
    expect([all(), discarded]).toEqual([[], ['file_1']])
  })
})

test('group_url wins over contact', async () => {
  await messages.accept({
    ...SEND_REQUEST,
    groupUrl: 'https://chat.whatsapp.com/abc/, https://chat.whatsapp.com/def?x=1',
  })
  expect(all().map(row => [row.recipientKind, row.lane])).toEqual([
    ['group', 'dev_1/group:https://chat.whatsapp.com/abc'],
    ['group', 'dev_1/group:https://chat.whatsapp.com/def'],
  ])
})

describe('refused, with nothing stored and the file discarded', () => {
  test.each<[string, Partial<SendRequest>, string, string]>([
    ['no platform', { platform: '' }, 'bad_request', 'Missing required field: platform'],
    [
      'nobody',
      { contact: ' ,\u200b ' },
      'bad_request',
      'Missing required field: contact, group_url or chat_id',
    ],
    ['an unknown device', { deviceId: '999' }, 'not_found', 'device_id: there is no wa device 999'],
    [
      'a device of another token',
      { identityId: 'id_2', deviceId: '999' },
      'not_found',
      'device_id: there is no wa device 999; no device is linked with this token: link one, or use the token that linked it',
    ],
    ['another platform', { platform: 'signal' }, 'not_found', 'device_id: there is no signal device 237'],
    [
      'a platform that there is none of',
      { platform: 'whatsapp' },
      'bad_request',
      'platform: "whatsapp" is unknown: expected one of wa, signal',
    ],
    ...[
      'x'.repeat(50_001),
      '\u0001'.repeat(8_334),
      '"'.repeat(25_001),
      'ü'.repeat(25_001),
      '\ud800'.repeat(8_334),
    ].map((text): [string, Partial<SendRequest>, string, string] => [
      `too long a text, of ${JSON.stringify(text[0])}`,
      { text },
      'bad_request',
      'text: expected at most 50000 bytes as JSON',
    ]),
    [
      'too long a contact',
      { contact: `1,${'c'.repeat(513)}` },
      'bad_request',
      'contact: expected recipients of at most 512 characters',
    ],
    ...['irc://x loop #lobby', 'https://chat.whatsapp.com/a\nb', 't.me/a\u200bb', 'tg://a\u0000b'].map(
      (link): [string, Partial<SendRequest>, string, string] => [
        `the link ${JSON.stringify(link)}`,
        { groupUrl: `https://chat.whatsapp.com/ok, ${link}` },
        'bad_request',
        `group_url: ${JSON.stringify(link)}: expected a link without white space and control characters`,
      ],
    ),
    ...[
      ['tel:+49-30-1234567;ext=5', 'ext: expected a number alone, as nothing can be dialled after it'],
      ['sms:Ada', 'expected a phone number with the code of its country'],
      [
        'https://chat.whatsapp.com/abc',
        'expected a phone number, a handle or an id, not a link; that of a group is a group_url',
      ],
      [
        'wa.me/message/ABC',
        'expected a phone number, a handle or an id, not a link; that of a group is a group_url',
      ],
    ].map(([contact = '', problem = '']): [string, Partial<SendRequest>, string, string] => [
      `the contact ${contact}`,
      { contact: `2371, ${contact}` },
      'bad_request',
      `contact: ${JSON.stringify(contact)}: ${problem}`,
    ]),
    [
      'too long a group',
      { groupUrl: 'g'.repeat(900_000) },
      'bad_request',
      'group_url: expected recipients of at most 512 characters',
    ],
    [
      'too many',
      { contact: Array.from({ length: 1001 }, (_, i) => i).join() },
      'bad_request',
      'contact: expected at most 1000 recipients',
    ],
  ])('%s', async (_, change, code, message) => {
    await expect(messages.accept({ ...SEND_REQUEST, files: [FILE], ...change })).rejects.toMatchObject({
      code,
      message,
    })
    expect(all()).toEqual([])
    expect(discarded).toEqual(['file_1'])
  })

  test.each([
    ['nonsense', 'yes', 'reply_id: expected the id of a message'],
    ['half an id', '$', 'reply_id: expected the id of a message'],
    ['an event that is none of its', '$unknown', 'neither received nor sent a message $unknown'],
    ['a message that there is none of', 'msg_unknown', 'neither received nor sent a message msg_unknown'],
    ["another device's event", '$of-2', 'neither received nor sent'],
    ["another device's message", 'msg_of_2', 'neither received nor sent'],
    ["another identity's event", '$of-other', 'neither received nor sent'],
    ["another identity's message", 'msg_of_other', 'neither received nor sent'],
    ['one that failed', 'msg_failed', "can't be answered, as its sending failed"],
    ['one that was cancelled', 'msg_cancelled', "can't be answered, as its sending was cancelled"],
  ])('a reply to %s', async (_, replyId, error) => {
    insertIdentity(db, 'id_2', '@mg2:s')
    insertDevice(db, { id: 'dev_2', loginId: '238' })
    insertMessage(db, { id: 'msg_of_2', deviceRowId: 'dev_2', eventId: '$of-2' })
    insertMessage(db, { id: 'msg_of_other', identityId: 'id_2', deviceRowId: 'dev_9', eventId: '$of-other' })
    insertMessage(db, { id: 'msg_failed', status: 'failed' })
    insertMessage(db, { id: 'msg_cancelled', status: 'cancelled' })
    const before = all()
    await expect(messages.accept({ ...SEND_REQUEST, replyId, files: [FILE] })).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(error),
    })
    expect(all()).toEqual(before)
    expect(discarded).toEqual(['file_1'])
  })

  test('a device that is logged out, naming what to do', async () => {
    device = { ...device, state: 'logged_out', stateReason: 'at the phone' }
    await expect(messages.accept({ ...SEND_REQUEST, files: [FILE] })).rejects.toMatchObject({
      code: 'conflict',
      message:
        'device_id: the wa device 237 is logged out (at the phone): link it again with POST /api/v1/devices {"platform": "wa", "device_id": "237"}',
    })
    expect([all(), discarded]).toEqual([[], ['file_1']])
  })

  test('neither text nor file', async () => {
    await expect(messages.accept({ ...SEND_REQUEST, text: '' })).rejects.toMatchObject({
      message: 'Either text or file must be provided',
    })
  })
})

test.each([
  ['x', 50_000],
  ['\u0001', 8_333],
  ['"', 25_000],
  ['ü', 25_000],
])('a text (of %j) and a recipient as long as allowed', async (letter, length) => {
  // A letter that is seen at its end: control characters alone are no text.
  const text = `${letter.repeat(length - 1)}x`
  await messages.accept({ ...SEND_REQUEST, text, contact: `${'c'.repeat(512)},1` })
  expect(all().map(row => row.text)).toEqual([text, text])
})

test('a file alone is enough, and is kept once for all recipients', async () => {
  await messages.accept({ ...SEND_REQUEST, contact: '1,2', text: undefined, files: [FILE] })
  expect(all().map(row => [row.text, row.mediaId])).toEqual([
    [null, 'file_1'],
    [null, 'file_1'],
  ])
  expect(discarded).toEqual([])
})

test('messages are shown to their identity only, newest first, page by page', async () => {
  const [first] = await messages.accept(SEND_REQUEST)
  const [second] = await messages.accept(SEND_REQUEST)
  if (!first || !second) throw new Error('nothing accepted')
  expect((await messages.list('id_1', 10)).map(message => message.id)).toEqual([second.id, first.id])
  expect((await messages.list('id_1', 10, second.id)).map(message => message.id)).toEqual([first.id])
  expect(await messages.get('id_1', first.id)).toMatchObject({
    platform: 'wa',
    device_id: '237',
    to: '1',
    status: 'queued',
  })
  expect(await messages.list('id_2', 10)).toEqual([])
  await expect(messages.get('id_2', first.id)).rejects.toMatchObject({ code: 'not_found' })
})

test("before a message that isn't there, or is another identity's: not the first page again", async () => {
  await messages.accept(SEND_REQUEST)
  insertIdentity(db, 'id_2', '@mg2:s')
  insertDevice(db, { id: 'dev_2', identityId: 'id_2' })
  const [own] = await messages.accept(SEND_REQUEST)
  if (!own) throw new Error('nothing accepted')
  for (const [identityId, before] of [
    ['id_1', 'nope'],
    ['id_2', own.id],
  ] as const) {
    await expect(messages.list(identityId, 10, before)).rejects.toMatchObject({
      code: 'not_found',
      message: `before: there is no message ${before}`,
    })
  }
})
