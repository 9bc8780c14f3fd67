/** Tells which methods each path has. */

/** Which methods each path has, to tell 405 from 404. */
export function createMethodTable(
  routes: readonly { method: string; path: string }[],
): (path: string) => string[] {
  const table = new Map<string, { pattern: RegExp; methods: Set<string> }>()
  for (const { method, path } of routes) {
    const trimmed = path.length > 1 ? path.replace(/\/$/, '') : path
    const entry = table.get(trimmed) ?? {
      pattern: new RegExp(`^${trimmed.replaceAll('.', '\\.').replace(/:[^/]+/g, '[^/]+')}/?$`),
      methods: new Set<string>(),
    }
    entry.methods.add(method)
    if (method === 'GET') entry.methods.add('HEAD')
    table.set(trimmed, entry)
  }
  return path => {
    const methods = [...table.values()].filter(entry => entry.pattern.test(path)).map(entry => entry.methods)
    return [...new Set(methods.flatMap(set => [...set]))].sort()
  }
}
