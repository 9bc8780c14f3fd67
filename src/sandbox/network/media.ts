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

export class MediaFiles extends FileStore {
  constructor(folder: string, maxBytes: number) {
    super(folder, maxBytes, () => new FileTooLarge(maxBytes))
  }

  /**
   * @returns the file's description once it is on disk; only a message refers to it
   * @throws FileTooLarge
   */
  async take({ copy = null, stream }: FileSource, about: FileFacts): Promise<Media> {
    const id = randomUUID()
    const { name, mimeType: declared, isTypeKnown, durationMs = null } = about
    const shared = copy === null ? null : await this.adopt(id, copy)
    const sizeBytes = shared ?? (await this.save(id, stream()))
    try {
      const head = await this.open(id).slice(0, HEAD_BYTES).bytes()
      const mimeType = isTypeKnown ? declared : await mediaTypeOf(head, name, declared)
      const image = mimeType.startsWith('image/') ? await describeImage(this.pathOf(id), sizeBytes) : null
      const { width = null, height = null } = image ?? {}
      const blurhash = image?.blurHash || null
      return { id, name, mimeType, sizeBytes, width, height, blurhash, durationMs, mxc: null }
    } catch (error) {
      await this.discard(id)
      throw error
    }
  }

  open(mediaId: string): Bun.BunFile {
    return Bun.file(this.pathOf(mediaId))
  }

  /** Shares the disk with the copy at `path`, where possible. */
  async share(mediaId: string, path: string): Promise<void> {
    await shareFile(path, this.pathOf(mediaId))
  }
}

/** @returns the message type for a file of this media type, unless the sender chooses */
export function mediaTypeFor(mimeType: string): MediaType {
  const [kind] = mimeType.split('/')
  return kind === 'image' || kind === 'video' || kind === 'audio' ? kind : 'file'
}
