/** Reads a multipart form: fields into memory, up to a limit, and files straight to the disk. */
import { GatewayError } from '../../domain/errors.ts'
import { bodyStream } from '../../lib/body-reader.ts'
import { decodeText, UndecodableText } from '../../lib/charset.ts'
import { boundaryOf, MalformedForm, type Part, partsOf } from '../../lib/multipart.ts'
import { transferDecoded, transferDecoder, WrongTransferEncoding } from '../../lib/transfer-encoding.ts'
import type { ReceivedFile, StagedFile } from '../../modules/media/media.ts'

import { BASE64_FIELD, receiveBase64 } from './base64-file.ts'
import { type MultipartSink, nameProblem } from './upload.ts'

/** Limits of a form, its files' sizes apart. A list repeats its field, up to 100 times. */
const LIMITS = { fields: 250, fieldBytes: 256 * 1024, parts: 290 }
export const MAX_FILES = 30

/** The files that a form may have. */
export interface FormFiles {
  /** The field that they are in. */
  field: string
  max: number
  /** True where a file may also be the text of `file_base64`. */
  inBase64: boolean
  /** @returns what is wrong with the name of a file */
  nameProblem(fileName: string): GatewayError | null
}

const SENT_FILES: FormFiles = {
  field: 'file',
  max: MAX_FILES,
  inBase64: true,
  nameProblem: fileName => nameProblem(fileName, 'file'),
}

export interface MultipartForm {
  /** As they came: a name may be there several times. */
  fields: [name: string, value: string][]
  files: StagedFile[]
  /** The file of `file_base64`, whose name is a field. */
  base64: ReceivedFile | undefined
}

/**
 * If it rejects, nothing of the upload is left on the disk.
 * @param expected by default the files of a send
 * @throws GatewayError bad_request (malformed, too many parts or files, a file whose name is
 * wrong), payload_too_large, storage_full
 */
export async function readMultipart(
  request: Request,
  sink: Omit<MultipartSink, 'describe'>,
  expected = SENT_FILES,
): Promise<MultipartForm> {
  if (!request.body) throw new GatewayError('bad_request', 'The body is empty')
  const boundary = boundaryOf(request.headers.get('content-type') ?? '')
  if (boundary === null)
    throw new GatewayError('bad_request', 'Content-Type: expected multipart/form-data with a boundary')
  const progress = trackProgress(sink)
  const fields: KeptField[] = []
  const files: StagedFile[] = []
  let base64: ReceivedFile | undefined
  let charset: string | undefined
  let parts = 0
  try {
    for await (const part of partsOf(progress.count(bodyStream(request)), boundary)) {
      if (++parts > LIMITS.parts || fields.length > LIMITS.fields) throw tooManyParts()
      if (part.fileName !== null) {
        const file = await stageFile(part, sink, { expected, charset, before: files.length })
        if (file) files.push(file)
        continue
      }
      if (expected.inBase64 && part.name === BASE64_FIELD) {
        if (base64) throw new GatewayError('bad_request', `${BASE64_FIELD}: expected once, not several times`)
        base64 = await receiveBase64(part.body, sink)
        // A field that was left empty.
        if (base64.sizeBytes === 0) base64 = await sink.discard(base64).then(() => undefined)
        continue
      }
      const field = await readField(part)
      progress.keep(field)
      if (part.name === FORM_CHARSET) charset = formCharset(field) || undefined
      else fields.push(field)
    }
    return { fields: textsOf(fields, charset, expected.field), files, base64 }
  } catch (error) {
    for (const file of [...files, ...(base64 ? [base64] : [])]) await sink.discard(file)
    throw expectedFailure(error, expected.field)
  }
}

type KeptField = Pick<Part, 'name' | 'charset' | 'encoding'> & { bytes: Buffer }

/** A form's default charset, for texts and names of files (RFC 7578 section 4.6). */
const FORM_CHARSET = '_charset_'

async function readField({ name, charset, encoding, body }: Part): Promise<KeptField> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > LIMITS.fieldBytes)
      throw new GatewayError('payload_too_large', `${name}: expected at most ${LIMITS.fieldBytes} bytes`)
    chunks.push(chunk)
  }
  return { name, charset, encoding, bytes: Buffer.concat(chunks) }
}

function formCharset(field: KeptField): string {
  const charset = fieldText(field, undefined)
  try {
    if (charset !== '') decodeText(new Uint8Array(), charset)
  } catch {
    throw new GatewayError('bad_request', `${FORM_CHARSET}: expected a charset that is known`)
  }
  return charset
}

