/** Every kind of Matrix message event, and what isn't one. */
import { describe, expect, test } from 'bun:test'
import type { RoomEvent } from '../../../src/domain/ports.ts'
import { messageContentOf } from '../../../src/matrix/translate/message.ts'

function event(type: string, content: Record<string, unknown>, more: Partial<RoomEvent> = {}): RoomEvent {
  return {
    event_id: '$1',
    room_id: '!r:s',
    sender: '@whatsapp_1:s',
    type,
    origin_server_ts: 1,
    content,
    ...more,
  }
}
const message = (content: Record<string, unknown>) => messageContentOf(event('m.room.message', content))

const INFO = { size: 10, mimetype: 'image/png', w: 4, h: 3, 'xyz.amorgan.blurhash': 'LKO2' }

test('what is encrypted is told with its relations, which stand in clear', () => {
  const encrypted = (relation: Record<string, unknown>) =>
    messageContentOf(
      event('m.room.encrypted', { algorithm: 'm.megolm.v1.aes-sha2', 'm.relates_to': relation }),
    )
  expect(encrypted({ 'm.in_reply_to': { event_id: '$a' } })).toMatchObject({
    event: 'message.undecryptable',
    replyTo: '$a',
    relatesTo: null,
  })
  expect(encrypted({ rel_type: 'm.replace', event_id: '$b' })).toMatchObject({
    replyTo: null,
    relatesTo: '$b',
  })
})

describe('messages', () => {
  test.each([
    ['m.text', 'text'],
    ['m.notice', 'notice'],
    ['m.emote', 'emote'],
    ['org.example.new', 'text'],
  ])('%s is %s', (msgtype, kind) => {
    expect(message({ msgtype, body: 'hi' })).toEqual({
      event: 'message.received',
      kind,
      type: msgtype,
      message: 'hi',
      replyTo: null,
      relatesTo: null,
      media: null,
      location: null,
    } as never)
  })

  test.each([
    ['m.image', {}, 'image'],
    ['m.video', {}, 'video'],
    ['m.audio', {}, 'audio'],
    ['m.audio', { 'org.matrix.msc3245.voice': {} }, 'voice'],
    ['m.file', {}, 'file'],
  ])('%s %o is %s, with its media', (msgtype, more, kind) => {
    const translated = message({ msgtype, body: 'a.png', url: 'mxc://s/1', info: INFO, ...more })
    expect(translated).toMatchObject({ kind, type: msgtype, message: '' })
    expect(translated?.media).toEqual({
      mxcUri: 'mxc://s/1',
      size: 10,
      mime_type: 'image/png',
      width: 4,
      height: 3,
      blur_hash: 'LKO2',
      file_name: 'a.png',
      duration: 0,
    })
  })

  test('a body that differs from the file name is the caption', () => {
    const content = { msgtype: 'm.image', body: 'look', filename: 'a.png', url: 'mxc://s/1', info: INFO }
    expect(message(content)).toMatchObject({ message: 'look', media: { file_name: 'a.png' } })
    expect(message({ ...content, body: 'a.png' })).toMatchObject({ message: '' })
  })

  test('media without a usable address or with nonsense in its info is still a message', () => {
    expect(message({ msgtype: 'm.file', body: 'a.pdf', url: 'https://evil' })).toMatchObject({ media: null })
    expect(
      message({ msgtype: 'm.file', body: 'a.pdf', url: 'mxc://s/1', info: 'none' })?.media,
    ).toMatchObject({
      size: 0,
      mime_type: '',
    })
  })

  test('a location has its coordinates', () => {
    expect(message({ msgtype: 'm.location', body: 'here', geo_uri: 'geo:4.05,-9.7;u=35' })?.location).toEqual(
      {
        latitude: 4.05,
        longitude: -9.7,
        uri: 'geo:4.05,-9.7;u=35',
      },
    )
    expect(message({ msgtype: 'm.location', body: 'here', geo_uri: 'nowhere' })?.location).toBeNull()
  })

  test('a reply names what it answers, without the quoted fallback', () => {
    const relation = { 'm.relates_to': { 'm.in_reply_to': { event_id: '$0' } } }
    expect(message({ msgtype: 'm.text', body: '> <@a:s> hello\n> there\n\nyes', ...relation })).toMatchObject(
      {
        message: 'yes',
        replyTo: '$0',
      },
    )
    expect(message({ msgtype: 'm.text', body: '> <quoted by hand', ...relation })?.message).toBe(
      '> <quoted by hand',
    )
  })

  test("a thread's fallback reply is no reply", () => {
    const relation = { rel_type: 'm.thread', event_id: '$t', 'm.in_reply_to': { event_id: '$0' } }
    expect(message({ msgtype: 'm.text', body: 'x', 'm.relates_to': relation })?.replyTo).toBeNull()
  })

  test('an edit carries the new text and what it replaces', () => {
    const content = {
      msgtype: 'm.text',
      body: '* new',
      'm.new_content': { msgtype: 'm.text', body: 'new' },
      'm.relates_to': { rel_type: 'm.replace', event_id: '$0' },
    }
    expect(message(content)).toMatchObject({
      event: 'message.edited',
      kind: 'edit',
      type: 'm.text',
      message: 'new',
      relatesTo: '$0',
    })
  })
})

