/**
 * Limits the disk that an identity's files take in all, so that one tenant's uploads leave space
 * for others.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { MediaRepository } from './repository.ts'

interface CountedFile {
  id: string
  identityId: string
}

/** @param limitBytes for each identity; null: none */
export function createMediaQuota(repository: Pick<MediaRepository, 'usage'>, limitBytes: number | null) {
  /** Bytes of files that no row counts yet, by file. */
  const arriving = new Map<string, { identityId: string; bytes: number }>()

  /** The file is gone again, or its row counts it. */
  function release(id: string): void {
    arriving.delete(id)
  }

  /** @throws GatewayError quota_exceeded */
  function refuseBeyond(used: number, identityId: string, limit: number): void {
    let bytes = used
    for (const file of arriving.values()) if (file.identityId === identityId) bytes += file.bytes
    if (bytes > limit) throw exceeded(used, limit)
  }

  /** Bytes that rows count, and which are then no longer counted here. */
  async function usedBytes(identityId: string): Promise<number> {
    const ids = [...arriving].flatMap(([id, file]) => (file.identityId === identityId ? [id] : []))
    const { bytes, stored } = await repository.usage(identityId, ids)
    for (const id of stored) release(id)
    return bytes
  }

  async function* counted(
    file: CountedFile,
    stream: AsyncIterable<Uint8Array>,
    limit: number,
  ): AsyncGenerator<Uint8Array, void> {
    const { id, identityId } = file
    const used = await usedBytes(identityId)
    for await (const chunk of stream) {
      const bytes = (arriving.get(id)?.bytes ?? 0) + chunk.byteLength
      arriving.set(id, { identityId, bytes })
      refuseBeyond(used, identityId, limit)
      yield chunk
    }
    // Other files may have come in meanwhile.
    refuseBeyond(await usedBytes(identityId), identityId, limit)
  }

  return {
    release,

    /**
     * Passes a file's bytes on, and counts them until `release`.
     * @throws GatewayError quota_exceeded, at the latest at the byte that is too much
     */
    within: (file: CountedFile, stream: AsyncIterable<Uint8Array>) =>
      limitBytes === null ? stream : counted(file, stream, limitBytes),
  }
}

function exceeded(used: number, limit: number): GatewayError {
  const message = `file: does not fit, as the files of this identity take ${used} of ${limit} bytes`
  return new GatewayError('quota_exceeded', message, undefined, { used, limit })
}
