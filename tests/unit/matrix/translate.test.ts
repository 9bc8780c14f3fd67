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

test('a sticker', () => {
  const sticker = event('m.sticker', { body: 'cat', url: 'mxc://s/1', info: INFO })
  expect(messageContentOf(sticker)).toMatchObject({ kind: 'sticker', type: 'm.sticker', message: 'cat' })
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
