/** Reads what was sent: JSON, a form, or a multipart form whose file goes straight to the disk. */
import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import busboy from 'busboy'
import { readTextAtMost } from '../../lib/bounded-body.ts'
import { formFileName } from '../../lib/form-file-name.ts'
import { isOutOfSpace } from '../../lib/out-of-space.ts'
import { FileTooLarge, type MediaFiles, mimeTypeOf } from '../network/media.ts'
import type { Media } from '../network/types.ts'
import { ApiError } from './errors.ts'

/** Longest body that is no file. */
const MAX_TEXT_BYTES = 1024 * 1024

/** @throws ApiError when it is too large */
export async function readText(request: Request): Promise<string> {
  const text = await readTextAtMost(request, MAX_TEXT_BYTES)
  if (text !== null) return text
  throw new ApiError('too_large', `the body is larger than ${MAX_TEXT_BYTES} bytes`)
}

/** @returns the JSON, `{}` for no body; not yet checked against any schema */
export async function readJson(request: Request): Promise<unknown> {
  const text = await readText(request)
  try {
    return JSON.parse(text.trim() === '' ? '{}' : text)
  } catch {
    throw new ApiError('bad_request', 'body: expected JSON')
  }
}

export function isMultipart(request: Request): boolean {
  return (request.headers.get('content-type') ?? '').startsWith('multipart/form-data')
}

export interface MultipartForm {
  fields: Record<string, string>
  media: Media | null
}

/** @throws ApiError when the form is broken or its file too large */
export async function readMultipart(request: Request, files: MediaFiles): Promise<MultipartForm> {
  if (!request.body) throw new ApiError('bad_request', 'body: expected a multipart form')
  const parser = openParser(request)
  const fields: Record<string, string> = {}
  const saving: Promise<Media>[] = []
  const source = Readable.fromWeb(request.body as NodeReadableStream)
  const finished = new Promise<void>((resolve, reject) => {
    parser.on('field', (name, value) => {
      fields[name] = value
    })
    parser.on('file', (field, stream, { filename, mimeType }) => {
      if (field !== 'file' || saving.length > 0 || filename === undefined) return void stream.resume()
      // What curl doesn't know it calls application/octet-stream: the name may know better.
      const name = formFileName(filename)
      const type = mimeType === 'application/octet-stream' ? mimeTypeOf(name) : mimeType
      const save = files.save(stream, { name, mimeType: type })
      save.catch(reject)
      saving.push(save)
    })
    parser.on('close', resolve)
    parser.on('error', reject)
    source.on('error', reject)
  })
  source.pipe(parser)
  try {
    await finished
    const [media = null] = await Promise.all(saving)
    return { fields, media }
  } catch (error) {
    source.destroy()
    if (error instanceof FileTooLarge) throw new ApiError('too_large', `file: ${error.message}`)
    if (isOutOfSpace(error)) throw new ApiError('storage_full', 'file: there is no space left to store it')
    throw new ApiError(
      'bad_request',
      `body: ${error instanceof Error ? error.message : 'not a multipart form'}`,
    )
  }
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
