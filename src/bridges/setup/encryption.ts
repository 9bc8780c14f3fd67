/**
 * Finds out if a bridge's configuration turns on end-to-end encryption: the gateway can neither
 * read nor answer messages in such chats.
 */
import { type Document, parseDocument } from 'yaml'
import { GatewayError } from '../../domain/errors.ts'

/** Sections in today's and in older bridges. */
const SECTIONS = [['encryption'], ['bridge', 'encryption']]
const SWITCHES = ['allow', 'default', 'require']

/** @returns the setting that turns it on; null for none, or when the text isn't YAML */
export function encryptionIn(config: string): string | null {
  const doc = parseDocument(config)
  return doc.errors.length > 0 ? null : encryptionSetting(doc)
}

/** @throws GatewayError bad_request */
export function refuseEncryption(doc: Document): void {
  const setting = encryptionSetting(doc)
  if (setting === null) return
  throw new GatewayError(
    'bad_request',
    `${setting}: expected false, as the gateway can't read chats that are end-to-end encrypted`,
  )
}

function encryptionSetting(doc: Document): string | null {
  const paths = SECTIONS.flatMap(section => SWITCHES.map(key => [...section, key]))
  // Bridges accept more than `true`, such as `yes` or "true".
  return paths.find(path => (doc.getIn(path) ?? false) !== false)?.join('.') ?? null
}
