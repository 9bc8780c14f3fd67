/** Reads from bun.lock the packages in the program, without those that only build and test it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const names = z.record(z.string(), z.string()).default({})
const packageInfo = z.object({
  dependencies: names,
  optionalDependencies: names,
  peerDependencies: names,
  optionalPeers: z.array(z.string()).default([]),
})
const lockfile = z.object({
  workspaces: z.object({ '': z.object({ dependencies: names }) }),
  packages: z.record(z.string(), z.tuple([z.string(), z.string(), packageInfo, z.string()])),
})

export interface LockedPackage {
  /** Path in node_modules, such as `a` or `b/node_modules/a`. */
  folder: string
  name: string
  version: string
  /** Subresource integrity: `sha512-<base64>`. */
  integrity: string
  /** Folders of its dependencies. */
  needs: string[]
}

/** @param root of the project. @returns the direct dependencies, and all packages they lead to */
export function readLockedPackages(root: string): { direct: string[]; packages: LockedPackage[] } {
  const { workspaces, packages } = lockfile.parse(
    Bun.JSONC.parse(readFileSync(join(root, 'bun.lock'), 'utf8')),
  )
  const found = new Map<string, LockedPackage>()

  function add(key: string): string {
    const folder = segmentsOf(key).join('/node_modules/')
    const entry = packages[key]
    if (found.has(key) || !entry) return folder
    const [nameAndVersion, , info, integrity] = entry
    const at = nameAndVersion.lastIndexOf('@')
    const [name, version] = [nameAndVersion.slice(0, at), nameAndVersion.slice(at + 1)]
    const locked: LockedPackage = { folder, name, version, integrity, needs: [] }
    found.set(key, locked)
    const wanted = [info.dependencies, info.optionalDependencies, info.peerDependencies].flatMap(Object.keys)
    const keys = wanted
      .filter(dependency => !info.optionalPeers.includes(dependency))
      .map(dependency => resolve(key, dependency))
    locked.needs = [...new Set(keys.filter(needed => needed !== null).map(add))].toSorted()
    return folder
  }

  /** Looks in the package, then in those around it, as Node.js does. Null when not installed. */
  function resolve(key: string, dependency: string): string | null {
    const around = segmentsOf(key)
    for (let depth = around.length; depth >= 0; depth -= 1) {
      const candidate = [...around.slice(0, depth), dependency].join('/')
      if (packages[candidate]) return candidate
    }
    return null
  }

  const direct = Object.keys(workspaces[''].dependencies).map(add)
  return { direct, packages: [...found.values()].toSorted((a, b) => (a.folder < b.folder ? -1 : 1)) }
}

/** `pino-pretty/@scope/name` is the package @scope/name within pino-pretty. */
function segmentsOf(key: string): string[] {
  return key.match(/(@[^/]+\/)?[^/]+/g) ?? []
}
