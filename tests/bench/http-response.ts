/** Reads HTTP/1.1 answers from bytes, one at a time (body length: RFC 9112 section 6). */

export interface HttpAnswer {
  status: number
  body: string
}

const EMPTY = Buffer.alloc(0)
const HEAD_END = '\r\n\r\n'

export class ResponseReader {
  private unread: Buffer = EMPTY

  /** @returns the answer, once whole. @throws Error for anything but exactly one answer */
  push(chunk: Buffer): HttpAnswer | undefined {
    this.unread = this.unread.length === 0 ? chunk : Buffer.concat([this.unread, chunk])
    for (;;) {
      const headEnd = this.unread.indexOf(HEAD_END)
      if (headEnd === -1) return undefined
      const head = this.unread.toString('latin1', 0, headEnd)
      const status = statusOf(head)
      const start = headEnd + HEAD_END.length
      if (status >= 200) return this.finish(status, bodyOf(this.unread, start, status, head))
      // An interim answer, such as 100, comes before the real one.
      this.unread = this.unread.subarray(start)
    }
  }

  private finish(status: number, body: Body | undefined): HttpAnswer | undefined {
    if (!body) return undefined
    if (body.end !== this.unread.length) throw new Error('bytes after the end of an answer')
    this.unread = EMPTY
    return { status, body: body.text }
  }
}

interface Body {
  text: string
  /** Offset of the answer's end. */
  end: number
}

function statusOf(head: string): number {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]
  if (status === undefined) throw new Error(`not an HTTP/1.1 answer: ${head.slice(0, 40)}`)
  return Number(status)
}

function bodyOf(bytes: Buffer, start: number, status: number, head: string): Body | undefined {
  if (status === 204 || status === 304) return { text: '', end: start }
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    const end = start + Number(length)
    return end > bytes.length ? undefined : { text: bytes.toString('utf8', start, end), end }
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return chunkedBody(bytes, start)
  throw new Error('an answer that says nothing of its length')
}

function chunkedBody(bytes: Buffer, start: number): Body | undefined {
  const parts: Buffer[] = []
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size)) throw new Error('a chunk without a size')
    const end = lineEnd + 2 + size + 2
    if (end > bytes.length) return undefined
    if (size === 0) return { text: Buffer.concat(parts).toString('utf8'), end }
    parts.push(bytes.subarray(lineEnd + 2, end - 2))
    at = end
  }
}
