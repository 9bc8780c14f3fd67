/** Reads a send: JSON, a multipart form or a URL-encoded one, brought to the same fields. */

import type { Static } from 'elysia'
import { TypeCompiler } from 'elysia/type-system'
import { GatewayError } from '../../../domain/errors.ts'
import type { StagedFile } from '../../../modules/media/media.ts'
import { refuseIncomplete } from '../../../modules/sending/sending.ts'
import { isEmpty, isJson, parseJson, withoutNulls, wrongType } from '../../body.ts'
import { readForm } from '../../form-fields.ts'
import { refuseUnknown } from '../../unknown-fields.ts'
import { explainIssue } from '../../validation.ts'
import { SendMessage, SendMessageForm } from './model.ts'
import { type MultipartSink, readMultipart } from './multipart.ts'

export interface SendBody {
  fields: Static<typeof SendMessage>
  file: StagedFile | undefined
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
    return { fields: checkWithoutFile(withoutNulls(await parseJson(request))), file: undefined }
  }
  if (/^multipart\/form-data\s*;/i.test(contentType)) {
    await admitUpload()
    const { fields, file } = await readMultipart(request, sink)
    try {
      return { fields: check(withNumbers(eachOnce(fields)), file !== undefined), file }
    } catch (error) {
      if (file) await sink.discard(file)
      throw error
    }
  }
  if (/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)) {
    await admitUpload()
    const form = await readForm(request)
    // Only curl's -d says so of JSON.
    if (form[0]?.[0].trimStart().startsWith('{')) throw wrongType(contentType, 'application/json')
    return { fields: checkWithoutFile(withNumbers(eachOnce(form))), file: undefined }
  }
  if (await isEmpty(request)) return { fields: check({}, false), file: undefined }
  if (/^multipart\/form-data\s*$/i.test(contentType))
    throw new GatewayError(
      'unsupported_media_type',
      'Content-Type: expected multipart/form-data with a boundary; HTTP clients write both, unless the header is set by hand',
    )
  throw wrongType(contentType, 'application/json or multipart/form-data')
}

/**
 * Takes unknown fields as often as they come.
 * @throws GatewayError bad_request: of two recipients one would get nothing, and nobody would
 * notice
 */
function eachOnce(entries: Iterable<[name: string, value: string]>): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const [name, value] of entries) {
    if (Object.hasOwn(fields, name) && Object.hasOwn(SendMessage.properties, name)) {
      const several = RECIPIENTS.includes(name) ? '; several recipients are separated by commas' : ''
      throw new GatewayError('bad_request', `${name}: expected once, not several times${several}`)
    }
    // Browsers send each line break of a form as two characters (HTML standard, "Form submission").
    fields[name] = value.replaceAll('\r\n', '\n')
  }
  return fields
}

const RECIPIENTS = ['contact', 'group_url']

/** Forms know texts alone. */
function withNumbers(fields: Record<string, string>): Record<string, unknown> {
  const { expires_in: text } = fields
  return text !== undefined && /^[0-9]{1,16}$/.test(text) ? { ...fields, expires_in: Number(text) } : fields
}

/**
 * @throws GatewayError bad_request as `check` does, and for a file, which would silently be left
 * out
 */
function checkWithoutFile(body: unknown): SendBody['fields'] {
  if (isObject(body) && Object.hasOwn(body, 'file')) {
    throw new GatewayError('bad_request', 'file: expected in a multipart form (multipart/form-data) alone')
  }
  return check(body, false)
}

/** @throws GatewayError bad_request */
function check(body: unknown, hasFile: boolean): SendBody['fields'] {
  // Before anything is said to be missing: a misnamed field is, and its name says more.
  if (isObject(body)) refuseUnknown('field', Object.keys(body), SendMessageForm)
  if (!validator.Check(body)) {
    const issue = validator.Errors(body).First()
    throw new GatewayError('bad_request', issue ? explainIssue(issue) : 'The body is not as expected')
  }
  refuseHalfCharacters(body)
  const { platform, contact, group_url: groupUrl, text } = body
  refuseIncomplete({ platform, contact, groupUrl, text }, hasFile)
  return body
}

const isObject = (body: unknown): body is object =>
  typeof body === 'object' && body !== null && !Array.isArray(body)

/** JSON can escape half of a surrogate pair, which no UTF-8 can say and no homeserver takes. */
function refuseHalfCharacters(body: object): void {
  for (const [name, value] of Object.entries(body)) {
    if (typeof value !== 'string' || value.isWellFormed() || !Object.hasOwn(SendMessage.properties, name))
      continue
    throw new GatewayError('bad_request', `${name}: expected whole characters, not half of a surrogate pair`)
  }
}
