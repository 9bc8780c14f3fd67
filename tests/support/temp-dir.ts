/** A test's own folder, removed at the end of the scope: `using folder = tempDir()`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempDir extends Disposable {
  path: string
  /** Path of a file in the folder. */
  file(name: string): string
}

export function tempDir(): TempDir {
  const path = mkdtempSync(join(tmpdir(), 'meshgate-test-'))
  return {
    path,
    file: name => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}