describe('a poll', () => {
  const UNSTABLE = 'org.matrix.msc3381.poll.start'
  const poll = {
    question: { 'org.matrix.msc1767.text': 'Where?' },
    kind: 'org.matrix.msc3381.poll.disclosed',
    max_selections: 1,
    answers: [
      { id: 'h', 'org.matrix.msc1767.text': 'Here' },
      { id: 't', 'org.matrix.msc1767.text': 'There' },
    ],
  }
  const stable = {
    question: { 'm.text': [{ body: '<b>Where?</b>', mimetype: 'text/html' }, { body: 'Where?' }] },
    max_selections: 1,
    answers: [
      { 'm.id': 'h', 'm.text': [{ body: 'Here' }] },
      { 'm.id': 't', 'm.text': [{ body: 'There' }] },
    ],
  }
  const hint = { msgtype: 'm.text', body: 'Where?\n1. Here\n2. There\n(This message is a poll.)' }

  test.each([
    ['beside a text', event('m.room.message', { ...hint, [UNSTABLE]: poll })],
    ['of its own type, as bridges send it', event(UNSTABLE, { ...hint, [UNSTABLE]: poll })],
    ['of its own type alone', event(UNSTABLE, { [UNSTABLE]: poll })],
    ['in the stable form', event('m.poll.start', { 'm.text': [{ body: 'x' }], 'm.poll': stable })],
  ])('%s', (_, given) => {
    expect(messageContentOf(given)).toEqual({
      event: 'message.received',
      kind: 'poll',
      type: 'm.poll.start',
      message: 'Where?',
      replyTo: null,
      relatesTo: null,
      media: null,
      location: null,
      poll: {
        question: 'Where?',
        options: [
          { id: 'h', text: 'Here', votes: 0 },
          { id: 't', text: 'There', votes: 0 },
        ],
        max_selections: 1,
      },
    })
  })

  test.each([
    [2, 2],
    [20, 2],
    [0, 1],
    [undefined, 1],
  ])('of which %s options may be chosen: %s', (given, shown) => {
    const content = { [UNSTABLE]: { ...poll, max_selections: given } }
    expect(messageContentOf(event(UNSTABLE, content))?.poll?.max_selections).toBe(shown)
  })

  test('that answers a message', () => {
    const relation = { 'm.relates_to': { 'm.in_reply_to': { event_id: '$0' } } }
    const content = { [UNSTABLE]: poll, ...relation }
    expect(messageContentOf(event(UNSTABLE, content))).toMatchObject({ replyTo: '$0' })
  })

  test('that can’t be read is the text beside it, or nothing', () => {
    expect(message({ ...hint, [UNSTABLE]: { question: 'x' } })).toMatchObject({ kind: 'text' })
    expect(messageContentOf(event(UNSTABLE, { [UNSTABLE]: {} }))).toBeNull()
  })

  const reference = { 'm.relates_to': { rel_type: 'm.reference', event_id: '$poll' } }
  const RESPONSE = 'org.matrix.msc3381.poll.response'

  test.each([
    [
      'of options',
      event(RESPONSE, { ...reference, [RESPONSE]: { answers: ['h', 't', 'h', ''] } }),
      ['h', 't'],
    ],
    ['taken back', event(RESPONSE, { ...reference, [RESPONSE]: { answers: [] } }), []],
    ['in the stable form', event('m.poll.response', { ...reference, 'm.selections': ['t'] }), ['t']],
  ])('has a vote %s', (_, given, ids) => {
    expect(messageContentOf(given)).toMatchObject({
      event: 'poll.vote',
      kind: 'vote',
      type: 'm.poll.response',
      relatesTo: '$poll',
      vote: { options: ids.map(id => ({ id, text: null })) },
    })
  })

  test('has no vote on nothing, nor one without options', () => {
    expect(messageContentOf(event(RESPONSE, { [RESPONSE]: { answers: ['h'] } }))).toBeNull()
    expect(messageContentOf(event(RESPONSE, reference))).toBeNull()
  })

  test.each(['m.poll.end', 'org.matrix.msc3381.poll.end'])('ends by %s', type => {
    const ended = { event: 'poll.ended', kind: 'poll_end', type: 'm.poll.end', relatesTo: '$poll' }
    expect(messageContentOf(event(type, reference))).toMatchObject(ended)
    expect(messageContentOf(event(type, {}))).toBeNull()
  })
})

