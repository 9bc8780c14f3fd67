/** Files of messages, on disk below DATA_DIR/media: those to be sent, and those that came in. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Media } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { MatrixSession } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import { describeImage } from '../../lib/describe-image.ts'
import { HEAD_BYTES, mediaTypeOf, OGG_OPUS } from '../../lib/media-type.ts'
import { equalInConstantTime } from '../../lib/sealing.ts'
import { shareFile } from '../../lib/shared-file.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { randomToken } from '../../lib/tokens.ts'
import { describeVoice } from './describe-voice.ts'
import { writeFile } from './file-writer.ts'
import { createMediaQuota } from './quota.ts'
import type { MediaRepository } from './repository.ts'
import type { IncomingFile, MediaStore, StagedFile } from './types.ts'

export interface MediaStoreOptions {
  repository: MediaRepository
  dir: string
  maxBytes: number
  /** Limit for all files of an identity; null: none. */
  quotaBytes: number | null
  /**
   * Where this process itself keeps the file at an mxc:// URI, which never changes; null:
   * elsewhere.
   */
  copyOf?: ((mxcUri: string) => string | null) | undefined
  /** How long a signed address is good for, in seconds. */
  urlTtlS: number
  /** Keyed one-way function for signed addresses. */
  sign: (text: string) => string
  /** The same under the key before: addresses that were given out then are good until they expire. */
  signBefore?: ((text: string) => string) | undefined
  /** The Matrix session of an identity. */
  sessionOf(identityId: string): Promise<MatrixSession>
  clock: Clock
}

/** The media use cases as the other modules know them. */
export interface MediaFiles extends MediaStore {
  find(mediaId: string): Promise<Media | null>
  /** Makes sure the file lies at the homeserver. @returns its mxc:// URI */
  upload(mediaId: string): Promise<{ file: Media; mxcUri: string }>
  /**
   * Makes sure an incoming file is on our disk.
   * @throws GatewayError when the homeserver doesn't have it; payload_too_large, quota_exceeded
   */
  fetchIncoming(mediaId: string): Promise<Media>
  /** Path and query of an address that gives the file without authentication, until it expires. */
  signedPath(mediaId: string): string
  /**
   * The file behind a signed address.
   * @param expires seconds since the Unix epoch, as in the address
   * @throws GatewayError forbidden (wrong or expired signature, no token left), not_found,
   * homeserver_unavailable
   */
  open(
    mediaId: string,
    expires: number,
    signature: string,
  ): Promise<{ path: string; fileName: string; mimeType: string }>
}

