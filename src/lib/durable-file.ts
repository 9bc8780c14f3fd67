/** Writes a stream to a file so that it is either whole and on disk, or not there. */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface DurableFile {
  /** Of the finished file, in a folder that is there. */
  path: string
  /** Where the bytes are until then, in the same folder. */
  temporary: string
  maxBytes: number
  /** What is thrown beyond that. */
  tooLarge(): Error
}

/** @returns the size in bytes. @throws what `tooLarge` makes, or what the disk or the stream says; nothing is left behind then */
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

/** A disk that is nearly full takes a part, and says so with no error yet. */
async function writeAll(handle: Awaited<ReturnType<typeof open>>, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength; ) {
    const { bytesWritten } = await handle.write(chunk, offset)
    offset += bytesWritten
  }
}

/** The rename itself must survive a power cut, too. */
async function syncFolder(folder: string): Promise<void> {
  // Windows can't open a folder, and doesn't need to.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}
