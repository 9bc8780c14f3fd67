/** Reads request bodies: JSON, a form, or a multipart form whose file is streamed to disk. */
import { bodyStream } from '../../lib/body-reader.ts'
import { BodyTooSlow, readBytesAtMost } from '../../lib/bounded-body.ts'
import { charsetOf, decodeText, UndecodableText } from '../../lib/charset.ts'
import { isOutOfSpace } from '../../lib/error-codes.ts'
import { isNestedTooDeep, MAX_NESTING } from '../../lib/json-nesting.ts'
import { declaredType } from '../../lib/media-type.ts'
import { boundaryOf, type Part, partsOf } from '../../lib/multipart.ts'
import { createTimeLimit } from '../../lib/time-limit.ts'
import { FileTooLarge, type MediaFiles } from '../network/media.ts'
import type { Media } from '../network/types.ts'
import { ApiError } from './errors.ts'

/** Longest body that isn't a file. */
const MAX_TEXT_BYTES = 1024 * 1024

/** Total memory and time limit of such bodies: anyone who reaches the sandbox may send them. */
const MAX_TEXT_BYTES_IN_ALL = 16 * 1024 * 1024
const textLimit = createTimeLimit(10_000)
let textBytesInAll = 0

/** @throws ApiError when the body is too large, slow or undecodable, or too many are being read */
export async function readText(request: Request): Promise<string> {
  let heldBytes = 0
  const holding = (bytes: number) => {
    if (textBytesInAll + bytes - heldBytes > MAX_TEXT_BYTES_IN_ALL)
      throw new ApiError('unavailable', 'too many bodies are under way')
    textBytesInAll += bytes - heldBytes
    heldBytes = bytes
  }
  try {
    const bytes = await readBytesAtMost(request, MAX_TEXT_BYTES, { holding, limit: textLimit })
    if (bytes !== null) return decodeText(bytes, charsetOf(request.headers.get('content-type')))
    throw new ApiError('too_large', `the body is larger than ${MAX_TEXT_BYTES} bytes`)
  } catch (error) {
    if (error instanceof UndecodableText) throw new ApiError('bad_request', `body: ${error.message}`)
    if (!(error instanceof BodyTooSlow)) throw error
    throw new ApiError('bad_request', `body: took longer than ${textLimit.ms / 1_000} s to come in`)
  } finally {
    textBytesInAll -= heldBytes
  }
}

/** @returns the JSON, `{}` for no body, not yet checked against a schema */
export async function readJson(request: Request): Promise<unknown> {
  const text = await readText(request)
  return parseJson(text.trim() === '' ? '{}' : text, 'JSON')
}

/** @throws ApiError when the text is no JSON or nested too deep; `expected` names allowed bodies */
export function parseJson(text: string, expected: string): unknown {
  if (isNestedTooDeep(text)) {
    throw new ApiError('bad_request', `body: expected at most ${MAX_NESTING} levels of lists and objects`)
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new ApiError('bad_request', `body: expected ${expected}`)
  }
}

export function isMultipart(request: Request): boolean {
  return (request.headers.get('content-type') ?? '').startsWith('multipart/form-data')
}

export interface MultipartForm {
  fields: Record<string, string>
  media: Media | null
}

/** @throws ApiError when the form is broken or cut off, or its file too large; leaves no file */
export async function readMultipart(request: Request, files: MediaFiles): Promise<MultipartForm> {
  if (!request.body) throw new ApiError('bad_request', 'body: expected a multipart form')
  const boundary = boundaryOf(request.headers.get('content-type') ?? '')
  if (boundary === null) throw new ApiError('bad_request', 'body: expected a multipart form with a boundary')
  const fields: Record<string, string> = {}
  let media: Media | null = null
  let parts = 0
  try {
    for await (const part of partsOf(bodyStream(request), boundary)) {
      if (++parts > MAX_PARTS) throw new Error(`expected at most ${MAX_PARTS} parts`)
      if (part.fileName === null) fields[part.name] = await fieldText(part)
      else if (part.name === 'file' && media === null) media = await saved(part, part.fileName(), files)
    }
    return { fields, media }
  } catch (error) {
    if (media) await files.discard(media.id)
    throw refusalOf(error)
  }
}

const MAX_PARTS = 50

async function fieldText({ name, charset, body }: Part): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_TEXT_BYTES) throw new Error(`${name}: expected at most ${MAX_TEXT_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    return decodeText(Buffer.concat(chunks), charset)
  } catch (error) {
    throw error instanceof UndecodableText ? new Error(`${name}: ${error.message}`) : error
  }
}

function saved({ mimeType, body }: Part, name: string, files: MediaFiles): Promise<Media> | null {
  return name === ''
    ? null
    : files.take({ stream: () => body }, { name, mimeType, isTypeKnown: declaredType(mimeType) !== null })
}

function refusalOf(cause: unknown): ApiError {
  if (cause instanceof FileTooLarge) return new ApiError('too_large', `file: ${cause.message}`)
  if (isOutOfSpace(cause)) return new ApiError('storage_full', 'file: there is no space left to store it')
  return new ApiError(
    'bad_request',
    `body: ${cause instanceof Error ? cause.message : 'not a multipart form'}`,
  )
}