export function createMediaStore(options: MediaStoreOptions): MediaFiles {
  const { repository, clock } = options
  const pathOf = (mediaId: string) => join(options.dir, mediaId.slice(-2), mediaId)
  const signatureOf = (mediaId: string, expires: number) => options.sign(`${mediaId}:${expires}`)
  const isSignatureOf = (signature: string, mediaId: string, expires: number) =>
    [options.sign, options.signBefore].some(
      sign => sign !== undefined && equalInConstantTime(signature, sign(`${mediaId}:${expires}`)),
    )
  const quota = createMediaQuota(repository, options.quotaBytes)
  const uploads = new SingleFlight<{ file: Media; mxcUri: string }>()
  const downloads = new SingleFlight<Media>()

  return {
    pathOf,
    find: repository.find,

    async stage({ identityId, fileName, mimeType, stream }) {
      const id = randomToken('file_', 18)
      const counted = { id, identityId }
      try {
        return await staged({ ...counted, fileName, mimeType, stream: quota.within(counted, stream) })
      } catch (error) {
        await remove(id)
        throw error
      }
    },

    discard: file => remove(file.id),

    async discardAll(mediaIds) {
      for (const id of mediaIds) await remove(id)
    },

    upload: mediaId =>
      uploads.run(mediaId, async () => {
        const file = await existing(mediaId)
        if (file.mxcUri) return { file, mxcUri: file.mxcUri }
        const session = await options.sessionOf(file.identityId)
        const mxcUri = await session.upload(pathOf(mediaId), file.fileName, file.mimeType)
        await repository.setMxcUri(mediaId, mxcUri, clock.now())
        const copy = options.copyOf?.(mxcUri)
        if (copy) await shareFile(copy, pathOf(mediaId))
        return { file, mxcUri }
      }),

    fetchIncoming,

    signedPath(mediaId) {
      const expires = Math.floor(clock.now() / 1000) + options.urlTtlS
      return `/api/v1/media/${mediaId}?expires=${expires}&signature=${signatureOf(mediaId, expires)}`
    },

    async open(mediaId, expires, signature) {
      if (!isSignatureOf(signature, mediaId, expires)) {
        throw new GatewayError('forbidden', 'signature: does not belong to this file and time')
      }
      if (expires * 1000 < clock.now())
        throw new GatewayError('forbidden', 'expires: this address has expired')
      await existing(mediaId)
      if (!(await repository.isServed(mediaId, clock.now())))
        throw new GatewayError(
          'forbidden',
          'signature: the token that this address was made for is no longer good',
        )
      const { fileName, mimeType } = await fetchIncoming(mediaId)
      return { path: pathOf(mediaId), fileName, mimeType }
    },
  }

  async function remove(mediaId: string): Promise<void> {
    await rm(pathOf(mediaId), { force: true })
    quota.release(mediaId)
  }

  async function staged({
    id,
    identityId,
    fileName,
    mimeType,
    stream,
  }: IncomingFile & { id: string }): Promise<StagedFile> {
    const sizeBytes = await writeFile(pathOf(id), stream, options.maxBytes)
    const type = await mediaTypeOf(await headOf(pathOf(id)), fileName, mimeType)
    const image = type.startsWith('image/') ? await describeImage(pathOf(id), sizeBytes) : null
    const voice = type === OGG_OPUS ? await describeVoice(pathOf(id), sizeBytes) : null
    return {
      id,
      identityId,
      fileName,
      mimeType: type,
      sizeBytes,
      width: image?.width ?? 0,
      height: image?.height ?? 0,
      durationMs: voice?.durationMs ?? 0,
      blurHash: image?.blurHash ?? '',
      waveform: voice?.waveform ?? null,
      mxcUri: null,
      stored: true,
    }
  }

  function fetchIncoming(mediaId: string): Promise<Media> {
    return downloads.run(mediaId, async () => {
      const file = await existing(mediaId)
      if (file.stored && (await Bun.file(pathOf(mediaId)).exists())) return file
      if (!file.mxcUri) throw noLongerKept()
      const response = await download(file.identityId, file.mxcUri)
      try {
        const body = quota.within(file, response.body ?? new Blob([]).stream())
        const sizeBytes = await writeFile(pathOf(mediaId), body, options.maxBytes)
        const copy = options.copyOf?.(file.mxcUri)
        if (copy) await shareFile(copy, pathOf(mediaId))
        const found = { sizeBytes, ...(await picture(file, sizeBytes)) }
        await repository.setStored(mediaId, found, clock.now())
        quota.release(mediaId)
        return { ...file, ...found, stored: true }
      } catch (error) {
        // No row would count it.
        await remove(mediaId)
        throw error
      }
    })
  }

  async function download(identityId: string, mxcUri: string): Promise<Response> {
    try {
      return await (await options.sessionOf(identityId)).download(mxcUri)
    } catch (error) {
      if (!(error instanceof GatewayError && error.code === 'not_found')) throw error
      throw noLongerKept(`: ${error.message}`)
    }
  }

  /** Many bridges don't tell an image's pixels or BlurHash: what they left out is found out from the file. */
  async function picture(
    file: Media,
    sizeBytes: number,
  ): Promise<Pick<Media, 'width' | 'height' | 'blurHash'>> {
    const { id, width, height, blurHash } = file
    const isKnown = !file.mimeType.startsWith('image/') || (width > 0 && height > 0 && blurHash !== '')
    const image = isKnown ? null : await describeImage(pathOf(id), sizeBytes)
    return {
      width: width || (image?.width ?? 0),
      height: height || (image?.height ?? 0),
      blurHash: blurHash || (image?.blurHash ?? ''),
    }
  }

  async function existing(mediaId: string): Promise<Media> {
    const file = await repository.find(mediaId)
    if (file) return file
    throw noLongerKept()
  }
}

function noLongerKept(why = ''): GatewayError {
  return new GatewayError('not_found', `the file is no longer kept${why}`)
}

async function headOf(path: string): Promise<Uint8Array> {
  return new Uint8Array(await Bun.file(path).slice(0, HEAD_BYTES).arrayBuffer())
}
