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
/** The program goes on writing between the look at what there is and the new size, which can't be below that. */
const TRIES = 50

/** @returns null where nothing may be mounted */
export function quotaFolder(path: string): QuotaFolder | null {
  if (!mount('-t', 'tmpfs', '-o', `size=${FULL_SIZE},mode=700`, 'meshgate-faults', path)) return null
  const resize = (sizeNow: () => string) => {
    for (let tries = 0; tries < TRIES; tries++) if (mount('-o', `remount,size=${sizeNow()}`, path)) return
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

function mount(...args: string[]): boolean {
  return process.platform === 'linux' && Bun.spawnSync(['mount', ...args]).success
}
