/**
 * How a file goes into a chat: as a kind that the chat's network takes, in its spelling, or not at
 * all, with the reason.
 */
import { describe, expect, test } from 'bun:test'
import type { FileKind, RoomFeatures } from '../../../src/domain/room-features.ts'
import type { SendContent } from '../../../src/domain/views/message-content.ts'
import { readRoomFeatures } from '../../../src/matrix/room-features.ts'
import {
  type PlannedFile,
  planFile,
  planMessage,
  unsupportedReason,
  unsupportedText,
} from '../../../src/modules/chats/capabilities.ts'

const OPUS = 'audio/ogg; codecs=opus'
const file = (mimeType: string, change: Partial<PlannedFile> = {}) => ({
  mimeType,
  sizeBytes: 1_000,
  durationMs: 0,
  width: 0,
  height: 0,
  ...change,
})
const FEATURES = readRoomFeatures({
  file: {
    'm.image': {
      mime_types: { 'image/jpeg': 2, 'image/png': 1, 'image/gif': -2, 'image/bmp': 0 },
      caption: 2,
    },
    'm.audio': {
      mime_types: { 'audio/mpeg': 2, 'audio/x-m4a': 2, 'audio/ogg': 2 },
      caption: -1,
      max_size: 5_000,
    },
    'm.video': { mime_types: { 'video/*': 2 }, caption: 2, max_caption_length: 5 },
    'org.matrix.msc3245.voice': { mime_types: { [OPUS]: 2, 'audio/ogg': 0 }, caption: -1, max_duration: 60 },
    'm.file': { mime_types: { '*/*': 2 }, caption: 2, max_size: 10_000 },
  },
  max_text_length: 20,
})
const planned = (of: ReturnType<typeof file>, features = FEATURES) => {
  const plan = planFile(of, null, features)
  return 'unsupported' in plan ? unsupportedReason('wa', plan.unsupported) : `${plan.kind} ${plan.mimeType}`
}

describe('by the features of its room', () => {
  test.each([
    ['image/jpeg', 'image image/jpeg'],
    ['image/png', 'image image/png'],
    ['image/gif', 'file image/gif'],
    ['image/heic', 'file image/heic'],
    ['image/svg+xml', 'file image/svg+xml'],
    // Something else would stand in for it: a file is better.
    ['image/bmp', 'file image/bmp'],
    ['audio/mpeg', 'audio audio/mpeg'],
    // Spelled as the network spells it.
    ['audio/mp4', 'audio audio/x-m4a'],
    ['audio/wav', 'file audio/wav'],
    ['video/matroska', 'video video/matroska'],
    ['application/pdf', 'file application/pdf'],
  ])('%s goes as %s', (mimeType, plan) => expect(planned(file(mimeType))).toBe(plan))

  test('Ogg/Opus is a voice message, unless it is too long for one or can’t be read', () => {
    expect(planned(file(OPUS, { durationMs: 60_000 }))).toBe(`voice ${OPUS}`)
    expect(planned(file(OPUS, { durationMs: 60_001 }))).toBe(`audio ${OPUS}`)
    expect(planned(file(OPUS))).toBe(`audio ${OPUS}`)
    expect(planned(file(OPUS, { durationMs: 1, sizeBytes: 5_001 }))).toBe(`voice ${OPUS}`)
  })

  test('what is too large for its kind goes as a file, and what is too large for that is refused, with the limit', () => {
    expect(planned(file('audio/mpeg', { sizeBytes: 5_001 }))).toBe('file audio/mpeg')
    expect(planned(file('image/heic', { sizeBytes: 10_001 }))).toStartWith('unsupported_by_chat: ')
    expect(planned(file('application/pdf', { sizeBytes: 10_001 }))).toContain(
      'takes files of at most 10 KB here',
    )
  })

  test('a network without files takes none', () => {
    const onlyImages = readRoomFeatures({ file: { 'm.image': { mime_types: { 'image/jpeg': 2 } } } })
    expect(planned(file('application/pdf'), onlyImages)).toBe(
      'unsupported_by_chat: WhatsApp takes no files here',
    )
    expect(planned(file('image/jpeg'), onlyImages)).toBe('image image/jpeg')
  })
})

test.each([
  ['image/jpeg', 'image'],
  ['image/heic', 'file'],
  ['image/svg+xml', 'file'],
  ['image/tiff', 'file'],
  ['audio/wav', 'file'],
  ['audio/mpeg', 'audio'],
  ['video/matroska', 'file'],
  ['video/mp4', 'video'],
])('where the bridge says nothing, %s goes as %s', (mimeType, kind) => {
  for (const features of [
    null,
    readRoomFeatures({}),
    readRoomFeatures({ file: 'nonsense', max_text_length: '1' }),
  ])
    expect(planFile(file(mimeType), 'look', features)).toEqual({
      kind,
      mimeType,
      isCaptionApart: false,
    } as never)
})