/** Once all parts are read, as the one that says the form's charset may come last. */
function textsOf(
  fields: readonly KeptField[],
  charset: string | undefined,
  fileField: string,
): MultipartForm['fields'] {
  // Most often a file whose part has no name: no charset is at fault.
  if (fields.some(({ name, bytes }) => name === fileField && bytes.length > 0))
    throw new GatewayError('bad_request', `${fileField}: expected a file, not text`)
  // A file input that was left empty, as some clients send it.
  const filled = fields.filter(({ name }) => name !== fileField)
  return filled.map(field => [field.name, fieldText(field, charset)])
}

/** @returns undefined for a file input left empty, which browsers send without name and bytes */
async function stageFile(
  { name, fileName: nameIn, mimeType, encoding, body }: Part,
  sink: Pick<MultipartSink, 'stage'>,
  { expected, charset, before }: { expected: FormFiles; charset: string | undefined; before: number },
): Promise<StagedFile | undefined> {
  const fileName = fileNameOf(nameIn, charset, expected.field)
  // Bytes make it a file without a name.
  const content = fileName === '' ? await filled(body) : body
  if (!content) return undefined
  const refusal = refuseFile(expected, name, fileName, before)
  if (refusal) throw refusal
  return sink.stage({ fileName, mimeType, stream: transferDecoder(encoding)(content) })
}

function fileNameOf(nameIn: Part['fileName'], charset: string | undefined, field: string): string {
  try {
    return nameIn?.(charset) ?? ''
  } catch (error) {
    if (!(error instanceof UndecodableText)) throw error
    throw new GatewayError(
      'bad_request',
      `${field}: expected its name in UTF-8, or in a charset declared before it`,
    )
  }
}

/** @returns all of the body; undefined when there is nothing in it */
async function filled(body: Part['body']): Promise<Part['body'] | undefined> {
  const rest = body[Symbol.asyncIterator]()
  let next = await rest.next()
  while (!next.done && next.value.length === 0) next = await rest.next()
  if (next.done) return undefined
  const first = next.value
  return (async function* () {
    yield first
    yield* { [Symbol.asyncIterator]: () => rest }
  })()
}

/** As UTF-16, which a single character beyond Latin-1 makes of a whole text. */
const BYTES_PER_CHARACTER = 2

function trackProgress(sink: Pick<MultipartSink, 'receiving'>) {
  let receivedBytes = 0
  let fieldBytes = 0
  return {
    keep({ name, bytes }: KeptField): void {
      fieldBytes += BYTES_PER_CHARACTER * (name.length + bytes.length)
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

/** @throws GatewayError bad_request */
function fieldText({ name, bytes, charset, encoding }: KeptField, formCharset: string | undefined): string {
  try {
    const content = transferDecoded(bytes.toString('latin1'), encoding) ?? bytes
    return decodeText(content, charset ?? formCharset)
  } catch (error) {
    if (error instanceof WrongTransferEncoding) throw wrongEncoding(name, error)
    if (!(error instanceof UndecodableText)) throw error
    throw new GatewayError(
      'bad_request',
      `${name}: expected UTF-8, or text in the charset that its part or the form declares (${error.message})`,
    )
  }
}

function wrongEncoding(name: string, { message }: WrongTransferEncoding): GatewayError {
  return new GatewayError('bad_request', `${name}: ${message}`)
}

function refuseFile(
  { field, max, nameProblem }: FormFiles,
  name: string,
  fileName: string,
  before: number,
): GatewayError | null {
  if (name !== field)
    return new GatewayError('bad_request', `${name}: expected the file in a field named "${field}"`)
  if (before === max)
    return new GatewayError(
      'bad_request',
      `${field}: expected ${max === 1 ? 'one file' : `at most ${max} files`}`,
    )
  return nameProblem(fileName)
}

function tooManyParts(): GatewayError {
  return new GatewayError('bad_request', `The form has too many fields: expected at most ${LIMITS.fields}`)
}

/** A stream that broke off is a form that isn't whole. */
function expectedFailure(cause: unknown, fileField: string): unknown {
  if (cause instanceof WrongTransferEncoding) return wrongEncoding(fileField, cause)
  if (cause instanceof MalformedForm && cause.field)
    return new GatewayError('bad_request', `${cause.field}: ${cause.message}`)
  if (cause instanceof MalformedForm)
    return new GatewayError('bad_request', `The form is malformed: ${cause.message}`)
  if (cause instanceof Error && isStreamFailure(cause))
    return new GatewayError('bad_request', 'The form is malformed or was cut off')
  return cause
}

const STREAM_CODES = new Set(['ABORT_ERR', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_ABORTED'])

function isStreamFailure(error: Error & { code?: unknown }): boolean {
  return error.name === 'AbortError' || (typeof error.code === 'string' && STREAM_CODES.has(error.code))
}
