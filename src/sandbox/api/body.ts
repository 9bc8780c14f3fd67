/** Reads what was sent: JSON, a form, or a multipart form whose file goes straight to the disk. */
import { pipeline } from 'node:stream/promises'
import busboy from 'busboy'
import { bodyStream } from '../../lib/body-reader.ts'
import { BodyTooSlow, readBytesAtMost } from '../../lib/bounded-body.ts'
import { charsetOf, decodeText, UndecodableText } from '../../lib/charset.ts'
import { formFileName } from '../../lib/form-file-name.ts'
import { isNestedTooDeep, MAX_NESTING } from '../../lib/json-nesting.ts'
import { declaredType } from '../../lib/media-type.ts'
import { isOutOfSpace } from '../../lib/out-of-space.ts'
import { createTimeLimit } from '../../lib/time-limit.ts'
import { FileTooLarge, type MediaFiles } from '../network/media.ts'
import type { Media } from '../network/types.ts'
import { ApiError } from './errors.ts'

/** Longest body that is no file. */
const MAX_TEXT_BYTES = 1024 * 1024

/** Of such bodies, which come from whoever can reach the sandbox: what they may take in memory together, and how long each may be in coming. */
const MAX_TEXT_BYTES_IN_ALL = 16 * 1024 * 1024
const textLimit = createTimeLimit(10_000)
let textBytesInAll = 0

/**
 * @throws ApiError when it is too large, too slow, not in its charset, or there are too many of
 * them at a time
 */
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

/** @returns the JSON, `{}` for no body; not yet checked against any schema */
export async function readJson(request: Request): Promise<unknown> {
  const text = await readText(request)
  return parseJson(text.trim() === '' ? '{}' : text, 'JSON')
}

/**
 * @throws ApiError when the text is no JSON, or nested too deep; `expected` names other allowed
 * bodies
 */
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

/** @throws ApiError when the form is broken or cut off, or its file too large; nothing of the file is left then */
export async function readMultipart(request: Request, files: MediaFiles): Promise<MultipartForm> {
  if (!request.body) throw new ApiError('bad_request', 'body: expected a multipart form')
  const parser = openParser(request)
  const fields: Record<string, string> = {}
  const saving: Promise<Media>[] = []
  const stop = new AbortController()
  // The first failure tells the cause; that the rest is cut off follows from it.
  const failure: { cause?: unknown } = {}
  const fail = (cause: unknown) => {
    failure.cause ??= cause
    stop.abort()
  }
  // The parser gives undefined for an unknown charset, whatever its types say, and replaces
  // undecodable bytes silently.
  parser.on('field', (name, value: string | undefined) => {
    if (value === undefined || value.includes('\ufffd')) fail(new Error(`${name}: expected UTF-8`))
    else fields[name] = value
  })
  parser.on('file', (field, stream, { filename, mimeType }) => {
    stream.on('error', () => undefined)
    if (field !== 'file' || saving.length > 0 || filename === undefined) return void stream.resume()
    const isTypeKnown = declaredType(mimeType) !== null
    const save = files.save(stream, { name: formFileName(filename), mimeType, isTypeKnown })
    save.catch(fail)
    saving.push(save)
  })
  try {
    // A pipe wouldn't do: who breaks off would leave the file open, waiting for more.
    await pipeline(bodyStream(request), parser, { signal: stop.signal })
    const [media = null] = await Promise.all(saving)
    return { fields, media }
  } catch (error) {
    fail(error)
    for (const saved of await Promise.allSettled(saving))
      if (saved.status === 'fulfilled') await files.discard(saved.value.id)
    throw refusalOf(failure.cause)
  }
}

function refusalOf(cause: unknown): ApiError {
  if (cause instanceof FileTooLarge) return new ApiError('too_large', `file: ${cause.message}`)
  if (isOutOfSpace(cause)) return new ApiError('storage_full', 'file: there is no space left to store it')
  return new ApiError(
    'bad_request',
    `body: ${cause instanceof Error ? cause.message : 'not a multipart form'}`,
  )
}

function openParser(request: Request): busboy.Busboy {
  try {
    return busboy({
      headers: { 'content-type': request.headers.get('content-type') ?? '' },
      defParamCharset: 'utf8',
      limits: { fieldSize: MAX_TEXT_BYTES, fields: 50, files: 1 },
    })
  } catch {
    throw new ApiError('bad_request', 'body: expected a multipart form with a boundary')
  }
}
