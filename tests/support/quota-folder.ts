/**
 * A folder that a test can fill up: a tmpfs resized to its current content. Mounting takes
 * root; others run the command in a user namespace in which they are root.
 */
import { statfsSync } from 'node:fs'
import { tempDir } from './temp-dir.ts'

export interface QuotaFolder extends Disposable {
  /** Leaves about `freeBytes`. */
  fill(freeBytes: number): void
  free(): void
}

const FULL_SIZE = '1g'
/** Tries; a size is refused when the program has meanwhile written more than it. */
const TRIES = 50

/** @returns a command prefix that allows mounting: empty where we may, null where nobody may */
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

/** @returns null where mounting isn't allowed */
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

/** Names every option: in a user namespace, mount(8) would repeat options that are refused. */
function mountAt(path: string, options: string): boolean {
  const command = ['mount', '-t', 'tmpfs', '-o', options, 'meshgate-tests', path]
  return process.platform === 'linux' && Bun.spawnSync(command).success
}
