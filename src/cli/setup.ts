/** `meshgate setup`: writes .env with fresh secrets, or fills in an existing one's empty ones. */
import { existsSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { databaseFileOf, readEnvSource } from '../config/index.ts'
import { codeOf } from '../lib/error-codes.ts'
import { randomToken } from '../lib/tokens.ts'
import { CommandError, type Terminal } from './terminal.ts'

export function setup(terminal: Terminal): void {
  terminal.print(writeCredentials(terminal) ?? `kept ${envFileOf(terminal)} as it is`)
}

/**
 * @returns a description of the change to .env; null when it needed none
 * @throws CommandError when it lacks the SECRET_KEY of an existing database
 */
export function writeCredentials(terminal: Terminal): string | null {
  const file = envFileOf(terminal)
  if (!existsSync(file)) {
    refuseNewKey(terminal)
    return writeFreshEnv(file) ? `wrote ${file} with fresh credentials` : null
  }
  const { text, filled } = filledIn(readFileSync(file, 'utf8'))
  if (filled.length === 0) return null
  if (filled.includes('SECRET_KEY')) refuseNewKey(terminal)
  // Replaces a link's target, not the link.
  const target = realpathSync(file)
  writeOwnersOnly(`${target}.new`, text, 'w')
  renameSync(`${target}.new`, target)
  return `filled in ${filled.join(', ')}, which ${filled.length === 1 ? 'was' : 'were'} empty in ${file}`
}

function envFileOf({ directory }: Terminal): string {
  return join(directory, '.env')
}

/** A database opens only with the key it was written with. */
function refuseNewKey({ directory, environment }: Terminal): void {
  const source = readEnvSource(directory, environment)
  const database = databaseFileOf(source, directory)
  // An empty file holds nothing yet.
  if (source.SECRET_KEY || !existsSync(database) || statSync(database).size === 0) return
  throw new CommandError(
    `SECRET_KEY: is missing, and ${database} was written with one: set that key again; or start over without the data, by moving ${dirname(database)} away`,
  )
}

/** Values contain neither quotes nor "=", so that a shell script can cut them out of the file. */
const FRESH = {
  CLIENT_ID: () => randomToken('admin-', 6),
  CLIENT_SECRET: () => randomToken('', 32),
  SECRET_KEY: () => randomToken('', 32),
}

/** @returns false when the file already exists */
function writeFreshEnv(file: string): boolean {
  try {
    // `wx` fails if the file exists, so that two setups at once can't overwrite each other.
    writeOwnersOnly(file, freshEnv(), 'wx')
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Fills in names without values, as in a copy of .env.example. Keeps existing values and adds no
 * names: a missing one may come from the environment.
 * @returns the text and the names filled in
 */
function filledIn(before: string): { text: string; filled: string[] } {
  const filled: string[] = []
  let text = before
  for (const [name, fresh] of Object.entries(FRESH)) {
    const settings = [...text.matchAll(new RegExp(`^[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=(.*)$`, 'gm'))]
    // The last one counts when the file is read.
    const last = settings.at(-1)
    if (last === undefined || !EMPTY.test(last[1] ?? '')) continue
    text = `${text.slice(0, last.index)}${name}=${fresh()}${text.slice(last.index + last[0].length)}`
    filled.push(name)
  }
  return { text, filled }
}

/** Blanks, empty quotes, a comment. */
const EMPTY = /^[ \t]*(?:''|""|``)?[ \t]*(?:(?<=[ \t])#.*)?$/

function writeOwnersOnly(file: string, text: string, flag: 'w' | 'wx'): void {
  writeFileSync(file, text, { flag, mode: 0o600, flush: true })
}

function freshEnv(): string {
  const { CLIENT_ID, CLIENT_SECRET, SECRET_KEY } = FRESH
  return `# Settings of this gateway. Whoever reads this file can use it: keep it to yourself.
# .env.example lists every other setting. The environment wins over this file.

# The first credential (Basic authentication), a super admin.
CLIENT_ID=${CLIENT_ID()}
CLIENT_SECRET=${CLIENT_SECRET()}

# Keys of stored tokens and secrets come from it: with another one, tokens stop working and stored secrets can't be read.
SECRET_KEY=${SECRET_KEY()}
`
}
