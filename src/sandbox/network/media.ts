/** Files of the network: streamed to disk, synced and measured; never held whole in memory. */
import { randomUUID } from 'node:crypto'
import { describeImage } from '../../lib/describe-image.ts'
import { FileStore } from '../../lib/file-store.ts'
import { HEAD_BYTES, mediaTypeOf } from '../../lib/media-type.ts'
import { shareFile } from '../../lib/shared-file.ts'
import type { Media, MediaType } from './types.ts'

export class FileTooLarge extends Error {
  constructor(readonly limitBytes: number) {
    super(`the file is larger than ${limitBytes} bytes`)
  }
}

interface FileFacts {
  name: string
  /** As declared: the content decides unless `isTypeKnown`. */
  mimeType: string
  isTypeKnown?: boolean
  durationMs?: number | null
}

interface FileSource {
  /** Where this process itself keeps the file; it is shared from there where possible. */
  copy?: string | null
  /** Called only if the file isn't shared. */
  stream(): AsyncIterable<Uint8Array>
}

export type MediaFiles = ReturnType<typeof createMediaFiles>

export function createMediaFiles(folder: string, maxBytes: number) {
  const files = new FileStore(folder, maxBytes, () => new FileTooLarge(maxBytes))
  return {
    /**
     * @returns the file's description once it is on disk; only a message refers to it
     * @throws FileTooLarge
     */
    async save({ copy = null, stream }: FileSource, about: FileFacts): Promise<Media> {
      const id = randomUUID()
      const path = files.pathOf(id)
      const shared = copy === null ? null : await files.adopt(id, copy)
      const sizeBytes = shared ?? (await files.save(id, stream()))
      try {
        const head = await Bun.file(path).slice(0, HEAD_BYTES).bytes()
        const mimeType = about.isTypeKnown
          ? about.mimeType
          : await mediaTypeOf(head, about.name, about.mimeType)
        const image = mimeType.startsWith('image/') ? await describeImage(path, sizeBytes) : null
        return {
          id,
          name: about.name,
          mimeType,
          sizeBytes,
          width: image?.width ?? null,
          height: image?.height ?? null,
          blurhash: image?.blurHash || null,
          durationMs: about.durationMs ?? null,
          mxc: null,
        }
      } catch (error) {
        await files.discard(id)
        throw error
      }
    },
    open: (mediaId: string) => Bun.file(files.pathOf(mediaId)),
    /** Shares the disk with the copy at `path`, where possible. */
    async share(mediaId: string, path: string): Promise<void> {
      await shareFile(path, files.pathOf(mediaId))
    },
    /** Removes a file that no message will have. */
    discard: (mediaId: string) => files.discard(mediaId),
    /** @param isKnown true when this file id has a row */
    sweep: (isKnown: (mediaId: string) => boolean) => files.sweep(isKnown),
  }
}

/** @returns the message type for a file of this media type, unless the sender chooses */
export function mediaTypeFor(mimeType: string): MediaType {
  const [kind] = mimeType.split('/')
  return kind === 'image' || kind === 'video' || kind === 'audio' ? kind : 'file'
}
