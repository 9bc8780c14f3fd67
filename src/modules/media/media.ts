/**
 * Files of messages, on disk below DATA_DIR/media: those to be sent, and those that came in. A file
 * is staged or fetched here; `quota.ts` bounds what an identity's files take, `describe-voice.ts`
 * listens to recordings, and `sweep.ts` removes what a kill leaves behind.
 */
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Media } from '../../db/schema/index.ts'
import { GatewayError, messageOf } from '../../domain/errors.ts'
import type { MatrixSession } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import { describeImage } from '../../lib/describe-image.ts'
import { writeDurably } from '../../lib/durable-file.ts'
import { isOutOfSpace } from '../../lib/error-codes.ts'
import { HEAD_BYTES, mediaTypeOf, OGG_OPUS } from '../../lib/media-type.ts'
import { equalInConstantTime } from '../../lib/sealing.ts'
import { shareFile } from '../../lib/shared-file.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { randomToken } from '../../lib/tokens.ts'
import { describeVoice } from './describe-voice.ts'
import { createMediaQuota } from './quota.ts'
import type { MediaRepository } from './repository.ts'

export interface IncomingFile {
  identityId: string
  fileName: string
  /** Declared by the sender; empty if it didn't. */
  mimeType: string
  stream: AsyncIterable<Uint8Array>
}

/** A file on disk (fsynced) that has no name yet: describe it, or discard it. */
export type ReceivedFile = Pick<Media, 'id' | 'identityId' | 'sizeBytes'>

/** A file on disk (fsynced) without a row: commit it with what refers to it, or discard it. */
export type StagedFile = Omit<Media, 'createdAt' | 'updatedAt' | 'sourceUrl'>

/** A file whose row is stored with what refers to it: staged, or still to be fetched. */
export type NewFile = StagedFile & { sourceUrl?: string }

export interface MediaOptions {
  repository: MediaRepository
  dir: string
  maxBytes: number
  /** Limit for all files of an identity; null: none. */
  quotaBytes: number | null
  /** Where this process itself keeps the file at an mxc:// URI, which never changes; else null. */
  copyOf?: ((mxcUri: string) => string | null) | undefined
  /** How long a signed address is good for, in seconds. */
  urlTtlS: number
  /** Keyed one-way function for signed addresses. */
  sign: (text: string) => string
  /** The same under the previous key: its addresses are good until they expire. */
  signBefore?: ((text: string) => string) | undefined
  /** The Matrix session of an identity. */
  sessionOf(identityId: string): Promise<MatrixSession>
  clock: Clock
}

/** Ends the name of a file that isn't complete. */
export const PARTIAL_SUFFIX = '.part'

export type MediaFiles = ReturnType<typeof createMedia>

