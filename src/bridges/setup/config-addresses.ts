/** Where a bridge's configuration says that it reaches the homeserver and the gateway. Changing that leaves every other character as it is. */
import { isScalar, parseDocument } from 'yaml'

/** By the same keys in every layout. */
const PATHS = [
  ['homeserver', 'address'],
  ['homeserver', 'status_endpoint'],
] as const
const AS_TOKEN = ['appservice', 'as_token'] as const

export interface Readdressed {
  text: string
  /** What stands there now. */
  addresses: string[]
}

/**
 * @param change the address to put in the place of another; null: it stays
 * @returns null when the text is no configuration with this as_token
 */
export function readdressConfig(
  text: string,
  asToken: string,
  change: (address: string) => string | null,
): Readdressed | null {
  const doc = parseDocument(text)
  if (doc.errors.length > 0 || doc.getIn(AS_TOKEN) !== asToken) return null
  const addresses: string[] = []
  let changed = text
  // From the end of the text on, as what is put in may have another length.
  for (const node of PATHS.map(path => doc.getIn(path, true))
    .filter(isScalar)
    .sort(lastFirst)) {
    if (typeof node.value !== 'string' || node.value === '' || !node.range) continue
    const next = change(node.value)
    addresses.unshift(next ?? node.value)
    const [start, end] = node.range
    if (next !== null) changed = changed.slice(0, start) + JSON.stringify(next) + changed.slice(end)
  }
  return { text: changed, addresses }
}

function lastFirst(a: { range?: readonly number[] | null }, b: { range?: readonly number[] | null }): number {
  return (b.range?.[0] ?? 0) - (a.range?.[0] ?? 0)
}
