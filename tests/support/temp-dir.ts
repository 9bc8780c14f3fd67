/** A folder of a test's own: `using folder = tempDir()` removes it at the end of the scope. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempDir extends Disposable {
  path: string
  /** The path of a file in it. */
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