export function createMedia(options: MediaOptions) {
  const { repository, maxBytes, clock } = options
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
    /** Where the file of a media id lies. */
    pathOf,
    find: repository.find,
    /** @throws GatewayError not_found */
    get: existing,

    receive,
    describe,

    /**
     * Receives a file, and describes it.
     * @throws GatewayError as `receive`
     */
    stage: async (file: IncomingFile): Promise<StagedFile> => describe(await receive(file), file),

    /** Removes a received or staged file that nothing refers to. */
    discard: (file: Pick<Media, 'id'>) => remove(file.id),

    /** Removes files whose rows are gone. */
    async discardAll(mediaIds: readonly string[]): Promise<void> {
      for (const id of mediaIds) await remove(id)
    },

    /** Makes sure the file lies at the homeserver. @returns its mxc:// URI */
    upload: (mediaId: string) =>
      uploads.run(mediaId, async () => {
        const file = await existing(mediaId)
        if (file.mxcUri) return { file, mxcUri: file.mxcUri }
        const session = await options.sessionOf(file.identityId)
        const mxcUri = await session.upload(pathOf(mediaId), file.fileName, file.mimeType)
        await repository.setMxcUri(mediaId, mxcUri, clock.now())
        await share(mxcUri, mediaId)
        return { file, mxcUri }
      }),

    fetchIncoming,

    /** Path and query of an address that serves the file to anybody, until it expires. */
    signedPath(mediaId: string): string {
      const expires = Math.floor(clock.now() / 1000) + options.urlTtlS
      return `/api/v1/media/${mediaId}?expires=${expires}&signature=${signatureOf(mediaId, expires)}`
    },

    /**
     * Opens the file behind a signed address.
     * @param expires seconds since the Unix epoch, as in the address
     * @throws GatewayError forbidden (wrong or expired signature, no token left), not_found,
     * homeserver_unavailable
     */
    async open(
      mediaId: string,
      expires: number,
      signature: string,
    ): Promise<{ path: string; fileName: string; mimeType: string }> {
      if (!isSignatureOf(signature, mediaId, expires))
        throw new GatewayError('forbidden', 'signature: does not belong to this file and time')
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

  /**
   * Streams a file to DATA_DIR/media and fsyncs it.
   * @param file.id by default a new one
   * @throws GatewayError payload_too_large beyond MEDIA_MAX_BYTES, quota_exceeded beyond
   * MEDIA_QUOTA_PER_IDENTITY, storage_full when the disk is full; nothing is kept then
   */
  async function receive({
    id = newMediaId(),
    identityId,
    stream,
  }: Pick<IncomingFile, 'identityId' | 'stream'> & { id?: string }): Promise<ReceivedFile> {
    try {
      const sizeBytes = await write(pathOf(id), quota.within({ id, identityId }, stream))
      return { id, identityId, sizeBytes }
    } catch (error) {
      await remove(id)
      throw error
    }
  }

  /**
   * Finds out MIME type, pixels, BlurHash, duration and waveform as far as that is cheap. If that
   * fails, the file is gone.
   */
  async function describe(
    { id, identityId, sizeBytes }: ReceivedFile,
    { fileName, mimeType }: Pick<IncomingFile, 'fileName' | 'mimeType'>,
  ): Promise<StagedFile> {
    const path = pathOf(id)
    try {
      const type = await mediaTypeOf(await headOf(path), fileName, mimeType)
      const image = type.startsWith('image/') ? await describeImage(path, sizeBytes) : null
      const voice = type === OGG_OPUS ? await describeVoice(path, sizeBytes) : null
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
    } catch (error) {
      await remove(id)
      throw error
    }
  }

  async function remove(mediaId: string): Promise<void> {
    await rm(pathOf(mediaId), { force: true })
    quota.release(mediaId)
  }

  /**
   * Writes `<path>.part`, which becomes the file when it is complete.
   * @returns the size in bytes
   * @throws GatewayError payload_too_large, storage_full; no file stays then, nor if `stream` fails
   */
  async function write(path: string, stream: AsyncIterable<Uint8Array>): Promise<number> {
    const tooLarge = () => new GatewayError('payload_too_large', `file: expected at most ${maxBytes} bytes`)
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      return await writeDurably({ path, temporary: `${path}${PARTIAL_SUFFIX}`, maxBytes, tooLarge }, stream)
    } catch (error) {
      if (!isOutOfSpace(error)) throw error
      throw new GatewayError('storage_full', `there is no space left to store the file (${messageOf(error)})`)
    }
  }

  /** Lets our file and the one that this process keeps at the mxc:// URI be one on the disk. */
  async function share(mxcUri: string, mediaId: string): Promise<void> {
    const copy = options.copyOf?.(mxcUri)
    if (copy) await shareFile(copy, pathOf(mediaId))
  }

  /**
   * Makes sure an incoming file is on our disk.
   * @throws GatewayError not_found when the homeserver doesn't have it; payload_too_large,
   * quota_exceeded
   */
  function fetchIncoming(mediaId: string): Promise<Media> {
    return downloads.run(mediaId, async () => {
      const file = await existing(mediaId)
      if (file.stored && (await Bun.file(pathOf(mediaId)).exists())) return file
      if (!file.mxcUri) throw noLongerKept()
      const response = await download(file.identityId, file.mxcUri)
      try {
        const body = quota.within(file, response.body ?? new Blob([]).stream())
        const sizeBytes = await write(pathOf(mediaId), body)
        await share(file.mxcUri, mediaId)
        const found = { sizeBytes, ...(await picture(file, sizeBytes)) }
        await repository.setStored(mediaId, found, clock.now())
        quota.release(mediaId)
        return { ...file, ...found, stored: true }
      } catch (error) {
        // Otherwise no row would count it.
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

  /** Finds out an image's pixels and BlurHash where the bridge left them out. */
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

/** @returns the row of a file that is fetched later: it has neither bytes nor a name yet */
export function fileToFetch(identityId: string, sourceUrl: string): NewFile {
  return {
    id: newMediaId(),
    identityId,
    fileName: '',
    mimeType: '',
    sizeBytes: 0,
    width: 0,
    height: 0,
    durationMs: 0,
    blurHash: '',
    waveform: null,
    mxcUri: null,
    stored: false,
    sourceUrl,
  }
}

function newMediaId(): string {
  return randomToken('file_', 18)
}

function noLongerKept(why = ''): GatewayError {
  return new GatewayError('not_found', `the file is no longer kept${why}`)
}

async function headOf(path: string): Promise<Uint8Array> {
  return new Uint8Array(await Bun.file(path).slice(0, HEAD_BYTES).arrayBuffer())
}
