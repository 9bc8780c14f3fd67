/** Files of the network: streamed to disk, synced and measured; never held whole in memory. */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describeImage } from '../../lib/describe-image.ts'
import { writeDurably } from '../../lib/durable-file.ts'
import { HEAD_BYTES, mediaTypeOf } from '../../lib/media-type.ts'
import { shareFile } from '../../lib/shared-file.ts'
import type { Media, MediaType } from './types.ts'

/** Suffix of incomplete files. */
const TEMPORARY_SUFFIX = '.tmp'

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

export type MediaFiles = ReturnType<typeof createMediaFiles>

export function createMediaFiles(folder: string, maxBytes: number) {
  const pathOf = (id: string) => join(folder, id)
  return {
    /**
     * @returns the file's description once it is on disk; only a message refers to it
     * @throws FileTooLarge
     */
    async save(source: AsyncIterable<Uint8Array>, about: FileFacts): Promise<Media> {
      const id = randomUUID()
      const path = pathOf(id)
      await mkdir(folder, { recursive: true })
      try {
        const sizeBytes = await writeDurably(
          {
            path,
            temporary: `${path}${TEMPORARY_SUFFIX}`,
            maxBytes,
            tooLarge: () => new FileTooLarge(maxBytes),
          },
          source,
        )
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
        await rm(path, { force: true })
        throw error
      }
    },
    open: (mediaId: string) => Bun.file(pathOf(mediaId)),
    /** Shares the disk with the copy at `path`, where possible. */
    async share(mediaId: string, path: string): Promise<void> {
      await shareFile(path, pathOf(mediaId))
    },
    /** Removes a file that no message will have. */
    discard: (mediaId: string): Promise<void> => rm(pathOf(mediaId), { force: true }),
    /**
     * Removes files cut off by a kill, and complete ones without a message. Call it before the
     * first save: files being written look the same.
     * @param isKnown true when this file id has a row
     */
    async sweep(isKnown: (mediaId: string) => boolean): Promise<void> {
      const names = await readdir(folder).catch(() => [])
      for (const name of names) {
        if (name.endsWith(TEMPORARY_SUFFIX) || !isKnown(name)) await rm(pathOf(name), { force: true })
      }
    },
  }
}

/** @returns the message type for a file of this media type, unless the sender chooses */
export function mediaTypeFor(mimeType: string): MediaType {
  const [kind] = mimeType.split('/')
  return kind === 'image' || kind === 'video' || kind === 'audio' ? kind : 'file'
}
