/** Files of messages on their way to the disk. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, messageOf } from '../../domain/errors.ts'
import { writeDurably } from '../../lib/durable-file.ts'
import { isOutOfSpace } from '../../lib/out-of-space.ts'

/** Of a file that isn't whole yet. */
export const PARTIAL_SUFFIX = '.part'

/**
 * @param path of the finished file; until then the bytes are in `<path>.part`
 * @param maxBytes beyond which it is given up
 * @returns the size in bytes
 * @throws GatewayError payload_too_large, storage_full; nothing is left behind then, nor when the stream itself fails
 */
export async function writeFile(
  path: string,
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<number> {
  const tooLarge = () => new GatewayError('payload_too_large', `file: expected at most ${maxBytes} bytes`)
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    return await writeDurably({ path, temporary: `${path}${PARTIAL_SUFFIX}`, maxBytes, tooLarge }, stream)
  } catch (error) {
    if (!isOutOfSpace(error)) throw error
    throw new GatewayError('storage_full', `there is no space left to store the file (${messageOf(error)})`)
  }
}
