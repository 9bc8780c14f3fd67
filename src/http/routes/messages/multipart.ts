/** Reads a multipart send: fields into memory, up to a limit, and the file straight to the disk. */
import { extname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import busboy from 'busboy'
import { GatewayError } from '../../../domain/errors.ts'
import { formFileName } from '../../../lib/form-file-name.ts'
import type { IncomingFile, StagedFile } from '../../../modules/media/types.ts'

/** What a form may consist of, the file apart. */
const LIMITS = { fields: 32, fieldNameSize: 128, fieldSize: 256 * 1024, parts: 40, headerPairs: 32 }

export interface MultipartSend {
  /** As they came: a name may be there several times. */
  fields: [name: string, value: string][]
  file: StagedFile | undefined
}

export interface MultipartSink {
  stage(file: Pick<IncomingFile, 'fileName' | 'mimeType' | 'stream'>): Promise<StagedFile>
  discard(file: StagedFile): Promise<void>
  /**
   * Is told, as it comes in, how much of the whole body there is, and how much memory the fields in it take by now. What it throws ends the reading.
   */
  receiving(receivedBytes: number, fieldBytes: number): void
}

/**
 * When it rejects, nothing of the upload is left on the disk.
 * @throws GatewayError bad_request (malformed, too many parts, several files, a file without extension), payload_too_large, storage_full
 */
export async function readMultipart(request: Request, sink: MultipartSink): Promise<MultipartSend> {
  if (!request.body) throw new GatewayError('bad_request', 'The body is empty')
  const fields: MultipartSend['fields'] = []
  let staging: Promise<StagedFile> | undefined
  const stop = new AbortController()
  // The first failure tells the cause; what follows from it (streams cut off) doesn't.
  const failure: { cause?: unknown } = {}
  const fail = (cause: unknown) => {
    failure.cause ??= cause
    stop.abort()
  }

  const progress = trackProgress(sink)
  const parser = openParser(request)
  // Undefined where it has no name, whatever the types say.
  parser.on('field', (name = '', value, { nameTruncated, valueTruncated }) => {
    try {
      progress.keep(name, value)
    } catch (error) {
      fail(error)
      return
    }
    if (nameTruncated || valueTruncated) fail(fieldTooLarge(name))
    else if (name === 'file') fail(new GatewayError('bad_request', 'file: expected a file, not text'))
    else fields.push([name, value])
  })
  parser.on('file', (name, stream, info) => {
    // Undefined when the part has no name, whatever the types say.
    const { filename = '', mimeType } = info
    const fileName = formFileName(filename)
    const refusal = refuseFile(name, fileName, staging !== undefined)
    // A stream that nobody reads would hold up the form behind it; cut off, it reports that to its listeners.
    stream.on('error', () => undefined)
    if (refusal) {
      stream.resume()
      fail(refusal)
      return
    }
    staging = sink.stage({ fileName, mimeType, stream })
    staging.catch(fail)
  })
  for (const event of ['fieldsLimit', 'filesLimit', 'partsLimit'] as const) {
    parser.on(event, () => fail(new GatewayError('bad_request', 'The form has too many fields')))
  }

  try {
    const body = Readable.fromWeb(request.body as unknown as NodeReadableStream)
    await pipeline(body, progress.count, parser, { signal: stop.signal })
    const file = await staging
    if (failure.cause !== undefined) throw failure.cause
    return { fields, file }
  } catch (error) {
    fail(error)
    const staged = await staging?.catch(() => undefined)
    if (staged) await sink.discard(staged)
    throw expectedFailure(failure.cause)
  }
}

/** As UTF-16, which a single character beyond Latin-1 makes of a whole text. */
const BYTES_PER_CHARACTER = 2

function trackProgress(sink: Pick<MultipartSink, 'receiving'>) {
  let receivedBytes = 0
  let fieldBytes = 0
  return {
    keep(name: string, value: string): void {
      fieldBytes += BYTES_PER_CHARACTER * (name.length + value.length)
      sink.receiving(receivedBytes, fieldBytes)
    },
    async *count(chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        receivedBytes += chunk.length
        sink.receiving(receivedBytes, fieldBytes)
        yield chunk
      }
    },
  }
}

function openParser(request: Request): busboy.Busboy {
  const headers = { 'content-type': request.headers.get('content-type') ?? '' }
  try {
    return busboy({ headers, limits: LIMITS, defParamCharset: 'utf8', preservePath: false })
  } catch {
    throw new GatewayError('bad_request', 'Content-Type: expected multipart/form-data with a boundary')
  }
}

function refuseFile(name: string, fileName: string, another: boolean): GatewayError | null {
  if (name !== 'file') {
    return new GatewayError('bad_request', `${name}: expected the file in a field named "file"`)
  }
  if (another) return new GatewayError('bad_request', 'file: expected one file, not several')
  if (extname(fileName).length < 2) {
    return new GatewayError('bad_request', 'Uploaded file must have a file extension')
  }
  return null
}

function fieldTooLarge(name: string): GatewayError {
  return new GatewayError('payload_too_large', `${name}: expected at most ${LIMITS.fieldSize} bytes`)
}

/** Whatever busboy or a stream that broke off threw is a form that isn't whole. */
function expectedFailure(cause: unknown): unknown {
  if (cause instanceof GatewayError) return cause
  if (cause instanceof Error && isStreamFailure(cause)) {
    return new GatewayError('bad_request', 'The form is malformed or was cut off')
  }
  return cause
}

const FORM_FAILURES =
  /^(Unexpected end of (form|file|multipart)|Malformed|Part terminated early|Multipart: )/i
const STREAM_CODES = new Set(['ABORT_ERR', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_ABORTED'])

function isStreamFailure(error: Error & { code?: unknown }): boolean {
  if (error.name === 'AbortError' || FORM_FAILURES.test(error.message)) return true
  return typeof error.code === 'string' && STREAM_CODES.has(error.code)
}
