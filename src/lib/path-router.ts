/** Finds a handler by method and path. Many routes cost hardly more than one. */
import { Memoirist } from 'memoirist'
import { decodedPart } from './decoded-part.ts'

/** A path's percent-encoding is broken. */
export class MalformedPath extends Error {
  override readonly name = 'MalformedPath'
}

export class PathRouter<H> {
  private readonly tree = new Memoirist<H>()
  private readonly methods = new Set<string>()

  /** @param path with variable parts as `:name`, none of which matches an empty part */
  add(method: string, path: string, handler: H): void {
    this.methods.add(method)
    this.tree.add(method, path, handler)
  }

  /**
   * @param path still percent-encoded
   * @returns the handler with the decoded parts, or undefined when the method hasn't this path
   * @throws MalformedPath
   */
  find(method: string, path: string): { handler: H; params: Record<string, string> } | undefined {
    const found = this.tree.find(method, path)
    if (!found) return undefined
    const { params } = found
    for (const name in params) params[name] = decoded(params[name] ?? '')
    return { handler: found.store, params }
  }

  /** Methods that have this path. */
  methodsOf(path: string): string[] {
    return [...this.methods].filter(method => this.tree.find(method, path) !== null)
  }
}

function decoded(part: string): string {
  const text = part.includes('%') ? decodedPart(part) : part
  if (text === null) throw new MalformedPath('The path is not valid percent-encoding')
  return text
}
