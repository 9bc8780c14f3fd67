/** Finds the database in a bridge's configuration. */
import { parseDocument } from 'yaml'

/** Today's bridges; older ones in Go; those in Python. */
const PATHS = [
  ['database', 'uri'],
  ['appservice', 'database', 'uri'],
  ['appservice', 'database'],
]

/** @returns the file as it is given, relative to the bridge's folder; null when it is a server */
export function databaseFileIn(config: string): string | null {
  const doc = parseDocument(config)
  const uri = PATHS.map(path => doc.getIn(path)).find(value => typeof value === 'string')
  if (typeof uri !== 'string') return null
  return /^(?:file|sqlite):(?:\/\/(?=\/))?([^?]+)/.exec(uri)?.[1] ?? null
}
