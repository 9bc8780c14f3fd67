/** What the media use cases offer. */
import type { Media } from '../../db/schema/index.ts'

export interface IncomingFile {
  identityId: string
  fileName: string
  /** As the sender declared it; empty when it didn't. */
  mimeType: string
  stream: AsyncIterable<Uint8Array>
}

/** A file that is on disk (fsynced) but has no row yet: commit it with what refers to it, or discard it. */
export type StagedFile = Omit<Media, 'createdAt' | 'updatedAt'>

export interface MediaStore {
  /**
   * Streams a file to DATA_DIR/media and fsyncs it. Finds out MIME type, pixels, BlurHash, duration
   * and waveform as far as that is cheap.
   * @throws GatewayError payload_too_large beyond MEDIA_MAX_BYTES, quota_exceeded beyond
   * MEDIA_QUOTA_PER_IDENTITY (nothing is kept), storage_full when the disk is full
   */
  stage(file: IncomingFile): Promise<StagedFile>
  /** Removes a staged file that nothing refers to. */
  discard(file: StagedFile): Promise<void>
  /** Removes files whose rows are gone. */
  discardAll(mediaIds: readonly string[]): Promise<void>
  /** Where the file of a media id lies. */
  pathOf(mediaId: string): string
}
