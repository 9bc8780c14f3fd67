/**
 * Takes one long string out of a JSON object as its bytes come in, so that neither is ever in
 * memory as a whole.
 */
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPENING = [0x7b, 0x5b]
const CLOSING = [0x7d, 0x5d]
const UNICODE_ESCAPE = 0x75
/** Bytes behind the backslash. */
const UNICODE_LENGTH = 5

export interface LongString {
  /** Its field of the outermost object. */
  name: string
  /**
   * Reads the string's bytes to their end: Latin-1, without escapes. A second string of the name
   * stays where it is.
   */
  read(bytes: AsyncIterable<Uint8Array>): Promise<void>
  /** Called as the rest grows; if it throws, reading stops. */
  holding(bytes: number): void
}

/**
 * @param chunks JSON in UTF-8, whose syntax nothing here judges
 * @returns the JSON with an empty string in the place of the long one
 * @throws what `read` and `holding` throw
 */
export async function withoutLongString(
  chunks: AsyncIterable<Uint8Array>,
  { name, read, holding }: LongString,
): Promise<Buffer> {
  const source = chunks[Symbol.asyncIterator]()
  const rest: Uint8Array[] = []
  let restBytes = 0
  let chunk: Uint8Array = new Uint8Array()
  let at = 0
  let depth = 0
  let isEscaped = false
  /** The bytes of the string that is being read, if it may be a key; null outside. */
  let key: number[] | null = null
  let isInString = false
  let isKeyNext = true
  let lastKey = ''
  let isTaken = false

  async function isMore(): Promise<boolean> {
    while (at >= chunk.length) {
      const next = await source.next()
      if (next.done) return false
      chunk = next.value
      at = 0
    }
    return true
  }

  function keep(from: number): void {
    if (from === at) return
    // A view would hold all of the chunk.
    rest.push(chunk.slice(from, at))
    restBytes += at - from
    holding(restBytes)
  }

  /** Up to the quote that ends it, which stays. */
  async function* longString(): AsyncGenerator<Uint8Array, void> {
    let escaped: number[] | null = null
    while (await isMore()) {
      // In place: as many bytes at most are written as were read.
      const bytes = chunk.subarray(at)
      let length = 0
      let isEnd = false
      for (; at < chunk.length && !isEnd; at++) {
        const byte = chunk[at] ?? 0
        if (escaped) {
          escaped.push(byte)
          if (escaped[0] === UNICODE_ESCAPE && escaped.length < UNICODE_LENGTH) continue
          bytes[length++] = unescaped(escaped)
          escaped = null
        } else if (byte === BACKSLASH) escaped = []
        else if (byte === QUOTE) isEnd = true
        else bytes[length++] = byte
      }
      if (isEnd) at--
      if (length > 0) yield bytes.subarray(0, length)
      if (isEnd) return
    }
  }

  function endString(): void {
    isInString = false
    if (key) lastKey = textOf(key)
    key = null
  }

  while (await isMore()) {
    const from = at
    while (at < chunk.length) {
      const byte = chunk[at++] ?? 0
      if (isInString) {
        if (!isEscaped && byte === QUOTE) endString()
        else key?.push(byte)
        isEscaped = !isEscaped && byte === BACKSLASH
      } else if (byte === QUOTE) {
        isInString = true
        const isKey = depth === 1 && isKeyNext
        key = isKey ? [] : null
        isKeyNext = false
        if (!isKey && depth === 1 && lastKey === name && !isTaken) break
      } else if (byte === COMMA) isKeyNext = depth === 1
      else if (OPENING.includes(byte)) {
        depth++
        isKeyNext = depth === 1
      } else if (CLOSING.includes(byte)) depth--
    }
    keep(from)
    if (!isInString || key || depth !== 1 || lastKey !== name || isTaken) continue
    isTaken = true
    await read(longString())
  }
  return Buffer.concat(rest)
}

function textOf(bytes: readonly number[]): string {
  return parsed(`"${Buffer.from(bytes).toString()}"`)
}

/** @returns what an escape stands for; 0 where that is no single byte */
function unescaped(escaped: readonly number[]): number {
  const code = parsed(`"\\${String.fromCharCode(...escaped)}"`).charCodeAt(0)
  return code <= 0xff ? code : 0
}

/** @returns empty where it is no string */
function parsed(json: string): string {
  try {
    return String(JSON.parse(json))
  } catch {
    return ''
  }
}
