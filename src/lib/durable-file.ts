/** Writes a stream to a file that is either whole and on disk, or absent. */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface DurableFile {
  /** Path of the finished file; its folder must exist. */
  path: string
  /** Path of the unfinished file, in the same folder. */
  temporary: string
  maxBytes: number
  /** Makes the error thrown above `maxBytes`. */
  tooLarge(): Error
}

/** @returns size in bytes. @throws `tooLarge()`, or the disk's or stream's error; no file stays */
export async function writeDurably(
  { path, temporary, maxBytes, tooLarge }: DurableFile,
  stream: AsyncIterable<Uint8Array>,
): Promise<number> {
  const handle = await open(temporary, 'w', 0o600)
  try {
    let size = 0
    for await (const chunk of stream) {
      size += chunk.byteLength
      if (size > maxBytes) throw tooLarge()
      await writeAll(handle, chunk)
    }
    await handle.sync()
    await handle.close()
    await rename(temporary, path)
    await syncFolder(dirname(path))
    return size
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(temporary, { force: true })
    throw error
  }
}

/** A nearly full disk writes a part and reports no error yet. */
async function writeAll(handle: Awaited<ReturnType<typeof open>>, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength; ) {
    const { bytesWritten } = await handle.write(chunk, offset)
    offset += bytesWritten
  }
}

/** Makes a new name in the folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows can't open a folder and doesn't need to.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}
