/** Writes a stream to a file so that it is either whole and on disk, or not there. */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, messageOf } from '../../domain/errors.ts'

/** Of a file that isn't whole yet. */
export const PARTIAL_SUFFIX = '.part'

/**
 * @param path of the finished file; until then the bytes are in `<path>.part`
 * @param maxBytes beyond which it is given up
 * @returns the size in bytes
 * @throws GatewayError payload_too_large, storage_full; nothing is left behind then, nor when the stream itself fails
 */
export async function writeDurably(
  path: string,
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<number> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const partial = `${path}${PARTIAL_SUFFIX}`
  const handle = await open(partial, 'w', 0o600)
  try {
    let size = 0
    for await (const chunk of stream) {
      size += chunk.byteLength
      if (size > maxBytes)
        throw new GatewayError('payload_too_large', `file: expected at most ${maxBytes} bytes`)
      await writeAll(handle, chunk)
    }
    await handle.sync()
    await handle.close()
    await rename(partial, path)
    await syncFolder(dirname(path))
    return size
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(partial, { force: true })
    throw asStorageError(error)
  }
}

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

function asStorageError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new GatewayError('storage_full', `there is no space left to store the file (${messageOf(error)})`)
  }
  return error
}
