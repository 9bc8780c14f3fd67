/** One copy on the disk of what two parts of this process keep. */
import { link, rename, rm } from 'node:fs/promises'

/**
 * Makes `path` another name of the file at `source`, in place of what was there. Nobody may write
 * to either again.
 * @returns false when it can't be: there is no such file, they are on different disks, or the
 * filesystem has no hard links
 */
export async function shareFile(source: string, path: string): Promise<boolean> {
  const temporary = `${path}.shared`
  try {
    await rm(temporary, { force: true })
    await link(source, temporary)
    await rename(temporary, path)
    return true
  } catch {
    return false
  } finally {
    // A rename between two names of one file does nothing (POSIX).
    await rm(temporary, { force: true })
  }
}
