/** Forms part by part, in chunks of any size; an incomplete form is an error, never a lost part. */
import { describe, expect, test } from 'bun:test'
import { boundaryOf, partsOf } from '../../../src/lib/multipart.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'

const BOUNDARY = '--x-y'
async function* inPieces(body: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size)
}
async function read(body: string | Buffer, size = 7): Promise<[string, string | null, string][]> {
  const found: [string, string | null, string][] = []
  for await (const { name, fileName, body: content } of partsOf(
    inPieces(Buffer.from(body), size),
    BOUNDARY,
  )) {
    const chunks = await Array.fromAsync(content)
    found.push([name, fileName?.() ?? null, Buffer.concat(chunks).toString('latin1')])
  }
  return found
}
const part = (headers: string, content: string) =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; ${headers}\r\n\r\n${content}\r\n`
const END = `--${BOUNDARY}--`

const ALMOST = `\r\n--${BOUNDARY}z\r\n--${BOUNDARY}-\r\n-\r\n--\r\n\r--${BOUNDARY}\r\n--${BOUNDARY}${' '.repeat(400)}\r\n`
const FORM = [
  'This is a preamble\r\n',
  part('name="a"', ''),
  part('name="b"', ALMOST),
  `--${BOUNDARY} \t\r\ncontent-type: application/octet-stream\r\ncontent-disposition: form-data;\r\n\tname=c\r\n\r\n\r\n\r\n\r\n`,
  part('name="d"; filename="d.txt"', 'x'.repeat(100)),
  END,
  `\r\nand an epilogue\r\n${part('name="no"', 'part')}`,
].join('')

test('a form is the same in however small pieces it comes in', async () => {
  for (let size = 1; size < 200; size++)
    expect(await read(FORM, size)).toEqual([
      ['a', null, ''],
      ['b', null, ALMOST],
      ['c', '', '\r\n\r\n'],
      ['d', 'd.txt', 'x'.repeat(100)],
    ])
})

test('a part that nobody reads, or not to its end, is left behind', async () => {
  const names: string[] = []
  for await (const { name, body } of partsOf(inPieces(Buffer.from(FORM), 3), BOUNDARY)) {
    names.push(name)
    for await (const _ of body) if (name !== 'a') break
  }
  expect(names).toEqual(['a', 'b', 'c', 'd'])
})

test('whoever stops ends the reading of the body', async () => {
  let ended = false
  async function* body() {
    try {
      yield Buffer.from(FORM)
    } finally {
      ended = true
    }
  }
  for await (const _ of partsOf(body(), BOUNDARY)) break
  expect(ended).toBe(true)
})

describe('is no form', () => {
  test.each([
    ['nothing', ''],
    ['no boundary', 'name=value'],
    ['cut off in a delimiter', `--${BOUNDARY}`],
    ['cut off in a header', `--${BOUNDARY}\r\nContent-Dis`],
    ['cut off in a part', FORM.slice(0, 300)],
    ['no end', part('name="a"', 'b')],
    ['a part without headers', `--${BOUNDARY}\r\n\r\nx\r\n${END}`],
    ['a part of another kind', `--${BOUNDARY}\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n${END}`],
    ['a header without end', `--${BOUNDARY}\r\nX: ${'x'.repeat(20_000)}`],
    ['a header that is too large', part(`name="${'x'.repeat(20_000)}"`, '') + END],
  ])('%s', async (_what, body) => {
    await expect(read(body)).rejects.toMatchObject({ name: 'MalformedForm' })
  })
})

test.each([
  ['a name that is not closed', 'name="café"; filename="a.txt'],
  ['a line that is no header', 'name="café"; filename="a.txt"\r\nContent-Transfer-Encoding base64'],
])('%s is an error that names the field', async (_what, headers) => {
  await expect(read(part(headers, '') + END)).rejects.toMatchObject({ name: 'MalformedForm', field: 'café' })
})

test.each([
  ['multipart/form-data; boundary=abc', 'abc'],
  ['Multipart/Form-Data ; charset=x; Boundary="a b;c"', 'a b;c'],
  ['multipart/form-data', null],
  ['multipart/form-data; boundary=', null],
  ['multipart/mixed; boundary=abc', null],
])('the boundary of %s is %p', (type, boundary) => expect(boundaryOf(type)).toBe(boundary))

test.each([
  ['what could begin a delimiter', '\r\n--'.repeat(50_000)],
  ['delimiters that go on otherwise', `\r\n--${BOUNDARY}z`.repeat(30_000)],
  ['white space behind a delimiter', `\r\n--${BOUNDARY}${' '.repeat(300_000)}`],
])('a part of nothing but %s takes no longer than another', async (_what, content) => {
  const body = part('name="a"', content) + END
  await expectShortTurns(async () => {
    expect(await read(body, 65_536)).toEqual([['a', null, content]])
  })
})

test('parts that nobody waits for cost nothing, though they came with those that are read', async () => {
  const body = Buffer.from(part('name="a"', '').repeat(50_000) + END)
  await expectShortTurns(async () => {
    const parts = partsOf(inPieces(body, body.length), BOUNDARY)
    for (let read = 0; read < 40; read++) expect((await parts.next()).value?.name).toBe('a')
    await parts.return(undefined)
  })
})

test.each([
  `${'a="b"; '.repeat(1_500)}"`,
  `x="${'\\'.repeat(15_000)}`,
  `${';'.repeat(16_000)}"`,
  'filename="a',
])('a header that can’t be read costs no time', async params => {
  await expectShortTurns(() => expect(read(part(`name="file"; ${params}`, '') + END)).rejects.toThrow())
})
