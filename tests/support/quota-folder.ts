/**
 * A folder on a file system of its own that can be made full: a tmpfs whose size is set to what it holds now. Mounting takes root; others
 * run what needs it in a user namespace in which they are.
 */
import { statfsSync } from 'node:fs'
import { tempDir } from './temp-dir.ts'

export interface QuotaFolder extends Disposable {
  /** Leaves about `freeBytes`. */
  fill(freeBytes: number): void
  free(): void
}

const FULL_SIZE = '1g'
/** The program goes on writing between the look at what there is and the new size, which can't be below that. */
const TRIES = 50

/** @returns what a command has to begin with that is to mount something: nothing where we may, null where it can't be had */
export function mountingPrefix(): string[] | null {
  if (mayMount()) return []
  const prefix = ['unshare', '-rm']
  const isAllowed = process.platform === 'linux' && Bun.spawnSync([...prefix, 'true']).success
  return isAllowed ? prefix : null
}

function mayMount(): boolean {
  using folder = tempDir()
  using quota = quotaFolder(folder.path)
  return quota !== null
}

/** @returns null where nothing may be mounted */
export function quotaFolder(path: string): QuotaFolder | null {
  if (!mountAt(path, `size=${FULL_SIZE},mode=700`)) return null
  const resize = (sizeNow: () => string) => {
    for (let tries = 0; tries < TRIES; tries++) if (mountAt(path, `remount,size=${sizeNow()}`)) return
    throw new Error(`${path} could not be given the size ${sizeNow()}`)
  }
  return {
    fill: freeBytes =>
      resize(() => {
        const { blocks, bfree, bsize } = statfsSync(path)
        return `${Math.max(bsize, (blocks - bfree) * bsize + freeBytes)}`
      }),
    free: () => resize(() => FULL_SIZE),
    [Symbol.dispose]() {
      Bun.spawnSync(['umount', '--lazy', path])
    },
  }
}

/** With everything named: mount(8) would else repeat options that a remount in a user namespace is refused for. */
function mountAt(path: string, options: string): boolean {
  const command = ['mount', '-t', 'tmpfs', '-o', options, 'meshgate-tests', path]
  return process.platform === 'linux' && Bun.spawnSync(command).success
}
