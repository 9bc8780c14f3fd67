/** Parses a bridge's example configuration, keeping its comments. */
import { type Document, isMap, isNode, isScalar, parseDocument, visit } from 'yaml'
import { GatewayError } from '../../domain/errors.ts'

/** The bridge's port on this machine according to its example; null if it names none. */
export function portIn(example: string): number | null {
  const doc = parseExample(example)
  const port =
    doc.getIn(['appservice', 'port']) ?? Number(URL.parse(textAt(doc, ['appservice', 'address']) ?? '')?.port)
  return Number.isInteger(port) && Number(port) > 0 && Number(port) <= 65_535 ? Number(port) : null
}

/** @throws GatewayError bad_request when it isn't a bridge's configuration */
export function parseExample(example: string): Document {
  const doc = parseDocument(example)
  const problem = doc.errors[0]
  if (problem) throw notAConfig(problem.message.split('\n')[0] ?? '')
  for (const section of ['homeserver', 'appservice', 'bridge']) {
    if (!isMap(doc.get(section))) throw notAConfig(`it has no section "${section}"`)
  }
  returnComments(doc)
  return doc
}

/**
 * Returns comments to their keys: the parser gives an empty value the comment of the key below it,
 * and would write it on the empty value's line.
 */
function returnComments(doc: Document): void {
  visit(doc, {
    Map(_, map) {
      for (const [index, { value }] of map.items.entries()) {
        const below = map.items[index + 1]?.key
        if (!isScalar(value) || value.value !== null || !value.comment || !isNode(below)) continue
        below.commentBefore = [value.comment, below.commentBefore].filter(Boolean).join('\n')
        value.comment = null
        value.spaceBefore = false
      }
    },
  })
}

function notAConfig(problem: string): GatewayError {
  return new GatewayError(
    'bad_request',
    `--example: expected the example configuration of a mautrix bridge: ${problem}`,
  )
}

/** A non-empty text at a path. */
export function textAt(doc: Document, path: readonly string[]): string | undefined {
  const value = doc.getIn(path)
  return typeof value === 'string' && value !== '' ? value : undefined
}
