/**
 * Content-Transfer-Encoding of a form's parts (RFC 2045 section 6). RFC 7578 section 4.7 deprecates
 * it, but some clients send it: without decoding, a file would arrive as base64.
 */

const AS_IT_IS = ['7bit', '8bit', 'binary']
const BASE64 = 'base64'

/** The bytes can't be decoded. */
export class WrongTransferEncoding extends Error {
  override readonly name = 'WrongTransferEncoding'
}

/**
 * @returns a function that decodes a part's bytes
 * @throws WrongTransferEncoding when the encoding is unknown
 */
export function transferDecoder(
  encoding: string,
): (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> {
  const name = encoding.trim().toLowerCase()
  if (AS_IT_IS.includes(name)) return bytes => bytes
  if (name === BASE64) return decodeBase64
  throw new WrongTransferEncoding(
    `Content-Transfer-Encoding: expected ${AS_IT_IS.join(', ')} or ${BASE64}, not ${encoding.slice(0, 40)}`,
  )
}

/**
 * @returns the bytes of a whole text; null when it needs no decoding
 * @throws WrongTransferEncoding
 */
export function transferDecoded(text: string, encoding: string): Uint8Array | null {
  return transferDecoder(encoding) === decodeBase64 ? bytesOf(text.replace(BLANKS, ''), WHOLE) : null
}

const BLANKS = /[\r\n\t ]+/g
const PART = /^[A-Za-z0-9+/]*$/
const WHOLE = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/
/** Base64 characters that make whole bytes. */
const QUANTUM = 4

async function* decodeBase64(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let rest = ''
  for await (const piece of pieces) {
    const { buffer, byteOffset, byteLength } = piece
    const text = rest + Buffer.from(buffer, byteOffset, byteLength).toString('latin1').replace(BLANKS, '')
    const whole = text.length - (text.length % QUANTUM)
    // Keeps back the last quantum, which may be padded.
    const taken = Math.max(0, whole - QUANTUM)
    rest = text.slice(taken)
    if (taken > 0) yield bytesOf(text.slice(0, taken), PART)
  }
  yield bytesOf(rest, WHOLE)
}

function bytesOf(text: string, wellFormed: RegExp): Uint8Array {
  if (wellFormed.test(text)) return Buffer.from(text, BASE64)
  throw new WrongTransferEncoding('expected base64, as its Content-Transfer-Encoding says')
}
