/** Reads a multipart send: fields into memory, up to a limit, and the file straight to the disk. */
import { extname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import busboy from 'busboy'
import { GatewayError } from '../../../domain/errors.ts'
import { bodyStream } from '../../../lib/body-reader.ts'
import { decodeText } from '../../../lib/charset.ts'
import { formFileName } from '../../../lib/form-file-name.ts'
import { transferDecoded, transferDecoder, WrongTransferEncoding } from '../../../lib/transfer-encoding.ts'
import type { IncomingFile, StagedFile } from '../../../modules/media/types.ts'

/** What a form may consist of, the file apart. */
const LIMITS = { fields: 32, fieldNameSize: 128, fieldSize: 256 * 1024, parts: 40, headerPairs: 32 }

/** A name that is longer couldn't be stored by whoever gets the file. */
const MAX_NAME_BYTES = 255

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
  // The parser gives undefined for a missing name or value, or an unknown charset, whatever its
  // types say.
  parser.on('field', (name = '', value: string | undefined, { nameTruncated, valueTruncated, encoding }) => {
    try {
      if (value === undefined) throw unreadable(name)
      progress.keep(name, value)
      if (nameTruncated || valueTruncated) throw fieldTooLarge(name)
      const text = fieldText(name, value, encoding)
      // A file input that was left empty, as some clients send it.
      if (name === 'file' && text === '') return
      if (name === 'file') throw new GatewayError('bad_request', 'file: expected a file, not text')
      fields.push([name, text])
    } catch (error) {
      fail(error)
    }
  })
  // A part without a name has none here, whatever the types say.
  parser.on('file', (name = '', stream, { filename = '', mimeType, encoding }) => {
    // A stream that nobody reads would hold up the form behind it; cut off, it reports that to its listeners.
    stream.on('error', () => undefined)
    const refuse = (error: unknown) => {
      stream.resume()
      fail(error)
    }
    // A browser sends a file input that was left empty without a name and without bytes. Bytes make
    // it a file without an extension.
    if (filename === '') {
      stream.once('data', () => refuse(refuseFile(name, '', false)))
      return
    }
    const fileName = formFileName(filename)
    const refusal = refuseFile(name, fileName, staging !== undefined)
    if (refusal) {
      refuse(refusal)
      return
    }
    try {
      staging = sink.stage({ fileName, mimeType, stream: transferDecoder(encoding)(stream) })
      staging.catch(fail)
    } catch (error) {
      refuse(error)
    }
  })
  for (const event of ['fieldsLimit', 'filesLimit', 'partsLimit'] as const) {
    parser.on(event, () => fail(new GatewayError('bad_request', 'The form has too many fields')))
  }

  try {
    await pipeline(bodyStream(request), progress.count, parser, { signal: stop.signal })
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

/** A text whose bytes were none in its charset; the parser replaces them and doesn't tell. */
const UNDECODABLE = '\ufffd'
/**
 * The parser takes windows-1252 for Latin-1, and gives a control character for each letter that
 * only windows-1252 has.
 */
const CONTROL = /[\u0080-\u009f]/

/** @throws GatewayError bad_request */
function fieldText(name: string, value: string, encoding: string): string {
  if (value.includes(UNDECODABLE) || CONTROL.test(value)) throw unreadable(name)
  try {
    const decoded = transferDecoded(value, encoding)
    return decoded ? decodeText(decoded) : value
  } catch (error) {
    throw error instanceof WrongTransferEncoding ? wrongEncoding(name, error) : unreadable(name)
  }
}

function wrongEncoding(name: string, { message }: WrongTransferEncoding): GatewayError {
  return new GatewayError('bad_request', `${name}: ${message}`)
}

function unreadable(name: string): GatewayError {
  return new GatewayError(
    'bad_request',
    `${name}: expected UTF-8, or text in the charset that the part declares`,
  )
}

function refuseFile(name: string, fileName: string, another: boolean): GatewayError | null {
  if (name !== 'file') {
    return new GatewayError('bad_request', `${name}: expected the file in a field named "file"`)
  }
  if (fileName.includes(UNDECODABLE))
    return new GatewayError('bad_request', 'file: expected its name in UTF-8')
  if (Buffer.byteLength(fileName) > MAX_NAME_BYTES || /\p{Cc}/u.test(fileName)) {
    return new GatewayError(
      'bad_request',
      `file: expected a name of at most ${MAX_NAME_BYTES} bytes, without control characters`,
    )
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
  if (cause instanceof WrongTransferEncoding) return wrongEncoding('file', cause)
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
