/**
 * A folder on a file system of its own that can be made full: a tmpfs whose size is set to what it holds now. Mounting takes root; others
 * run the whole harness in a user namespace in which they are (`unshare -rm`, see main.ts).
 */
import { statfsSync } from 'node:fs'

export interface QuotaFolder extends Disposable {
  /** Leaves about `freeBytes`. */
  fill(freeBytes: number): void
  free(): void
}

const FULL_SIZE = '1g'

/** @returns null where nothing may be mounted */
export function quotaFolder(path: string): QuotaFolder | null {
  if (!mount('-t', 'tmpfs', '-o', `size=${FULL_SIZE},mode=700`, 'meshgate-faults', path)) return null
  const resize = (size: string) => {
    if (!mount('-o', `remount,size=${size}`, path))
      throw new Error(`${path} could not be given the size ${size}`)
  }
  return {
    fill(freeBytes) {
      const { blocks, bfree, bsize } = statfsSync(path)
      resize(`${Math.max(bsize, (blocks - bfree) * bsize + freeBytes)}`)
    },
    free: () => resize(FULL_SIZE),
    [Symbol.dispose]() {
      Bun.spawnSync(['umount', '--lazy', path])
    },
  }
}

function mount(...args: string[]): boolean {
  return process.platform === 'linux' && Bun.spawnSync(['mount', ...args]).success
}
