/**
 * Finds the fields of a web login in what a browser's developer tools copy, as bridges' own bots
 * take it: a cURL command of a request, its Cookie header, or a JSON object.
 */
import { GatewayError } from '../../domain/errors.ts'
import { ALL_COOKIES, type CookieField, type LinkField } from '../../domain/views/link.ts'
import { commandWords } from '../../lib/command-words.ts'
import { decodedPart } from '../../lib/decoded-part.ts'
import { jsonOrNull } from '../../lib/json-or-null.ts'

type Source = CookieField['sources'][number]
type Values = Record<string, string | undefined>

/** True if ALL_COOKIES may stand in for the fields. A bot's only field has that name itself. */
export function mayBePasted(fields: readonly LinkField[]): fields is CookieField[] {
  return fields.some(isCookieField) && fields.every(({ id }) => id !== ALL_COOKIES.id)
}

/**
 * @returns by field id, those that the text has
 * @throws GatewayError bad_request when it is nothing of the kind
 */
export function pastedCookies(fields: readonly CookieField[], text: string): Record<string, string> {
  const find = finderIn(text.trim())
  const found = fields.flatMap(field => {
    const values = [find.byId(field.id), ...field.sources.map(find.bySource)]
    const value = values.find(candidate => candidate !== undefined)
    return value === undefined ? [] : [[field.id, value] as const]
  })
  if (found.length > 0) return Object.fromEntries(found)
  throw wrong(`none of ${fields.map(({ name }) => name).join(', ')} is in it`)
}

interface Finder {
  byId(id: string): string | undefined
  bySource(source: Source): string | undefined
}

function finderIn(text: string): Finder {
  if (text.startsWith('{')) return finderInJson(text)
  return finderInRequest(/^curl\s/.test(text) ? requestIn(text) : { cookie: text })
}

function finderInJson(text: string): Finder {
  const json = jsonOrNull(text)
  if (typeof json !== 'object' || json === null) throw wrong('it begins like JSON, and is none')
  const byName = valuesOf(json)
  const decoded = (value: string | undefined, type: string) => (type === 'cookie' ? plain(value) : value)
  return { byId: id => byName[id], bySource: ({ type, name }) => decoded(byName[name], type) }
}

interface CopiedRequest {
  cookie: string
  headers?: Values
  body?: Values
}

function finderInRequest({ cookie, headers = {}, body = {} }: CopiedRequest): Finder {
  const cookies = valuesOf(
    Object.fromEntries(
      cookie.split(/;\s*/).map(pair => {
        const at = pair.indexOf('=')
        return [pair.slice(0, at).trim(), pair.slice(at + 1)]
      }),
    ),
  )
  const places: Record<string, (name: string) => string | undefined> = {
    cookie: name => plain(cookies[name]),
    request_header: name => (name.toLowerCase() === 'cookie' ? cookie : headers[name.toLowerCase()]),
    request_body: name => body[name],
  }
  return { byId: () => undefined, bySource: ({ type, name }) => places[type]?.(name) || undefined }
}

/** Chrome's and Firefox's "Copy as cURL", as a POSIX shell has it. */
function requestIn(command: string): CopiedRequest {
  const words = wordsOf(command)
  const headers: Values = {}
  let cookie: string | undefined
  let data = ''
  for (const [index, word] of words.entries()) {
    const value = words[index + 1] ?? ''
    if (/^(-H|--header)$/.test(word)) {
      const [, name = '', content = ''] = /^([^:]+):\s*(.*)$/s.exec(value) ?? []
      headers[name.toLowerCase()] = content
    } else if (/^(-b|--cookie)$/.test(word)) cookie = value
    else if (/^(-d|--data(-raw|-binary)?)$/.test(word)) data = value
  }
  const json = jsonOrNull(data)
  const body =
    typeof json === 'object' && json !== null ? json : Object.fromEntries(new URLSearchParams(data))
  return { cookie: cookie ?? headers.cookie ?? '', headers, body: valuesOf(body) }
}

/** Reads `$'…'`, too, in which Chrome puts what has a quote or an exclamation mark in it. */
function wordsOf(command: string): string[] {
  const inQuotes = command
    .replace(/\\\r?\n/g, ' ')
    .replace(
      /(?<=\s)\$'((?:[^'\\]|\\.)*)'/gs,
      (_, text: string) => `"${unescaped(text).replace(/[\\"]/g, '\\$&')}"`,
    )
  try {
    return commandWords(inQuotes)
  } catch (error) {
    throw wrong(`its command isn't whole (${error instanceof Error ? error.message : error})`)
  }
}

function unescaped(text: string): string {
  return text.replace(/\\(u[\da-f]{4}|x[\da-f]{2}|.)/gis, (_, code: string) =>
    code.length > 1 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (LINES[code] ?? code),
  )
}

const LINES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/** Browsers keep cookies percent-encoded; bridges take them as they are meant. */
function plain(value: string | undefined): string | undefined {
  return value === undefined ? undefined : (decodedPart(value) ?? value)
}

function valuesOf(object: object): Values {
  const values: Values = Object.create(null)
  for (const [name, value] of Object.entries(object)) if (typeof value === 'string') values[name] = value
  return values
}

function isCookieField(field: LinkField): field is CookieField {
  return 'sources' in field
}

function wrong(what: string): GatewayError {
  return new GatewayError(
    'bad_request',
    `${ALL_COOKIES.id}: expected a cURL command copied from the developer tools of the browser ("Copy as cURL", bash), or a JSON object: ${what}`,
  )
}