test('a picture with more pixels than the network shows goes as a file', () => {
  const pictures = { mime_types: { 'image/jpeg': 2 }, max_width: 4_096, max_height: 4_000 }
  const kindOf = (
    width: number,
    height: number,
    files: object = { 'm.file': { mime_types: { '*/*': 2 } } },
  ) =>
    planned(
      file('image/jpeg', { width, height }),
      readRoomFeatures({ id: 'a', file: { 'm.image': pictures, ...files } }),
    )
  expect(kindOf(4_096, 4_000)).toBe('image image/jpeg')
  expect(kindOf(4_097, 10)).toBe('file image/jpeg')
  expect(kindOf(10, 4_001)).toBe('file image/jpeg')
  // Where there are no files, the limit is told.
  expect(kindOf(4_097, 10, {})).toEndWith('takes images of at most 4096 pixels across here')
  expect(kindOf(10, 4_001, {})).toEndWith('takes images of at most 4000 pixels down here')
})

describe('a caption', () => {
  const apart = (mimeType: string, caption: string | null) => {
    const plan = planFile(file(mimeType), caption, FEATURES)
    return 'unsupported' in plan ? plan.unsupported.words : plan.isCaptionApart
  }
  test('goes by itself where the network drops it, or has no room for it', () => {
    expect(apart('audio/mpeg', 'listen')).toBe(true)
    expect(apart('audio/mpeg', null)).toBe(false)
    expect(apart('image/jpeg', 'look')).toBe(false)
    expect(apart('video/mp4', 'short')).toBe(false)
    expect(apart('video/mp4', 'longer')).toBe(true)
  })

  test('that is too long for a message, too, keeps its file back', () => {
    expect(apart('audio/mpeg', 'x'.repeat(21))).toContain('takes texts of at most 20 characters here, not 21')
  })
})

test('a text is counted in characters', () => {
  expect(unsupportedText('😀'.repeat(20), FEATURES)).toBeNull()
  expect(unsupportedText('😀'.repeat(21), FEATURES)).toEqual({
    feature: 'max_text_length',
    limit: 20,
    words: 'takes texts of at most 20 characters here, not 21',
  })
  expect(unsupportedText('x'.repeat(100_000), null)).toBeNull()
})

describe('the limit that is told', () => {
  const limitOf = (of: ReturnType<typeof file>, state: Record<string, unknown>) => {
    const plan = planFile(of, null, readRoomFeatures({ id: 'a', ...state }))
    return 'unsupported' in plan ? plan.unsupported : plan
  }
  const large = file('video/mp4', { sizeBytes: 20 * 1024 * 1024 })
  const listed = (max_size?: number) => ({ mime_types: { '*/*': 2 }, max_size })

  test('is a size as people say it, of the kind that takes most', () => {
    const file = { 'm.video': listed(16 * 1024 * 1024), 'm.file': listed(18_000_000) }
    expect(limitOf(large, { file })).toEqual({
      feature: 'max_size',
      limit: 18_000_000,
      words: 'takes files of at most 18 MB here',
    })
    expect(limitOf(large, { file: { 'm.video': listed(16 * 1024 * 1024) } })).toEqual({
      feature: 'max_size',
      limit: 16 * 1024 * 1024,
      words: 'takes videos of at most 16 MB here',
    })
  })

  test('is a duration, where there is no other way', () => {
    const voice = { mime_types: { [OPUS]: 2 }, max_duration: 300 }
    const long = file(OPUS, { durationMs: 300_001 })
    expect(limitOf(long, { file: { 'org.matrix.msc3245.voice': voice } })).toEqual({
      feature: 'max_duration',
      limit: 300,
      words: 'takes voice messages of at most 5 minutes here',
    })
  })

  test('is a type, or a kind, without a number', () => {
    const images = { 'm.image': { mime_types: { 'image/png': 2 } } }
    expect(limitOf(file('image/jpeg'), { file: images })).toEqual({
      feature: 'mime_types',
      limit: null,
      words: 'takes no images of the type image/jpeg here',
    })
    // A state with its name lists all there is: without files, there are none.
    expect(limitOf(file('image/jpeg'), {})).toEqual({
      feature: 'file',
      limit: null,
      words: 'takes no images here',
    })
  })
})

