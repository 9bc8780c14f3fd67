/** Applies `--set key=value` to a bridge's configuration, and refuses unknown settings. */
import { type Document, isMap, isPair, parseDocument, visit } from 'yaml'
import { GatewayError } from '../../domain/errors.ts'
import { meantBy } from '../../lib/did-you-mean.ts'

type Path = readonly string[]

/**
 * In a section with free names, such as servers, the rest is one name:
 * `bridge.permissions.example.org`.
 */
export function pathOf(doc: Document, key: string): Path {
  const parts = key.split('.')
  const free = parts.findIndex((_, at) => at > 0 && hasFreeNames(doc, parts.slice(0, at)))
  return free === -1 ? parts : [...parts.slice(0, free), parts.slice(free).join('.')]
}

/** Setting names are words; `"*"`, servers and users aren't. */
function hasFreeNames(doc: Document, path: Path): boolean {
  const section = doc.getIn(path)
  return isMap(section) && section.items.some(({ key }) => !/^\w+$/.test(String(key)))
}

/**
 * At start a bridge drops settings its example doesn't have. A configuration written without an
 * example and not yet completed by the bridge lacks many valid ones: without an example, only
 * misspelt ones are refused.
 * @param example null if unknown
 * @throws GatewayError bad_request
 */
export function refuseUnknown(doc: Document, path: Path, example: Document | null): void {
  const known = example ?? doc
  const above = path.slice(0, -1)
  const section = known.getIn(above)
  const isEmpty = section == null || (isMap(section) && section.items.length === 0)
  const isOpen = known.hasIn(above) && (isEmpty || hasFreeNames(known, above))
  if (isOpen || known.hasIn(path) || doc.hasIn(path)) return
  const key = path.join('.')
  const all = settingsIn(known)
  const last = (name: string) => name.slice(name.lastIndexOf('.') + 1)
  const meant = meantBy(key, all) ?? all.find(name => meantBy(last(key), [last(name)]))
  if (example === null && meant === undefined) return
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  throw new GatewayError('bad_request', `--set: ${key}: the bridge has no such setting${hint}`)
}

/** All settings by path, such as `bridge.command_prefix`. */
function settingsIn(doc: Document): string[] {
  const found: string[] = []
  visit(doc, {
    Pair(_, pair, above) {
      const keys = above.filter(isPair).map(({ key }) => String(key))
      if (!isMap(pair.value)) found.push([...keys, String(pair.key)].join('.'))
    },
  })
  return found
}

/** @throws GatewayError bad_request */
export function yamlValue(key: string, text: string): unknown {
  const doc = parseDocument(text)
  if (doc.errors.length > 0) throw new GatewayError('bad_request', `--set: ${key}: expected a YAML value`)
  return doc.toJS()
}
