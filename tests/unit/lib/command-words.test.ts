/** Splits a command line into words. */
import { expect, test } from 'bun:test'
import { commandWords } from '../../../src/lib/command-words.ts'

test.each([
  ['./mautrix-whatsapp', ['./mautrix-whatsapp']],
  ['  a   b\tc ', ['a', 'b', 'c']],
  [`a 'b c' "d e"`, ['a', 'b c', 'd e']],
  [`a'b'"c"d`, ['abcd']],
  [`a '' ""`, ['a', '', '']],
  [String.raw`a\ b "c\"d" 'e\f'`, ['a b', 'c"d', String.raw`e\f`]],
  ['', []],
])('%p', (line, words) => {
  expect(commandWords(line)).toEqual(words)
})

test('a quote that isn’t closed', () => {
  expect(() => commandWords(`a "b`)).toThrow(`the quote " isn't closed`)
})
