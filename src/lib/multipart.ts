/**
 * Reads multipart/form-data (RFC 7578) part by part as it arrives. An unreadable part is an error:
 * skipping it would lose a file unnoticed.
 */
import { charsetOf, decodeText } from './charset.ts'

export interface Part {
  name: string
  /** Null for a field. */
  fileName: PartFileName | null
  /** Without parameters, in lower case. */
  mimeType: string
  /** As declared. */
  charset: string | undefined
  encoding: string
  /** Content; the next part follows once it is read or abandoned. */
  body: AsyncIterable<Uint8Array>
}

/** @throws UndecodableText; @param charset of the form, UTF-8 by default */
export type PartFileName = (charset?: string) => string

/** The form breaks off or isn't a form. */
export class MalformedForm extends Error {
  override readonly name = 'MalformedForm'

  constructor(
    message: string,
    /** Name of the part, if known. */
    readonly field?: string,
  ) {
    super(message)
  }
}

const MAX_HEADER_BYTES = 16 * 1024
/** Longest white space allowed after a boundary (RFC 2046 section 5.1.1). */
const MAX_PADDING = 256
const LINE_END = '\r\n'
const CARRIAGE_RETURN = 0x0d
/** Follows the closing delimiter. */
const LAST = '--'
const SPACE = 0x20
const TAB = 0x09
const MORE = -1
const OTHERWISE = -2
const UNTYPED = 'application/octet-stream'

/** @returns null when the media type is no form or names no boundary */
export function boundaryOf(mediaType: string): string | null {
  if (!/^multipart\/form-data\s*;/i.test(mediaType)) return null
  const [, quoted, bare] = /;\s*boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))/i.exec(mediaType) ?? []
  return quoted ?? bare ?? null
}

/**
 * @param chunks of the whole body, read to the end; anything after the form is ignored
 * @throws MalformedForm, and any error of `chunks`
 */
export async function* partsOf(chunks: AsyncIterable<Uint8Array>, boundary: string): AsyncGenerator<Part> {
  const source = chunks[Symbol.asyncIterator]()
  try {
    const form = new FormReader(source, boundary)
    for (await form.leaveContent(); !form.isOver; await form.leaveContent()) {
      const part = partOf(await form.header())
      yield { ...part, body: form.content() }
    }
    while (!(await source.next()).done);
  } finally {
    await source.return?.()
  }
}

class FormReader {
  isOver = false
  private readonly delimiter: Buffer
  /** Starts with a line end, since the first delimiter may come without one. */
  private bytes: Buffer = Buffer.from(LINE_END)
  private isInContent = true

  constructor(
    private readonly source: AsyncIterator<Uint8Array>,
    boundary: string,
  ) {
    this.delimiter = Buffer.from(`${LINE_END}--${boundary}`, 'latin1')
  }

  /** Reads up to and including the next delimiter. */
  async *content(): AsyncGenerator<Uint8Array> {
    const { delimiter } = this
    for (let from = 0; this.isInContent; ) {
      const at = this.bytes.indexOf(delimiter, from)
      const end = at === -1 ? MORE : this.delimitedUntil(at + delimiter.length)
      if (end === OTHERWISE) from = at + delimiter.length
      else {
        const certain = at === -1 ? this.undelimitedUntil(from) : at
        const content = this.take(certain)
        from = 0
        if (end !== MORE) this.endContent(end - at)
        if (content.length > 0) yield content
        if (end === MORE) await this.more()
      }
    }
  }

  /** @returns where a delimiter may have begun that isn't there in full, else the end */
  private undelimitedUntil(from: number): number {
    const { bytes, delimiter } = this
    const at = bytes.indexOf(CARRIAGE_RETURN, Math.max(from, bytes.length - delimiter.length + 1))
    return at === -1 ? bytes.length : at
  }

  async leaveContent(): Promise<void> {
    for await (const _ of this.content());
  }

  /** @returns the delimiter's end, MORE if undecided, or OTHERWISE if it is content */
  private delimitedUntil(start: number): number {
    let at = start
    while (at < start + MAX_PADDING && (this.bytes[at] === SPACE || this.bytes[at] === TAB)) at++
    if (this.bytes.length < at + 2) return MORE
    const next = this.bytes.toString('latin1', at, at + 2)
    return next === LINE_END || next === LAST ? at + 2 : OTHERWISE
  }

  /** @param length of the delimiter and its end */
  private endContent(length: number): void {
    this.isInContent = false
    this.isOver = this.take(length).toString('latin1', length - 2) === LAST
  }

  async header(): Promise<string> {
    this.isInContent = true
    for (;;) {
      if (this.bytes.toString('latin1', 0, 2) === LINE_END) return this.take(2).toString('latin1').trim()
      const end = this.bytes.indexOf(`${LINE_END}${LINE_END}`)
      if ((end === -1 ? this.bytes.length : end) > MAX_HEADER_BYTES)
        throw new MalformedForm('the header of a part is too large')
      if (end !== -1) return this.take(end + 4).toString('latin1', 0, end)
      await this.more()
    }
  }

  private take(length: number): Buffer {
    const taken = this.bytes.subarray(0, length)
    this.bytes = this.bytes.subarray(length)
    return taken
  }

