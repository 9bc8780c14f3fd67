/** Reads a send: JSON, a multipart form or a URL-encoded one, brought to the same fields. */

import type { Static } from 'elysia'
import { TypeCompiler } from 'elysia/type-system'
import { GatewayError } from '../../../domain/errors.ts'
import type { SendContent } from '../../../domain/views/message-content.ts'
import { bodyStream } from '../../../lib/body-reader.ts'
import { charsetOf, decodeText, UndecodableText } from '../../../lib/charset.ts'
import { withoutLongString } from '../../../lib/long-json-string.ts'
import type { ReceivedFile, StagedFile } from '../../../modules/media/media.ts'
import { refuseIncomplete } from '../../../modules/sending/content/request.ts'
import {
  isEmpty,
  isJson,
  MAX_JSON_BYTES,
  parsedJson,
  parseJson,
  tooLargeJson,
  undecodable,
  withoutNulls,
  wrongType,
} from '../../body.ts'
import { readForm } from '../../form-fields.ts'
import { refuseUnknown } from '../../unknown-fields.ts'
import { BASE64_FIELD, describeBase64, receiveBase64, refuseTooLong } from '../../uploads/base64-file.ts'
import { readMultipart } from '../../uploads/multipart.ts'
import type { MultipartSink } from '../../uploads/upload.ts'
import { explainIssue } from '../../validation.ts'
import { OBJECTS, SendMessage, SendMessageForm } from './model.ts'

export interface SendBody {
  /** Without those of a file, which is among the files. */
  fields: Omit<Static<typeof SendMessage>, 'file_base64' | 'file_name'>
  files: StagedFile[]
}

const validator = TypeCompiler.Compile(SendMessage)

/**
 * @param admitUpload is asked before a form is read: what it throws refuses the form unread
 * @throws GatewayError; nothing of an upload is then left on the disk
 */
export async function readSend(
  request: Request,
  sink: MultipartSink,
  admitUpload: () => Promise<void>,
): Promise<SendBody> {
  const contentType = request.headers.get('content-type') ?? ''
  if (isJson(contentType)) {
    const length = Number(request.headers.get('content-length'))
    refuseTooLong(length)
    const isLong = length > MAX_JSON_BYTES
    const { json, base64 } = isLong
      ? await readLongJson(request, sink, admitUpload)
      : { json: await parseJson(request) }
    return completed(withoutNulls(json), { files: [], base64 }, sink)
  }
  if (/^multipart\/form-data\s*;/i.test(contentType)) {
    await admitUpload()
    const { fields, ...received } = await readMultipart(request, sink)
    return completed(() => fieldsOf(fields), received, sink)
  }
  if (/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)) {
    await admitUpload()
    const form = await readForm(request)
    // Only curl's -d says so of JSON.
    if (form[0]?.[0].trimStart().startsWith('{')) throw wrongType(contentType, 'application/json')
    return completed(() => fieldsOf(form), NO_FILES, sink)
  }
  if (await isEmpty(request)) return completed({}, NO_FILES, sink)
  if (/^multipart\/form-data\s*$/i.test(contentType))
    throw new GatewayError(
      'unsupported_media_type',
      'Content-Type: expected multipart/form-data with a boundary; HTTP clients write both, unless the header is set by hand',
    )
  throw wrongType(contentType, 'application/json or multipart/form-data')
}

/**
 * Takes unknown fields as often as they come.
 * @throws GatewayError bad_request: of two texts one would not be sent, and nobody would notice
 */
function fieldsOf(entries: Iterable<[name: string, value: string]>): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [name, written] of entries) {
    // Browsers send each line break of a form as two characters (HTML standard, "Form submission").
    const value = written.replaceAll('\r\n', '\n')
    const before = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (before === undefined || !Object.hasOwn(SendMessage.properties, name))
      fields[name] = typed(name, value)
    else if (LISTS.includes(name)) fields[name] = [before, value].flat()
    else throw new GatewayError('bad_request', `${name}: expected once, not several times`)
  }
  return fields
}

/** Fields that may be there several times. */
const LISTS = ['contact', 'group_url', 'mentions']
/** Fields of a form that are none when they are empty. */
const CHOICES = ['format', 'link_preview', 'as', 'mentions']

/**
 * Forms know texts alone.
 * @returns undefined for an object that was left empty
 * @throws GatewayError bad_request
 */
function typed(name: string, text: string): unknown {
  if (name === 'expires_in' && /^[0-9]{1,16}$/.test(text)) return Number(text)
  if (text === '' && CHOICES.includes(name)) return undefined
  if (name === 'mentions') return [text]
  if (name === 'link_preview' && /^(true|false)$/.test(text)) return text === 'true'
  if (!OBJECTS.some(object => object === name)) return text
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new GatewayError('bad_request', `${name}: expected an object as JSON`)
  }
}

/** Files of a send that are on the disk already. */
interface Received {
  files: StagedFile[]
  base64?: ReceivedFile | undefined
}

const NO_FILES: Received = { files: [] }

/**
 * Reads JSON that is longer than other bodies may be, as its file is in it.
 * @throws GatewayError payload_too_large when it is long without its file
 */