test.each([
  ['m.text', { type: 'call', call_type: 'video' }, 'video'],
  ['m.notice', { type: 'call', call_type: 'voice' }, 'voice'],
  ['m.text', { type: 'call' }, null],
  ['m.text', { type: 'call', call_type: 'hologram' }, null],
])('a call by %s with %o', (msgtype, action, type) => {
  const body = 'Incoming call. Use the WhatsApp app to answer.'
  expect(message({ msgtype, body, 'com.beeper.action_message': action })).toMatchObject({
    event: 'call.received',
    kind: 'call',
    type: msgtype,
    message: body,
    call: { type },
  })
})

test('a call whose text is edited is told as one, not as a message', () => {
  const call = { msgtype: 'm.notice', body: 'Missed', 'com.beeper.action_message': { type: 'call' } }
  const relation = { rel_type: 'm.replace', event_id: '$call' }
  expect(message({ ...call, 'm.new_content': call, 'm.relates_to': relation })).toMatchObject({
    event: 'call.received',
    kind: 'edit',
    message: 'Missed',
    relatesTo: '$call',
  })
})

test('an action that is no call is the text that tells of it', () => {
  const content = { msgtype: 'm.text', body: 'x', 'com.beeper.action_message': { type: 'dance' } }
  expect(message(content)).toMatchObject({ event: 'message.received', kind: 'text' })
})

test('a sticker', () => {
  const sticker = event('m.sticker', { body: 'cat', url: 'mxc://s/1', info: INFO })
  expect(messageContentOf(sticker)).toMatchObject({ kind: 'sticker', type: 'm.sticker', message: 'cat' })
})

test.each([
  ['👍️', '👍'],
  ['❤', '❤️'],
  ['❤️‍🔥', '❤️‍🔥'],
  ['ok', 'ok'],
])('a reaction with %s is one with %s, however a phone spells it', (key, message) => {
  const relation = { rel_type: 'm.annotation', event_id: '$0', key }
  expect(messageContentOf(event('m.reaction', { 'm.relates_to': relation }))).toMatchObject({ message })
})

test('whom a text mentions, once each', () => {
  const text = { msgtype: 'm.text', body: 'hi' }
  const mentioning = (mentions: unknown) =>
    messageContentOf(event('m.room.message', { ...text, 'm.mentions': mentions }))
  expect(mentioning({ user_ids: ['@a:s', '@b:s', '@a:s'] })).toMatchObject({ mentions: ['@a:s', '@b:s'] })
  for (const nobody of [{}, { room: true }, { user_ids: [] }, { user_ids: 7 }, 7])
    expect(mentioning(nobody)).not.toHaveProperty('mentions')
})

test('a reaction', () => {
  const relation = { rel_type: 'm.annotation', event_id: '$0', key: '👍' }
  expect(messageContentOf(event('m.reaction', { 'm.relates_to': relation }))).toMatchObject({
    event: 'message.reaction',
    kind: 'reaction',
    message: '👍',
    relatesTo: '$0',
  })
})

test.each([
  ['before room version 11', {}, { redacts: '$0' }],
  ['since room version 11', { redacts: '$0' }, {}],
])('a redaction as it was %s', (_, content, more) => {
  expect(messageContentOf(event('m.room.redaction', content, more))).toMatchObject({
    event: 'message.deleted',
    kind: 'redaction',
    relatesTo: '$0',
  })
})

test.each([
  ['state', event('m.room.message', { msgtype: 'm.text', body: 'x' }, { state_key: '' })],
  [
    'a redacted message',
    event('m.room.message', { msgtype: 'm.text', body: 'x' }, { unsigned: { redacted_because: {} } }),
  ],
  ['an empty message', event('m.room.message', {})],
  ['a call', event('m.call.invite', { call_id: '1' })],
  ['a reaction to nothing', event('m.reaction', {})],
  ['a redaction of nothing', event('m.room.redaction', {})],
  ['a key exchange', event('m.room_key', { algorithm: 'm.megolm.v1.aes-sha2' })],
])('%s is no message', (_, notMessage) => {
  expect(messageContentOf(notMessage)).toBeNull()
})
