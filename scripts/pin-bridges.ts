/**
 * Fills the list of digests in the binary with those of the versions that were tried, for every
 * platform: `bun scripts/pin-bridges.ts`, on a machine with internet, at a release.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findReleasedProgram, MACHINES } from '../src/bridges/releases/release-page.ts'
import { KNOWN_NETWORKS } from '../src/bridges/setup/networks.ts'

const FILE = join(import.meta.dir, '..', 'src', 'bridges', 'releases', 'pinned-digests.json')

/** @param mirror of the release page, for tests */
export async function pinnedDigests(mirror?: string): Promise<Record<string, string>> {
  const pinned: Record<string, string> = {}
  for (const { program, release } of KNOWN_NETWORKS) {
    if (!release?.tried) continue
    for (const machine of MACHINES) {
      const page = { program, repository: release.repository }
      // Not every program is built for every platform.
      const found = await findReleasedProgram(page, release.tried, machine, mirror).catch(() => null)
      if (found?.sha256) pinned[`${found.name}@${found.version}`] = found.sha256
    }
  }
  return Object.fromEntries(Object.entries(pinned).sort(([one], [other]) => (one < other ? -1 : 1)))
}

if (import.meta.main) writeFileSync(FILE, `${JSON.stringify(await pinnedDigests(), null, 2)}\n`)
