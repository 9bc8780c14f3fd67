/** The last output of a program, in a file that is begun anew when it is full. */
import { expect, test } from 'bun:test'
import { readFileSync, statSync } from 'node:fs'
import { OutputFile, outputFiles } from '../../../src/runtime/output-file.ts'
import { tempDir } from '../../support/temp-dir.ts'

test('a full file is put aside, one is kept, and a new run goes on in the last', () => {
  using folder = tempDir()
  const [before = '', file = ''] = outputFiles(folder.path)
  const first = new OutputFile(folder.path)
  const line = 'x'.repeat(1024 * 1024)
  for (let number = 0; number < 5; number++) first.write(`${number}${line}`)
  expect(readFileSync(before, 'utf8')).toStartWith('0x')
  expect(readFileSync(file, 'utf8')).toBe(`3${line}\n4${line}\n`)
  new OutputFile(folder.path).write('later')
  expect(readFileSync(file, 'utf8')).toEndWith('\nlater\n')
  expect(statSync(file).mode & 0o777).toBe(0o600)
})
