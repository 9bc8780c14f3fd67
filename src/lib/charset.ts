/** Decodes bytes to text. Invalid bytes are an error: a phone would show replacement characters. */

/** WHATWG names of charsets, in any case; there `latin1` means windows-1252. */
const UTF_8 = 'utf-8'
/** A subset of UTF-8 that libraries declare by default. WHATWG would read it as windows-1252. */
const ASCII = /^(us-?)?ascii$/i
const utf8 = new TextDecoder(UTF_8, { fatal: true })

/** The bytes aren't valid in their charset, or the charset is unknown. */
export class UndecodableText extends Error {
  override readonly name = 'UndecodableText'

  constructor(
    readonly charset: string,
    readonly isKnown: boolean,
  ) {
    super(isKnown ? `is not valid ${charset.toUpperCase()}` : `the charset ${charset} is unknown`)
  }
}

/**
 * @param charset as declared; UTF-8 when none was
 * @returns the text without a byte order mark
 * @throws UndecodableText
 */
export function decodeText(bytes: Uint8Array, charset: string = UTF_8): string {
  const decoder = decoderOf(isBigEndian(bytes, charset) ? 'utf-16be' : charset)
  try {
    return decoder.decode(bytes)
  } catch {
    throw new UndecodableText(charset, true)
  }
}

/** A byte order mark decides the order in UTF-16 (RFC 2781 section 4.3). */
function isBigEndian([first, second]: Uint8Array, charset: string): boolean {
  return first === 0xfe && second === 0xff && /^utf-?16$/i.test(charset)
}

function decoderOf(charset: string): TextDecoder {
  if (charset.toLowerCase() === UTF_8 || ASCII.test(charset)) return utf8
  try {
    return new TextDecoder(charset as Bun.Encoding, { fatal: true })
  } catch {
    throw new UndecodableText(charset, false)
  }
}

/** Charset a media type declares (RFC 9110 section 8.3.2); undefined when it declares none. */
export function charsetOf(mediaType: string | null): string | undefined {
  const [, quoted, bare] = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;]+))/i.exec(mediaType ?? '') ?? []
  return quoted ?? bare
}
