/** A long string is taken out of JSON, wherever its chunks are cut. */
import { describe, expect, test } from 'bun:test'
import { withoutLongString } from '../../../src/lib/long-json-string.ts'

/** @param size of the chunks, in bytes */
async function* cut(json: string, size: number) {
  const bytes = Buffer.from(json)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function take(json: string, size = 7) {
  let taken: string | undefined
  const rest = await withoutLongString(cut(json, size), {
    name: 'long',
    async read(bytes) {
      taken = ''
      for await (const piece of bytes) taken += Buffer.from(piece).toString('latin1')
    },
    holding: () => undefined,
  })
  return { taken, rest: rest.toString() }
}

describe.each([1, 2, 3, 5, 1_000])('in chunks of %d', size => {
  test.each([
    ['{"long":"abc"}', 'abc', '{"long":""}'],
    [
      '{ "a": "x", "long" : "abc" , "b": [1, {"c": "}"}] }',
      'abc',
      '{ "a": "x", "long" : "" , "b": [1, {"c": "}"}] }',
    ],
    ['{"l\\u006fng":"abc"}', 'abc', '{"l\\u006fng":""}'],
    ['{"long":""}', '', '{"long":""}'],
    ['{"long":"a\\/b\\u002Bc\\nd\\"e\\\\f"}', 'a/b+c\nd"e\\f', '{"long":""}'],
    ['{"a":"\\\\","long":"abc","b":"\\""}', 'abc', '{"a":"\\\\","long":"","b":"\\""}'],
    ['{"é":"ü","long":"abc","€":"𝄞"}', 'abc', '{"é":"ü","long":"","€":"𝄞"}'],
    ['{"long":"abc","long":"d"}', 'abc', '{"long":"","long":"d"}'],
    ['{"a":["long","b"],"long":"abc"}', 'abc', '{"a":["long","b"],"long":""}'],
    // Without its end, for the parser to refuse.
    ['{"long":"abc', 'abc', '{"long":"'],
  ])('of %s', async (json, taken, rest) => {
    expect(await take(json, size)).toEqual({ taken, rest })
  })

  test.each([
    '{"a":{"long":"abc"}}',
    '{"a":"long","b":"abc"}',
    '{"long":["abc"]}',
    '{"long":5,"a":"b"}',
    '[{"long":"abc"}]',
    '{"longer":"abc","lon":"g"}',
    '"long"',
    '',
  ])('nothing of %s', async json => {
    expect(await take(json, size)).toEqual({ taken: undefined, rest: json })
  })
})

test('a byte beyond one is no byte of a file', async () => {
  expect((await take('{"long":"a\\u20acb\\x"}')).taken).toBe('a\0b\0')
})

test('what the reader throws ends the reading, and so does a rest that is too long', async () => {
  const failing = withoutLongString(cut('{"long":"abc"}', 3), {
    name: 'long',
    read: () => Promise.reject(new Error('full')),
    holding: () => undefined,
  })
  await expect(failing).rejects.toThrow('full')
  const tooLong = withoutLongString(cut(`{"a":"${'x'.repeat(100)}"}`, 10), {
    name: 'long',
    read: async () => undefined,
    holding: bytes => {
      if (bytes > 50) throw new Error(`${bytes} bytes`)
    },
  })
  await expect(tooLong).rejects.toThrow('60 bytes')
})
