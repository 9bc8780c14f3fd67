/**
 * Files in chats of real networks, by what their bridges state: gmessages v26.05, linkedin v26.04,
 * slack and meta v26.07, signal and telegram v26.08, with and without ffmpeg.
 */
import { expect, test } from 'bun:test'
import { readRoomFeatures } from '../../../src/matrix/room-features.ts'
import { planFile } from '../../../src/modules/chats/capabilities.ts'

const OPUS = 'audio/ogg; codecs=opus'
const MIB = 1024 * 1024
const types = (level: number, ...names: string[]) => Object.fromEntries(names.map(name => [name, level]))
const voice = (mime_types: object, more: object = {}) => ({
  'org.matrix.msc3245.voice': { mime_types, ...more },
})
const FILES: Record<string, Record<string, object>> = {
  rcs: {
    'm.image': { mime_types: types(2, 'image/png', 'image/jpeg', 'image/gif'), max_size: 100 * MIB },
    'm.audio': { mime_types: types(2, 'audio/aac', 'audio/ogg', 'audio/mp4'), max_size: 100 * MIB },
    'm.file': { mime_types: types(2, 'application/*', 'text/*'), max_size: 100 * MIB },
    ...voice({ 'audio/ogg': -2, 'audio/mp4': 2 }),
  },
  linkedin: {
    'm.image': { mime_types: types(2, 'image/png'), caption: 2, max_caption_length: 8_000 },
    'm.file': { mime_types: types(2, '*/*'), caption: 2, max_size: 20 * MIB },
    ...voice({ 'audio/ogg': 1, 'audio/mp4': 2 }, { caption: 2, max_duration: 60 }),
  },
  slack: {
    'm.audio': { mime_types: types(2, 'audio/mpeg', 'audio/webm'), caption: 2 },
    'm.file': { mime_types: types(2, '*/*'), caption: 2 },
    ...voice({ 'audio/webm; codecs=opus': 2, 'audio/mp4': 2 }, { max_duration: 300 }),
  },
  meta: {
    'm.image': { mime_types: types(2, 'image/jpeg'), caption: 2, max_size: 8_000_000 },
    'm.file': { mime_types: types(2, '*/*'), caption: 2, max_size: 25_000_000 },
  },
  signal: {
    'm.image': { mime_types: types(2, 'image/jpeg'), caption: 2, max_width: 4_096, max_height: 4_096 },
    'm.audio': { mime_types: types(2, 'audio/aac', 'audio/mpeg', 'audio/mp3') },
    'm.file': { mime_types: types(2, '*/*'), caption: 2, max_caption_length: 2_000 },
    ...voice({ 'audio/aac': 2, 'audio/ogg': -2 }, { caption: -1, max_duration: 3_600 }),
  },
  telegram: {
    'm.image': { mime_types: { 'image/jpeg': 2, 'image/png': 1 }, caption: 2, max_size: 10 * MIB },
    'm.file': { mime_types: types(2, '*/*'), caption: 2, max_caption_length: 1_024 },
    ...voice(types(2, 'audio/ogg', 'audio/mp4'), { caption: 2, max_caption_length: 1_024 }),
  },
  // Its state has a name and nothing else.
  'telegram topics': {},
}

test.each<[string, string, { sizeBytes?: number; durationMs?: number; width?: number }, string]>([
  ['rcs', 'image/jpeg', {}, 'image, caption apart'],
  ['rcs', OPUS, { durationMs: 1_000 }, 'audio, caption apart'],
  ['rcs', 'application/pdf', {}, 'file, caption apart'],
  ['rcs', 'image/heic', {}, 'takes no images of the type image/heic here'],
  ['linkedin', OPUS, { durationMs: 59_000 }, 'voice'],
  ['linkedin', OPUS, { durationMs: 61_000 }, 'file'],
  ['linkedin', 'audio/mpeg', {}, 'file'],
  ['linkedin', 'application/zip', { sizeBytes: 21 * MIB }, 'takes files of at most 20 MB here'],
  ['slack', OPUS, { durationMs: 1_000 }, 'file'],
  ['slack', 'audio/mpeg', {}, 'audio'],
  ['meta', 'image/jpeg', { sizeBytes: 9_000_000 }, 'file'],
  ['meta', 'image/jpeg', { sizeBytes: 25_000_001 }, 'takes files of at most 25 MB here'],
  ['signal', 'audio/mpeg', {}, 'audio, caption apart'],
  ['signal', OPUS, { durationMs: 1_000 }, 'file'],
  ['signal', 'image/jpeg', { width: 6_000 }, 'file'],
  ['telegram', OPUS, { durationMs: 1_000 }, 'voice'],
  ['telegram', 'image/png', { sizeBytes: 11 * MIB }, 'file'],
  ['telegram topics', 'image/png', {}, 'takes no images here'],
])('on %s, %s %j: %s', (network, mimeType, of, expected) => {
  const file = { mimeType, sizeBytes: 1_000, durationMs: 0, width: 10, height: 10, ...of }
  const files = FILES[network]
  const state = { id: network, ...(Object.keys(files ?? {}).length > 0 && { file: files }) }
  const plan = planFile(file, 'a caption', readRoomFeatures(state))
  const said =
    'unsupported' in plan
      ? plan.unsupported.words
      : `${plan.kind}${plan.isCaptionApart ? ', caption apart' : ''}`
  expect(said).toBe(expected)
})
