/** JSON of requests: limited, parsed and validated, with errors that name the field. */
import type { z } from 'zod'
import { badJson, MatrixError, tooLarge } from './errors.ts'
import { isObject, type JsonObject } from './json.ts'

const MAX_BODY_BYTES = 1024 * 1024

/**
 * The JSON object in a request's body; an absent body counts as `{}`, which the specification's own clients send for
 * calls without parameters.
 */
export async function readObject(request: Request): Promise<JsonObject> {
  const text = await readText(request)
  if (text === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new MatrixError(400, 'M_NOT_JSON', 'The body is not JSON')
  }
  if (!isObject(value)) throw badJson('The body must be a JSON object')
  return value
}

async function readText(request: Request): Promise<string> {
  const declared = request.headers.get('content-length')
  if (declared !== null && Number(declared) > MAX_BODY_BYTES) throw tooLarge('The body is larger than 1 MiB')
  if (declared === null && request.headers.has('transfer-encoding')) return readChunked(request)
  const text = await request.text()
  if (text.length > MAX_BODY_BYTES) throw tooLarge('The body is larger than 1 MiB')
  return text
}

/** A body that doesn't say its length is counted while it arrives. */
async function readChunked(request: Request): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > MAX_BODY_BYTES) throw tooLarge('The body is larger than 1 MiB')
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** Validates `value`; a violation is M_BAD_JSON (M_MISSING_PARAM when the field isn't there) naming the first field at fault. */
export function validate<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  const missing = isObject(value) && issue?.path.length === 1 && value[String(issue.path[0])] === undefined
  if (missing) throw new MatrixError(400, 'M_MISSING_PARAM', `Missing field: ${field}`)
  throw badJson(field === '' ? 'The body is invalid' : `Invalid field ${field}: ${issue?.message ?? ''}`)
}

/** Reads and validates a body in one go. */
export async function readBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  return validate(schema, await readObject(request))
}
