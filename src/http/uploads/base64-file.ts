/** A file in the field `file_base64`: it goes to the disk as it comes in, like an upload. */
import { GatewayError } from '../../domain/errors.ts'
import { transferDecoder, WrongTransferEncoding } from '../../lib/transfer-encoding.ts'
import type { ReceivedFile, StagedFile } from '../../modules/media/media.ts'
import { type MultipartSink, nameProblem } from './upload.ts'

export const BASE64_FIELD = 'file_base64'
/** Decoded. */
const MAX_BYTES = 8 * 1024 * 1024
/** The largest file, as base64 with line breaks and escapes, beside all that a send may have. */
const MAX_WRITTEN_BYTES = 3 * MAX_BYTES

/**
 * @param length of a whole body, in bytes
 * @throws GatewayError payload_too_large for one that can't hold a file of a size that is taken
 */
export function refuseTooLong(length: number): void {
  if (length > MAX_WRITTEN_BYTES) throw tooLarge()
}

/**
 * @param pieces base64 (RFC 4648 section 4), of which line breaks may be a part
 * @throws GatewayError bad_request, payload_too_large, and as uploads do; nothing is kept then
 */
export async function receiveBase64(
  pieces: AsyncIterable<Uint8Array>,
  sink: Pick<MultipartSink, 'receive'>,
): Promise<ReceivedFile> {
  try {
    return await sink.receive(limited(transferDecoder('base64')(pieces)))
  } catch (error) {
    if (!(error instanceof WrongTransferEncoding)) throw error
    throw new GatewayError(
      'bad_request',
      `${BASE64_FIELD}: expected base64 alone, without “data:…,” before it`,
    )
  }
}

/** @throws GatewayError bad_request; the file is then still there */
export async function describeBase64(
  file: ReceivedFile,
  fileName: string | undefined,
  sink: Pick<MultipartSink, 'describe'>,
): Promise<StagedFile> {
  if (!fileName) throw new GatewayError('bad_request', 'Missing required field: file_name')
  const problem = nameProblem(fileName, 'file_name')
  if (problem) throw problem
  return sink.describe(file, { fileName, mimeType: '' })
}

async function* limited(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let size = 0
  for await (const piece of bytes) {
    size += piece.length
    if (size > MAX_BYTES) throw tooLarge()
    yield piece
  }
}

function tooLarge(): GatewayError {
  return new GatewayError(
    'payload_too_large',
    `${BASE64_FIELD}: expected at most ${MAX_BYTES} bytes: send a larger file as \`file\` in a form, or by \`file_url\``,
  )
}
