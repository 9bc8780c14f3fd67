/** How much of the disk an identity's files may take in all: one tenant's uploads leave room for the others'. */
import { GatewayError } from '../../domain/errors.ts'
import type { MediaRepository } from './repository.ts'

export interface MediaQuota {
  /** Passes a file's bytes on. @throws GatewayError quota_exceeded, at the latest at the byte that is too much */
  within(identityId: string, stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}

/** @param limitBytes for each identity; null: none */
export function createMediaQuota(
  repository: Pick<MediaRepository, 'usedBytes'>,
  limitBytes: number | null,
): MediaQuota {
  /** Bytes of files that are being written, by identity: no row counts them yet. */
  const arriving = new Map<string, number>()

  function add(identityId: string, bytes: number): number {
    const sum = (arriving.get(identityId) ?? 0) + bytes
    if (sum > 0) arriving.set(identityId, sum)
    else arriving.delete(identityId)
    return sum
  }

  async function* counted(
    identityId: string,
    stream: AsyncIterable<Uint8Array>,
    limit: number,
  ): AsyncGenerator<Uint8Array, void> {
    const used = await repository.usedBytes(identityId)
    let own = 0
    try {
      if (used >= limit) throw exceeded(used, limit)
      for await (const chunk of stream) {
        own += chunk.byteLength
        if (used + add(identityId, chunk.byteLength) > limit) throw exceeded(used, limit)
        yield chunk
      }
    } finally {
      add(identityId, -own)
    }
  }

  return {
    within: (identityId, stream) => (limitBytes === null ? stream : counted(identityId, stream, limitBytes)),
  }
}

function exceeded(used: number, limit: number): GatewayError {
  const message = `file: does not fit, as the files of this identity take ${used} of ${limit} bytes`
  return new GatewayError('quota_exceeded', message, undefined, { used, limit })
}
