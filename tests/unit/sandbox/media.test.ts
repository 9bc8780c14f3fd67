/** The simulated network's files: a start removes the remains of a kill. */
import { expect, test } from 'bun:test'
import { readdirSync, writeFileSync } from 'node:fs'
import { MediaFiles } from '../../../src/sandbox/network/media.ts'
import { tempDir } from '../../support/temp-dir.ts'

test('files that were cut off and files that no message has are removed', async () => {
  using folder = tempDir()
  for (const name of ['sent', 'orphan', 'half.tmp']) writeFileSync(folder.file(name), 'x')
  await new MediaFiles(folder.path, 1_000).sweep(id => id === 'sent')
  expect(readdirSync(folder.path)).toEqual(['sent'])
})