async function readLongJson(
  request: Request,
  sink: MultipartSink,
  admitUpload: () => Promise<void>,
): Promise<{ json: unknown; base64: ReceivedFile | undefined }> {
  const charset = charsetOf(request.headers.get('content-type'))
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) throw tooLargeJson()
  await admitUpload()
  let base64: ReceivedFile | undefined
  let receivedBytes = 0
  let heldBytes = 0
  async function* counted() {
    for await (const chunk of bodyStream(request)) {
      receivedBytes += chunk.length
      sink.receiving(receivedBytes, heldBytes)
      yield chunk as Uint8Array
    }
  }
  try {
    const rest = await withoutLongString(counted(), {
      name: BASE64_FIELD,
      read: async bytes => {
        base64 = await receiveBase64(bytes, sink)
      },
      holding(bytes) {
        heldBytes = bytes
        if (bytes > MAX_JSON_BYTES) throw tooLargeJson()
      },
    })
    return { json: await parsedJson(decodedJson(rest)), base64 }
  } catch (error) {
    if (base64) await sink.discard(base64)
    throw error
  }
}

/**
 * @param raw the fields, or what reads them
 * @throws GatewayError bad_request; nothing of the files is then left on the disk
 */
async function completed(raw: unknown, { files, base64 }: Received, sink: MultipartSink): Promise<SendBody> {
  let received = base64
  try {
    const names = [...(files.length > 0 ? ['file'] : []), ...(received ? [BASE64_FIELD] : [])]
    const {
      file_base64: text,
      file_name: fileName,
      ...fields
    } = checkWithoutFile(typeof raw === 'function' ? raw() : raw, names)
    if (text) received = await receiveBase64(new Blob([text]).stream(), sink)
    if (received) return { fields, files: [await describeBase64(received, fileName, sink)] }
    if (fileName) throw new GatewayError('bad_request', `file_name: expected with ${BASE64_FIELD} alone`)
    return { fields, files }
  } catch (error) {
    for (const file of [...files, ...(received ? [received] : [])]) await sink.discard(file)
    throw error
  }
}

function decodedJson(bytes: Uint8Array): string {
  try {
    return decodeText(bytes, undefined)
  } catch (error) {
    throw error instanceof UndecodableText ? undecodable('The body', error) : error
  }
}

/**
 * @throws GatewayError bad_request as `check` does, and for a file, which would silently be left
 * out
 */
function checkWithoutFile(body: unknown, files: readonly string[]): Static<typeof SendMessage> {
  if (isObject(body) && Object.hasOwn(body, 'file')) {
    throw new GatewayError('bad_request', 'file: expected in a multipart form (multipart/form-data) alone')
  }
  return check(body, files)
}

/**
 * @param received names of the fields whose files are on the disk
 * @throws GatewayError bad_request
 */
function check(body: unknown, received: readonly string[]): Static<typeof SendMessage> {
  // Before anything is said to be missing: a misnamed field is, and its name says more.
  if (isObject(body)) refuseUnknownFields(body)
  if (!validator.Check(body)) {
    const issue = validator.Errors(body).First()
    throw new GatewayError('bad_request', issue ? explainIssue(issue) : 'The body is not as expected')
  }
  refuseHalfCharacters(body)
  const { platform, contact, group_url: groupUrl, chat_id: chatId, text } = body
  const files = [...received, ...['file_url', BASE64_FIELD].filter(name => Reflect.get(body, name))]
  refuseIncomplete({ platform, contact, groupUrl, chatId, text, content: contentOf(body) }, files)
  return body
}

/** @returns undefined where there is nothing but text and file, as nearly always */
export function contentOf(fields: SendBody['fields']): SendContent | undefined {
  const { format, mentions = [], link_preview, as = 'auto', location, poll, contact_card } = fields
  const content: SendContent = {
    ...(format === 'markdown' && { format }),
    ...(mentions.length > 0 && { mentions }),
    ...(link_preview === false && { link_preview }),
    ...(as !== 'auto' && { as }),
    ...(location && { location }),
    ...(poll && { poll }),
    ...(contact_card && { contact_card }),
  }
  return Object.keys(content).length > 0 ? content : undefined
}

const PARTS = ['location', 'contact_card', 'poll'] as const

/** @throws GatewayError bad_request */
function refuseUnknownFields(body: object): void {
  refuseUnknown('field', Object.keys(body), SendMessageForm)
  for (const name of PARTS) {
    const part: unknown = Reflect.get(body, name)
    if (isObject(part)) refuseUnknown('field', Object.keys(part), SendMessage.properties[name], `${name}.`)
  }
}

const isObject = (body: unknown): body is object =>
  typeof body === 'object' && body !== null && !Array.isArray(body)

/** JSON can escape half of a surrogate pair, which no UTF-8 can say and no homeserver takes. */
function refuseHalfCharacters(body: object): void {
  for (const [name, value] of Object.entries(body)) {
    if (isWhole(value) || !Object.hasOwn(SendMessage.properties, name)) continue
    throw new GatewayError('bad_request', `${name}: expected whole characters, not half of a surrogate pair`)
  }
}

function isWhole(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, within]) => name.isWellFormed() && isWhole(within))
}