describe('a file that is to be shown as one kind', () => {
  const as = (kind: FileKind, of: ReturnType<typeof file>, features: RoomFeatures | null = FEATURES) => {
    const plan = planFile(of, 'hi', features, kind)
    if ('unsupported' in plan) return plan.unsupported.words
    return `${plan.kind} ${plan.mimeType}${plan.isCaptionApart ? ', then its caption' : ''}`
  }

  test.each([
    ['file', file('image/jpeg'), 'file image/jpeg'],
    ['image', file('application/pdf'), 'takes no images of the type application/pdf here'],
    ['audio', file(OPUS, { durationMs: 1 }), 'audio audio/ogg; codecs=opus, then its caption'],
    ['voice', file(OPUS, { durationMs: 1 }), 'voice audio/ogg; codecs=opus, then its caption'],
    ['voice', file('audio/mpeg'), 'takes voice messages as Ogg with Opus alone, not audio/mpeg'],
    ['sticker', file('image/webp'), 'takes no stickers here'],
    ['gif', file('video/mp4'), 'takes no GIFs here'],
  ] as const)('%s of %j', (kind, of, expected) => {
    expect(as(kind, of)).toBe(expected)
  })

  test('where the bridge says what stickers and GIFs it takes, and where it says nothing', () => {
    const features = readRoomFeatures({
      file: {
        'm.sticker': { mime_types: { 'image/webp': 2 }, caption: -1 },
        'fi.mau.gif': { mime_types: { 'video/mp4': 2 }, caption: 2 },
      },
    })
    expect(as('sticker', file('image/webp'), features)).toBe('sticker image/webp, then its caption')
    expect(as('sticker', file('image/gif'), features)).toBe('takes no stickers of the type image/gif here')
    expect(as('gif', file('video/mp4'), features)).toBe('gif video/mp4')
    expect(as('gif', file('image/gif'), null)).toBe('gif image/gif')
    expect(as('sticker', file('image/png'), null)).toBe('sticker image/png')
  })
})

describe('a mention, a place or a poll', () => {
  const plan = (content: SendContent, features: Record<string, unknown>) => {
    const message = { text: null, file: undefined, isReply: false, content }
    const found = planMessage(message, readRoomFeatures(features))
    return 'unsupported' in found ? found.unsupported : null
  }
  const location = { latitude: 1, longitude: 2 }
  const poll = { question: 'q', options: ['a', 'bcd', 'e'] }

  test('a place is refused only where the network says so; elsewhere something stands in for it', () => {
    for (const location_message of [undefined, -1, 0, 1, 2])
      expect(plan({ location }, { id: 'x', location_message })).toBeNull()
    expect(plan({ location }, { location_message: -2 })).toEqual({
      feature: 'location_message',
      limit: null,
      words: 'takes no locations here',
    })
  })

  test.each([
    [{}, true],
    [{ formatting: { user_link: 2 } }, true],
    [{ id: 'x', formatting: { user_link: 1 } }, true],
    [{ id: 'x' }, false],
    [{ formatting: { bold: 2 } }, false],
    [{ formatting: { user_link: -1 } }, false],
  ])('a mention with the features %j', (features, isTaken) => {
    const unsupported = { feature: 'mentions' as const, limit: null, words: 'takes no mentions here' }
    expect(plan({ mentions: ['1'] }, features)).toEqual(isTaken ? null : unsupported)
  })

  test.each([
    [{}, null],
    [{ id: 'x' }, { feature: 'poll', limit: null, words: 'takes no polls here' }],
    [{ poll: -2 }, { feature: 'poll', limit: null, words: 'takes no polls here' }],
    [{ poll: 2 }, null],
    [{ poll: 1, poll_max_options: 3, poll_option_max_length: 3 }, null],
    [
      { poll: 2, poll_max_options: 2 },
      { feature: 'poll_max_options', limit: 2, words: 'takes polls of at most 2 options here, not 3' },
    ],
    [
      { poll: 2, poll_option_max_length: 2 },
      {
        feature: 'poll_option_max_length',
        limit: 2,
        words: 'takes options of a poll of at most 2 characters here, not 3',
      },
    ],
  ] as const)('a poll with the features %j', (features, unsupported) => {
    expect(plan({ poll }, features)).toEqual(unsupported as never)
  })
})

test('an answer is refused only where the network says so; elsewhere it arrives without its quote', () => {
  const plan = (reply?: number) =>
    planMessage({ text: 'yes', file: undefined, isReply: true }, readRoomFeatures({ reply }))
  for (const level of [undefined, -1, 0, 1, 2]) expect(plan(level)).toEqual({ file: null })
  expect(plan(-2)).toEqual({
    unsupported: { feature: 'reply', limit: null, words: 'takes no replies here' },
  })
})
