/** Where the files of a send go as they come in, and which names they may have. */
import { extname } from 'node:path'
import { GatewayError } from '../../../domain/errors.ts'
import type { IncomingFile, ReceivedFile, StagedFile } from '../../../modules/media/media.ts'

/** A name that is longer couldn't be stored by whoever gets the file. */
const MAX_NAME_BYTES = 255

export interface MultipartSink {
  receive(stream: AsyncIterable<Uint8Array>): Promise<ReceivedFile>
  describe(file: ReceivedFile, named: Pick<IncomingFile, 'fileName' | 'mimeType'>): Promise<StagedFile>
  stage(file: Pick<IncomingFile, 'fileName' | 'mimeType' | 'stream'>): Promise<StagedFile>
  discard(file: Pick<ReceivedFile, 'id'>): Promise<void>
  /**
   * Called as the body comes in, with its size and the memory its fields take so far. What it
   * throws ends the reading.
   */
  receiving(receivedBytes: number, fieldBytes: number): void
}

/** @param field that has the name */
export function nameProblem(fileName: string, field: string): GatewayError | null {
  if (Buffer.byteLength(fileName) > MAX_NAME_BYTES || /\p{Cc}/u.test(fileName)) {
    return new GatewayError(
      'bad_request',
      `${field}: expected a name of at most ${MAX_NAME_BYTES} bytes, without control characters`,
    )
  }
  if (extname(fileName).length < 2) {
    return new GatewayError('bad_request', 'Uploaded file must have a file extension')
  }
  return null
}
