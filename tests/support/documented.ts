/** Checks answers against openapi.json: status, content type, and a body without unknown fields. */
import Ajv, { type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import openapi from '../../openapi.json'
import type { OpenApiDocument } from '../../src/http/openapi/document.ts'

const DOCUMENT: OpenApiDocument = JSON.parse(JSON.stringify(openapi), (_key, value) =>
  isClosed(value) ? { ...value, additionalProperties: false } : value,
)

/** True for an object whose fields are all listed. */
function isClosed(schema: { properties?: object; additionalProperties?: unknown } | null): boolean {
  return Object.keys(schema?.properties ?? {}).length > 0 && schema?.additionalProperties === undefined
}

const ajv = addFormats(new Ajv({ strict: false, allErrors: true }))
ajv.addFormat('binary', true)
ajv.addSchema(DOCUMENT, 'document')
const validators = new Map<string, ValidateFunction>()

/** Paths without parameters come first, so that /devices/links isn't read as a device. */
const PATHS = Object.keys(DOCUMENT.paths)
  .map(path => ({ path, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}/?$`) }))
  .toSorted((one, other) => one.path.split('{').length - other.path.split('{').length)

/** The gateway answers these before it knows the call. */
const OF_NO_CALL = [405, 421]
const ERROR_BODY = '#/components/schemas/ErrorBody'

interface Answered {
  status: number
  headers: Headers
  text: string
}

/** @throws Error when the answer to a documented call isn't as documented */
export function expectDocumented(method: string, url: string, { status, headers, text }: Answered): void {
  const { pathname } = new URL(url, 'http://localhost')
  const path = PATHS.find(({ pattern }) => pattern.test(pathname))?.path
  if (path === undefined || method === 'OPTIONS') return
  const operation = DOCUMENT.paths[path]?.[method === 'HEAD' ? 'get' : method.toLowerCase()]
  const said = `${method} ${path} answered ${status} ${text.slice(0, 500)}`
  if (!operation || OF_NO_CALL.includes(status)) {
    if (!OF_NO_CALL.includes(status) && status !== 400) throw new Error(`${said}: there is no such call`)
    if (text !== '') validate(ERROR_BODY, text, said)
    return
  }
  const documented = operation.responses[status]
  if (!documented) throw new Error(`${said}: the document has no such status`)
  const at = documented.$ref ?? `#/paths/${escaped(path)}/${method.toLowerCase()}/responses/${status}`
  const name = documented.$ref?.split('/').at(-1) ?? ''
  const { content } = documented.$ref
    ? (DOCUMENT.components.responses[name] as typeof documented)
    : documented
  const type = headers.get('content-type')?.split(';')[0] ?? ''
  if (text === '' || !content) return
  const types = Object.keys(content)
  if (types.includes('application/octet-stream')) return
  if (!types.includes(type)) throw new Error(`${said}: ${type} is none of ${types}`)
  if (type === 'application/json') validate(`${at}/content/${escaped(type)}/schema`, text, said)
}

function validate(reference: string, text: string, said: string): void {
  const known = validators.get(reference) ?? ajv.compile({ $ref: `document${reference}` })
  validators.set(reference, known)
  if (!known(JSON.parse(text))) throw new Error(`${said}: ${ajv.errorsText(known.errors)}`)
}

function escaped(key: string): string {
  return encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))
}
