/** `meshgate setup`: writes .env with fresh secrets. An existing one is never touched. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { randomToken } from '../lib/tokens.ts'
import { codeOf } from './failures.ts'
import type { Terminal } from './terminal.ts'

export function setup(terminal: Terminal): void {
  const file = join(terminal.directory, '.env')
  terminal.print(writeFreshEnv(file) ? `wrote ${file} with fresh credentials` : `kept ${file} as it is`)
}

/** @returns false when the file exists already */
export function writeFreshEnv(file: string): boolean {
  let handle: number
  try {
    // `wx` fails when the file exists, so two setups at once can't overwrite each other either.
    handle = openSync(file, 'wx', 0o600)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
  try {
    writeSync(handle, freshEnv())
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  return true
}

/** Values have neither quotes nor "=", so that a shell script can cut them out of the file. */
function freshEnv(): string {
  return `# Settings of this gateway. Whoever reads this file can use it: keep it to yourself.
# .env.example lists every other setting. The environment wins over this file.

# The first credential (Basic authentication), a super admin.
CLIENT_ID=${randomToken('admin-', 6)}
CLIENT_SECRET=${randomToken('', 32)}

# Keys of stored tokens and secrets come from it: with another one, tokens stop working and stored secrets can't be read.
SECRET_KEY=${randomToken('', 32)}
`
}
