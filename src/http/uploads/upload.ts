/** Where uploaded files go as they come in, and which names they may have. */
import { extname } from 'node:path'
import { GatewayError } from '../../domain/errors.ts'
import type { IncomingFile, ReceivedFile, StagedFile } from '../../modules/media/media.ts'
import { budgetOf, MAX_UPLOAD_BYTES_HELD } from '../in-flight.ts'
import type { Uploading } from '../server.ts'
import type { HttpServices } from '../services.ts'

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

/**
 * @param identityId whose files they are
 * @returns the sink for the body of a request
 */
export function uploadSink(
  request: Request,
  identityId: string,
  { media, uploading }: Pick<HttpServices, 'media'> & { uploading: Uploading },
): MultipartSink {
  return {
    stage: upload => media.stage({ ...upload, identityId }),
    receive: stream => media.receive({ identityId, stream }),
    describe: media.describe,
    discard: media.discard,
    receiving(receivedBytes, fieldBytes) {
      // The file is on its way to the disk; the fields stay.
      budgetOf(request).hold(Math.min(receivedBytes, MAX_UPLOAD_BYTES_HELD) + fieldBytes)
      uploading(request, receivedBytes)
    },
  }
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
