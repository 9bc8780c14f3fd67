/** Changes only the addresses of homeserver and gateway in a bridge's configuration. */
import { isScalar, parseDocument } from 'yaml'

/** The same keys in every layout. */
const PATHS = [
  ['homeserver', 'address'],
  ['homeserver', 'status_endpoint'],
  ['homeserver', 'message_send_checkpoint_endpoint'],
] as const
const AS_TOKEN = ['appservice', 'as_token'] as const

/**
 * @param change returns the new address; null keeps the old one
 * @returns the new text; null when it is no configuration with this as_token
 */
export function readdressConfig(
  text: string,
  asToken: string,
  change: (address: string) => string | null,
): string | null {
  const doc = parseDocument(text)
  if (doc.errors.length > 0 || doc.getIn(AS_TOKEN) !== asToken) return null
  const nodes = PATHS.map(path => doc.getIn(path, true)).filter(isScalar)
  // From the end of the text, since a replacement may have another length.
  const lastFirst = nodes.toSorted((a, b) => (b.range?.[0] ?? 0) - (a.range?.[0] ?? 0))
  return lastFirst.reduce((changed, { value, range }) => {
    const next = typeof value === 'string' ? change(value) : null
    if (next === null || !range) return changed
    return changed.slice(0, range[0]) + JSON.stringify(next) + changed.slice(range[1])
  }, text)
}
