/**
 * Tells whether a bridge's configuration turns end-to-end encryption on: messages in such chats
 * could neither be read nor answered.
 */
import { type Document, parseDocument } from 'yaml'
import { GatewayError } from '../../domain/errors.ts'

/** Where today's bridges have it, and where older ones had it. */
const SECTIONS = [['encryption'], ['bridge', 'encryption']]
const SWITCHES = ['allow', 'default', 'require']

/** @returns the setting that turns it on, null when none does, or when the text isn't YAML */
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
  // Bridges take more than `true` for true, such as `yes` or "true".
  return paths.find(path => (doc.getIn(path) ?? false) !== false)?.join('.') ?? null
}
