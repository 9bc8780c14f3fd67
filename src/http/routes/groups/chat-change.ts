/** Reads a change of a chat: JSON, or a multipart form that may have a picture. */
import type { Static } from 'elysia'
import { TypeCompiler } from 'elysia/type-system'
import { GatewayError } from '../../../domain/errors.ts'
import { MAX_PICTURE_BYTES } from '../../../modules/media/avatars.ts'
import type { StagedFile } from '../../../modules/media/media.ts'
import { readJson } from '../../body.ts'
import { claimOnce, noteContent } from '../../plugins/idempotency.ts'
import { refuseUnknown } from '../../unknown-fields.ts'
import { digesting } from '../../uploads/file-digest.ts'
import { type FormFiles, readMultipart } from '../../uploads/multipart.ts'
import type { MultipartSink } from '../../uploads/upload.ts'
import { explainIssue } from '../../validation.ts'
import { ChatChange, ChatChangeForm } from './model.ts'

export interface ChatChangeBody {
  fields: Omit<Static<typeof ChatChange>, 'avatar'>
  /** Null: none any more. */
  avatar: StagedFile | null | undefined
  /** The first answer, when the request repeats it; its picture is then discarded. */
  replay: Response | undefined
}

const validator = TypeCompiler.Compile(ChatChange)
/** Its name goes nowhere, so any will do. */
const PICTURE: FormFiles = { field: 'avatar', max: 1, inBase64: false, nameProblem: () => null }
/** Types that every bridge with pictures of groups reads. */
const PICTURE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp']

/** @throws GatewayError; nothing of a picture is then left on the disk */
export async function readChatChange(request: Request, sink: MultipartSink): Promise<ChatChangeBody> {
  if (/^multipart\/form-data\b/i.test(request.headers.get('content-type') ?? ''))
    return readChangeForm(request, sink)
  const json = await readJson(request, ['avatar'], 'application/json or multipart/form-data')
  const { avatar, ...fields } = checked(json)
  noteContent(request, json)
  return { fields, avatar, replay: await claimOnce(request, true) }
}

async function readChangeForm(request: Request, sink: MultipartSink): Promise<ChatChangeBody> {
  const digest = digesting({ ...sink, stage: upload => stagePicture(upload, sink) })
  const { fields: entries, files } = await readMultipart(request, digest.sink, PICTURE)
  const [avatar] = files
  try {
    const fields = checked(fieldsOf(entries))
    noteContent(request, { fields, avatar: digest.read()[0] ?? null })
    const replay = await claimOnce(request, true)
    if (replay && avatar) await sink.discard(avatar)
    return { fields, avatar, replay }
  } catch (error) {
    if (avatar) await sink.discard(avatar)
    throw error
  }
}

/** @throws GatewayError bad_request (no picture by its bytes), payload_too_large */
async function stagePicture(
  { stream }: Pick<Parameters<MultipartSink['stage']>[0], 'stream'>,
  sink: Pick<MultipartSink, 'stage' | 'discard'>,
): Promise<StagedFile> {
  const file = await sink.stage({ fileName: PICTURE.field, mimeType: '', stream: limited(stream) })
  if (PICTURE_TYPES.includes(file.mimeType) && file.width > 0) return file
  await sink.discard(file)
  throw new GatewayError('bad_request', 'avatar: expected a picture: JPEG, PNG, GIF or WebP')
}

async function* limited(stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let size = 0
  for await (const piece of stream) {
    size += piece.length
    if (size > MAX_PICTURE_BYTES)
      throw new GatewayError('payload_too_large', `avatar: expected at most ${MAX_PICTURE_BYTES} bytes`)
    yield piece
  }
}

/** @throws GatewayError bad_request */
function fieldsOf(entries: readonly [name: string, value: string][]): Record<string, unknown> {
  const names = entries.map(([name]) => name)
  refuseUnknown('field', names, ChatChangeForm)
  const again = names.find((name, index) => names.indexOf(name) < index)
  if (again !== undefined) throw new GatewayError('bad_request', `${again}: expected once, not several times`)
  return Object.fromEntries(entries.map(([name, value]) => [name, typed(name, value)]))
}

/** Forms know texts alone. Browsers send each of their line breaks as two characters. */
function typed(name: string, text: string): unknown {
  const { type } = ChatChange.properties[name as keyof typeof ChatChange.properties]
  if (type === 'integer' && /^[0-9]{1,16}$/.test(text)) return Number(text)
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true'
  return text.replaceAll('\r\n', '\n')
}

/** @throws GatewayError bad_request */
function checked(body: unknown): Static<typeof ChatChange> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new GatewayError('bad_request', 'The body must be a JSON object')
  refuseUnknown('field', Object.keys(body), ChatChange)
  if (validator.Check(body)) return body
  const issue = validator.Errors(body).First()
  if (issue?.path === '/avatar')
    throw new GatewayError(
      'bad_request',
      'avatar: expected null, which removes it; a form (multipart/form-data) with a file sets it',
    )
  throw new GatewayError('bad_request', issue ? explainIssue(issue) : 'The body is not as expected')
}
