/**
 * `meshgate setup`: writes .env with fresh secrets, or fills in what is empty in the one that
 * exists.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { randomToken } from '../lib/tokens.ts'
import { codeOf } from './failures.ts'
import type { Terminal } from './terminal.ts'

export function setup(terminal: Terminal): void {
  const file = join(terminal.directory, '.env')
  terminal.print(writeCredentials(file) ?? `kept ${file} as it is`)
}

/** @returns what was done to the file; null when it needed nothing */
export function writeCredentials(file: string): string | null {
  if (existsSync(file)) {
    const filled = fillEmpty(file)
    return filled.length > 0 ? `filled in ${filled.join(', ')}, which were empty in ${file}` : null
  }
  return writeFreshEnv(file) ? `wrote ${file} with fresh credentials` : null
}

/** Values have neither quotes nor "=", so that a shell script can cut them out of the file. */
const FRESH: Readonly<Record<string, () => string>> = {
  CLIENT_ID: () => randomToken('admin-', 6),
  CLIENT_SECRET: () => randomToken('', 32),
  SECRET_KEY: () => randomToken('', 32),
}

/** @returns false when the file exists already */
function writeFreshEnv(file: string): boolean {
  try {
    // `wx` fails when the file exists, so two setups at once can't overwrite each other either.
    writeOwnersOnly(file, freshEnv(), 'wx')
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Fills in the names without values that a copy of .env.example has. Keeps existing values and adds
 * no names: a missing one may come from the environment.
 * @returns the names of what was filled in
 */
function fillEmpty(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const filled: string[] = []
  let better = text
  for (const [name, fresh] of Object.entries(FRESH)) {
    const settings = [...better.matchAll(new RegExp(`^[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=(.*)$`, 'gm'))]
    const last = settings.at(-1)
    if (last === undefined || settings.some(([, value = '']) => !EMPTY.test(value))) continue
    better = `${better.slice(0, last.index)}${name}=${fresh()}${better.slice(last.index + last[0].length)}`
    filled.push(name)
  }
  if (filled.length > 0) {
    // A link leads to the file that is meant.
    const target = realpathSync(file)
    writeOwnersOnly(`${target}.new`, better, 'w')
    renameSync(`${target}.new`, target)
  }
  return filled
}

/** Blanks, quotes with nothing in them, a comment. */
const EMPTY = /^[ \t]*(?:''|""|``)?[ \t]*(?:(?<=[ \t])#.*)?$/

function writeOwnersOnly(file: string, text: string, flags: 'w' | 'wx'): void {
  const handle = openSync(file, flags, 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function freshEnv(): string {
  const { CLIENT_ID, CLIENT_SECRET, SECRET_KEY } = FRESH
  return `# Settings of this gateway. Whoever reads this file can use it: keep it to yourself.
# .env.example lists every other setting. The environment wins over this file.

# The first credential (Basic authentication), a super admin.
CLIENT_ID=${CLIENT_ID?.()}
CLIENT_SECRET=${CLIENT_SECRET?.()}

# Keys of stored tokens and secrets come from it: with another one, tokens stop working and stored secrets can't be read.
SECRET_KEY=${SECRET_KEY?.()}
`
}
