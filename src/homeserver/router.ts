/** Finds a handler by method and path in a tree of segments: many routes cost no more than one. */
import { invalidParam } from './errors.ts'

interface Node<H> {
  readonly literals: Map<string, Node<H>>
  param: Node<H> | undefined
  readonly methods: Map<string, Entry<H>>
}

interface Entry<H> {
  handler: H
  params: string[]
}

export type Match<H> = { handler: H; params: Record<string, string> } | { methodNotAllowed: true }

export class Router<H> {
  private readonly root: Node<H> = newNode()

  /** @param path as in the specification, with `{name}` for a variable segment */
  add(method: string, path: string, handler: H): void {
    let node = this.root
    const params: string[] = []
    for (const segment of path.slice(1).split('/')) {
      if (segment.startsWith('{')) {
        params.push(segment.slice(1, -1))
        node.param ??= newNode()
        node = node.param
      } else {
        const next = node.literals.get(segment) ?? newNode<H>()
        node.literals.set(segment, next)
        node = next
      }
    }
    node.methods.set(method, { handler, params })
  }

  /** @param path still percent-encoded @returns undefined when no method has this path */
  match(method: string, path: string): Match<H> | undefined {
    const segments = path.slice(1).split('/')
    const values: string[] = []
    const node = find(this.root, segments, 0, values)
    if (!node) return undefined
    const entry = node.methods.get(method)
    if (!entry) return { methodNotAllowed: true }
    const params: Record<string, string> = {}
    for (const [index, name] of entry.params.entries()) params[name] = decode(values[index] ?? '')
    return { handler: entry.handler, params }
  }
}

function newNode<H>(): Node<H> {
  return { literals: new Map(), param: undefined, methods: new Map() }
}

function find<H>(node: Node<H>, segments: string[], depth: number, values: string[]): Node<H> | undefined {
  const segment = segments[depth]
  if (segment === undefined) return node.methods.size > 0 ? node : undefined
  const literal = node.literals.get(segment)
  const found = literal && find(literal, segments, depth + 1, values)
  if (found) return found
  if (!node.param) return undefined
  values.push(segment)
  const below = find(node.param, segments, depth + 1, values)
  if (!below) values.pop()
  return below
}

function decode(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    throw invalidParam('The path is not valid percent-encoding')
  }
}
