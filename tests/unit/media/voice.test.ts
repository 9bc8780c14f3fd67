/** Length and waveform of voice messages, computed without blocking others. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { describeVoice } from '../../../src/modules/media/describe-voice.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'
import { pagesOf, RECORDING, recordingOf } from '../../support/recording.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

let folder: TempDir
beforeEach(() => {
  folder = tempDir()
})
afterEach(() => folder[Symbol.dispose]())

function describing(bytes: Uint8Array) {
  const path = folder.file('voice.ogg')
  writeFileSync(path, bytes)
  return describeVoice(path, bytes.length)
}
const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** Expects half a second of sound, half a second of near silence, and both again. */
function expectItsShape(waveform: readonly number[] = []) {
  expect(waveform).toHaveLength(64)
  expect(Math.max(...waveform)).toBeLessThanOrEqual(1024)
  const quarters = [0, 16, 32, 48].map(from => average(waveform.slice(from + 3, from + 13)))
  const [loud = 0, quiet = 0, again = 0, atLast = 0] = quarters
  expect(Math.min(loud, again)).toBeGreaterThan(5 * Math.max(quiet, atLast))
}

test('a short one is heard as a whole', async () => {
  const voice = await describing(RECORDING)
  expect(voice?.durationMs).toBe(2_000)
  expectItsShape(voice?.waveform)
})

test('of a long one a little is heard of every part, and nobody else waits for it', async () => {
  const long = recordingOf(60 * 60)
  expect(long.length).toBeGreaterThan(4 * 1024 * 1024)
  const voice = await describing(long)
  expect(voice?.durationMs).toBe(3_600_000)
  expect(voice?.waveform).toHaveLength(64)
  expect(average(voice?.waveform ?? [])).toBeGreaterThan(10)
  await expectShortTurns(() => describeVoice(folder.file('voice.ogg'), long.length))
})

/** The recording with another end, in samples, in its last page. */
function endingAt(position: bigint): Uint8Array {
  const pages = pagesOf(RECORDING).map(page => Buffer.from(page))
  for (const page of pages.slice(2)) page.writeBigInt64LE(position, 6)
  return Buffer.concat(pages)
}

test('one of as many packets as a file can name holds nobody up', async () => {
  const [head, tags, ...sound] = pagesOf(RECORDING)
  const page = Buffer.concat([sound.at(-1)?.subarray(0, 26) ?? Buffer.alloc(0), Buffer.alloc(256)])
  page.writeUInt8(255, 26)
  const pages = Array.from({ length: Math.floor((1024 * 1024 - 10_000) / page.length) }, () => page)
  const bytes = Buffer.concat([head ?? Buffer.alloc(0), tags ?? Buffer.alloc(0), ...pages])
  await describing(bytes)
  await expectShortTurns(() => describeVoice(folder.file('voice.ogg'), bytes.length))
})

test.each<[string, () => Uint8Array]>([
  ['an empty file', () => new Uint8Array(0)],
  ['one that is cut off in its head', () => RECORDING.subarray(0, 60)],
  ['one that ends after millions of years', () => endingAt(2n ** 62n)],
  ['one that ends before it begins', () => endingAt(-2n)],
  ['one without sound', () => Buffer.concat(pagesOf(RECORDING).slice(0, 2))],
  ['one with broken sound', () => new Uint8Array(RECORDING).fill(0xff, 600, 2_500)],
  ['no recording', () => new Uint8Array(5_000).fill(7)],
])('%s is no voice message', async (_what, bytes) => {
  expect(await describing(bytes())).toBeNull()
})

test('one that is cut off is as long as what is left of it', async () => {
  const cut = await describing(RECORDING.subarray(0, 2_000))
  expect(cut?.durationMs).toBeWithin(500, 1_999)
})
