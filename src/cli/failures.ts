/** Prints failures on the command line: expected ones in one line, defects with their stack. */
import { ConfigError } from '../config/index.ts'
import { NewerDatabaseError } from '../db/migrate.ts'
import { GatewayError, isStorageTrouble, messageOf, StartError } from '../domain/errors.ts'
import { codeOf } from '../lib/error-codes.ts'
import { CommandError } from './terminal.ts'

const EXPECTED = [ConfigError, StartError, CommandError, GatewayError, NewerDatabaseError]

/** Failures of the machine, not the program: an unwritable folder, a full or locked disk, … */
const SYSTEM_CODE = /^(E[A-Z]+|SQLITE_[A-Z_]+)$/

export function describeFailure(error: unknown): string {
  const expected = EXPECTED.some(kind => error instanceof kind) || SYSTEM_CODE.test(codeOf(error))
  if (expected || !(error instanceof Error)) return `meshgate: ${messageOf(error)}`
  return `meshgate: this is a defect: ${error.stack ?? error.message}`
}

/** Names the file, which SQLite's messages leave out. */
export function namingDatabase(error: unknown, databaseFile: string): unknown {
  const failure = isStorageTrouble(error) ? error.cause : error
  if (!codeOf(failure).startsWith('SQLITE_')) return error
  return new CommandError(`DATA_DIR: ${databaseFile}: ${messageOf(failure)}`)
}
