/** The lines of a program's output, however it comes in pieces. */
import { expect, test } from 'bun:test'
import { linesOf } from '../../../src/runtime/lines.ts'

async function lines(...pieces: string[]): Promise<string[]> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece))
      controller.close()
    },
  })
  return Array.fromAsync(linesOf(stream))
}

test.each([
  [['one\ntwo\n'], ['one', 'two']],
  [
    ['on', 'e\ntw', 'o'],
    ['one', 'two'],
  ],
  [['\n\none\r\n\n'], ['one']],
  [['\u001b[90mgrey\u001b[0m plain\n'], ['grey plain']],
  [[], []],
])('%p are %p', async (pieces, expected) => {
  expect(await lines(...pieces)).toEqual(expected)
})

test('a letter cut in two by the pieces is whole', async () => {
  const bytes = new TextEncoder().encode('é\n')
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.slice(0, 1))
      controller.enqueue(bytes.slice(1))
      controller.close()
    },
  })
  expect(await Array.fromAsync(linesOf(stream))).toEqual(['é'])
})

test('a line that is too long is cut, in one piece or in many, and the next is whole', async () => {
  const cut = `${'x'.repeat(4_096)}… (cut)`
  expect(await lines(`${'x'.repeat(10_000)}\nnext\n`)).toEqual([cut, 'next'])
  expect(await lines(...Array.from({ length: 10 }, () => 'x'.repeat(1_000)), '\nnext\n')).toEqual([
    cut,
    'next',
  ])
  expect(await lines('x'.repeat(10_000), 'x'.repeat(10_000))).toEqual([cut])
})
