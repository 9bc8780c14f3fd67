/** Keeps one copy on disk of a file that two parts of this process hold. */
import { link, rename, rm } from 'node:fs/promises'

/**
 * Replaces `path` by a hard link to `source`. Nobody may write to either again.
 * @returns false when there is no such file, it is on another disk, or hard links are unsupported
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
