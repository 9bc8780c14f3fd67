/** A file is complete or absent. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { writeDurably } from '../../../src/lib/durable-file.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

let folder: TempDir
beforeEach(() => {
  folder = tempDir()
})
afterEach(() => folder[Symbol.dispose]())

const write = (stream: AsyncIterable<Uint8Array>, maxBytes = 100) =>
  writeDurably(
    {
      path: folder.file('whole'),
      temporary: folder.file('part'),
      maxBytes,
      tooLarge: () => new Error('too large'),
    },
    stream,
  )

async function* chunks(...texts: (string | Error)[]) {
  for (const text of texts) {
    if (text instanceof Error) throw text
    yield Buffer.from(text)
  }
}

test('what was streamed is there in one piece, under its name alone', async () => {
  expect(await write(chunks('one ', 'two'))).toBe(7)
  expect(readdirSync(folder.path)).toEqual(['whole'])
  expect(readFileSync(folder.file('whole'), 'utf8')).toBe('one two')
})

describe('nothing is left behind', () => {
  test('of what is too large', async () => {
    await expect(write(chunks('12345', '67890'), 9)).rejects.toThrow('too large')
    expect(readdirSync(folder.path)).toEqual([])
  })

  test('of what breaks off', async () => {
    await expect(write(chunks('12345', new Error('gone')))).rejects.toThrow('gone')
    expect(readdirSync(folder.path)).toEqual([])
  })
})
