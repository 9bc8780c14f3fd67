/**
 * Limits the disk that an identity's files take in all, so that one tenant's uploads leave space
 * for others.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { MediaRepository } from './repository.ts'

export interface MediaQuota {
  /**
   * Passes a file's bytes on, and counts them until `release`.
   * @throws GatewayError quota_exceeded, at the latest at the byte that is too much
   */
  within(file: CountedFile, stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  /** The file is gone again, or its row counts it. */
  release(fileId: string): void
}

export interface CountedFile {
  id: string
  identityId: string
}

/** @param limitBytes for each identity; null: none */
export function createMediaQuota(
  repository: Pick<MediaRepository, 'usage'>,
  limitBytes: number | null,
): MediaQuota {
  /** Bytes of files that no row counts yet, by identity and by file. */
  const arriving = new Map<string, Map<string, number>>()
  /** Whose they are. */
  const owners = new Map<string, string>()

  function add({ id, identityId }: CountedFile, bytes: number): void {
    const files = arriving.get(identityId) ?? new Map<string, number>()
    files.set(id, (files.get(id) ?? 0) + bytes)
    arriving.set(identityId, files)
    owners.set(id, identityId)
  }

  function release(id: string): void {
    const identityId = owners.get(id)
    if (identityId === undefined) return
    owners.delete(id)
    const files = arriving.get(identityId)
    files?.delete(id)
    if (files?.size === 0) arriving.delete(identityId)
  }

  function arrivingBytes(identityId: string): number {
    let sum = 0
    for (const bytes of arriving.get(identityId)?.values() ?? []) sum += bytes
    return sum
  }

  /** Bytes that the rows count, which are then no longer counted here. */
  async function usedBytes(identityId: string): Promise<number> {
    const { bytes, stored } = await repository.usage(identityId, [
      ...(arriving.get(identityId)?.keys() ?? []),
    ])
    for (const id of stored) release(id)
    return bytes
  }

  async function* counted(
    file: CountedFile,
    stream: AsyncIterable<Uint8Array>,
    limit: number,
  ): AsyncGenerator<Uint8Array, void> {
    const { identityId } = file
    const refuseBeyond = (used: number) => {
      if (used + arrivingBytes(identityId) > limit) throw exceeded(used, limit)
    }
    const used = await usedBytes(identityId)
    for await (const chunk of stream) {
      add(file, chunk.byteLength)
      refuseBeyond(used)
      yield chunk
    }
    // Others may have come in meanwhile.
    refuseBeyond(await usedBytes(identityId))
  }

  return {
    release,
    within: (file, stream) => (limitBytes === null ? stream : counted(file, stream, limitBytes)),
  }
}

function exceeded(used: number, limit: number): GatewayError {
  const message = `file: does not fit, as the files of this identity take ${used} of ${limit} bytes`
  return new GatewayError('quota_exceeded', message, undefined, { used, limit })
}