  private async more(): Promise<void> {
    const { done, value } = await this.source.next()
    if (done) throw new MalformedForm('it was cut off')
    // Large files leave garbage faster than it is collected, so nothing is copied without need.
    this.bytes =
      this.bytes.length === 0
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
        : Buffer.concat([this.bytes, value])
  }
}

/** @param header its bytes as latin1 characters */
function partOf(header: string): Omit<Part, 'body'> {
  const lines = header.replace(/\r\n[ \t]+/g, ' ').split(LINE_END)
  const headers = new Map(lines.map(line => [line.split(':', 1)[0]?.trim().toLowerCase(), headerValue(line)]))
  const type = headers.get('content-type') ?? ''
  const mimeType = /^[^\s;/]+\/[^\s;]+/.exec(type)?.[0].toLowerCase() ?? 'text/plain'
  const params = dispositionParams(headers.get('content-disposition') ?? '')
  const name = nameIn(params)
  // A lost header, such as base64's, would change the file.
  if (!lines.every(line => line.includes(':')))
    throw new MalformedForm('expected each header of its part as "name: value"', name)
  const fileName = fileNameIn(params)
  return {
    name,
    // Some clients send a file without a name.
    fileName: fileName ?? (mimeType === UNTYPED ? () => '' : null),
    mimeType,
    charset: charsetOf(type),
    encoding: headers.get('content-transfer-encoding') || '7bit',
  }
}

function headerValue(line: string): string {
  return line.slice(line.indexOf(':') + 1).trim()
}

const PARAMETER = /\s*;\s*(?:([\w.*-]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s;"]*)))?/y

/** @throws MalformedForm unless it is `form-data` with readable parameters (RFC 6266) */
function dispositionParams(disposition: string): Map<string, string> {
  const params = new Map<string, string>()
  const type = /^form-data/i.exec(disposition)?.[0] ?? ''
  PARAMETER.lastIndex = type.length
  while (type !== '' && PARAMETER.lastIndex < disposition.length) {
    const [found, name = '', quoted, bare = ''] = PARAMETER.exec(disposition) ?? []
    if (found === undefined) break
    // A backslash escapes only `"` and `\`: some clients send whole paths.
    if (name !== '') params.set(name.toLowerCase(), quoted?.replace(/\\(["\\])/g, '$1') ?? bare)
    if (PARAMETER.lastIndex === disposition.length) return params
  }
  if (type !== '' && disposition.length === type.length) return params
  throw new MalformedForm('expected a Content-Disposition that can be read', nameIn(params))
}

function nameIn(params: ReadonlyMap<string, string>): string {
  return Buffer.from(params.get('name') ?? '', 'latin1').toString()
}

function fileNameIn(params: ReadonlyMap<string, string>): PartFileName | null {
  const extended = params.get('filename*')
  if (extended !== undefined) {
    const [, charset = '', text = ''] = /^([\w+.-]+)'[^']*'((?:[^%]|%[0-9a-f]{2})*)$/i.exec(extended) ?? []
    if (charset === '')
      throw new MalformedForm("expected filename* as charset'language'text (RFC 8187)", nameIn(params))
    return () => withoutFolders(decodeText(percentDecoded(text), charset))
  }
  const plain = params.get('filename')
  if (plain === undefined) return null
  return charset => {
    if (ENCODED_WORDS.test(plain)) return withoutFolders(wordsDecoded(plain))
    return withoutFolders(unescaped(decodeText(Buffer.from(plain, 'latin1'), charset)))
  }
}

/** RFC 2047, meant for mail; .NET's `System.Net.Http` sends names this way. */
const ENCODED_WORDS = /^(?:=\?[\w.+-]+\?[bq]\?[^\s?]*\?=\s*)+$/i

function wordsDecoded(words: string): string {
  return words.replace(/=\?([^?]+)\?([bq])\?([^?]*)\?=\s*/gi, (_word, charset, encoding, text: string) =>
    decodeText(
      /b/i.test(encoding)
        ? Buffer.from(text, 'base64')
        : percentDecoded(text.replaceAll('%', '%25').replaceAll('_', ' ').replaceAll('=', '%')),
      charset,
    ),
  )
}

function percentDecoded(text: string): Uint8Array {
  return Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_code, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
}

const ESCAPED: Record<string, string> = { '%22': '"', '%0D': '\r', '%0A': '\n' }

/**
 * Browsers escape three characters of a name (HTML standard, "Multipart form data"). Libraries such
 * as aiohttp percent-encode all of it. A line break becomes a space: names go into headers.
 */
function unescaped(name: string): string {
  const text = uriDecoded(name) ?? name.replace(/%22|%0D|%0A/gi, code => ESCAPED[code.toUpperCase()] ?? code)
  return text.replace(/[\r\n]+/g, ' ')
}

/** @returns null unless the name is exactly what a URI encoder writes */
function uriDecoded(name: string): string | null {
  if (!name.includes('%')) return null
  try {
    const decoded = decodeURIComponent(name)
    const encoded = encodeURIComponent(decoded)
    const strictly = encoded.replace(/[!'()*]/g, mark => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
    return name === encoded || name === strictly ? decoded : null
  } catch {
    return null
  }
}

function withoutFolders(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
  return /^\.{1,2}$/.test(name) ? '' : name
}
