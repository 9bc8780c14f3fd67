/**
 * Requests to programs that aren't ours, such as bridges and homeservers. Answers are bounded, also
 * once unpacked. Redirects aren't followed: they would take our secrets to any address.
 */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, type ZlibOptions, zstdDecompress } from 'node:zlib'
import { readPieces } from './bounded-body.ts'
import { codeOf } from './error-codes.ts'

/** The peer answered with something we don't take. */
export class AnswerRefused extends Error {
  override readonly name = 'AnswerRefused'
}

export type PeerRequestInit = BunFetchRequestInit

export interface PeerAddress {
  /** Base URL without a trailing slash; any host when `fetch` is in-process. */
  baseUrl: string
  /** How requests get there; the network by default. */
  fetch?: ((request: Request) => Promise<Response>) | undefined
}

/** Long polls may stay silent for longer than Bun's default timeout of five minutes. */
const OURS = { redirect: 'manual', decompress: false, timeout: false } as const

/** Statuses without a body (Fetch Standard, "null body status"). */
const WITHOUT_BODY = [204, 205, 304]

const unpackers: Record<string, (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress) as (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>,
  zstd: promisify(zstdDecompress) as (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>,
}

/**
 * @param maxBytes limit of the answer's body, unpacked
 * @returns the answer, with its body in memory
 * @throws AnswerRefused when it is larger or packed in an unknown way; any error of `fetch`
 */
export async function askPeer(
  input: string | URL | Request,
  init: PeerRequestInit,
  maxBytes: number,
): Promise<Response> {
  const response = await send(input, init)
  const packed = await bytesAtMost(response, maxBytes)
  const { status, statusText } = response
  const headers = new Headers(response.headers)
  const encoding = encodingOf(response)
  if (encoding === null || WITHOUT_BODY.includes(status) || packed.length === 0)
    return new Response(WITHOUT_BODY.includes(status) ? null : packed, { status, statusText, headers })
  const body = await unpacked(packed, encoding, maxBytes)
  headers.delete('content-encoding')
  headers.delete('content-length')
  return new Response(body, { status, statusText, headers })
}

/**
 * @returns the answer with its body unread; the reader must bound it
 * @throws AnswerRefused when it is packed, since its unpacked size has no bound; errors of `fetch`
 */
export async function streamFromPeer(
  input: string | URL | Request,
  init: PeerRequestInit = {},
): Promise<Response> {
  const response = await send(input, init)
  if (encodingOf(response) === null) return response
  await response.body?.cancel()
  throw new AnswerRefused('the answer is compressed, which was not asked for')
}

/** Text of an answer's body; empty if it is larger or breaks off. */
export async function textAtMost(response: Response, maxBytes: number): Promise<string> {
  return (await bytesAtMost(response, maxBytes).catch(() => Buffer.alloc(0))).toString('utf8')
}

function send(input: string | URL | Request, init: PeerRequestInit): Promise<Response> {
  const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined))
  headers.set('accept-encoding', 'identity')
  return fetch(input, { ...init, ...OURS, headers } as RequestInit)
}

/** @throws AnswerRefused when it is larger; any error of reading it */
export async function bytesAtMost(response: Response, maxBytes: number): Promise<Buffer> {
  if (!response.body) return Buffer.alloc(0)
  const declared = Number(response.headers.get('content-length') ?? 0)
  const bytes = declared > maxBytes ? null : await readPieces(response.body, maxBytes)
  if (bytes !== null) return bytes
  if (declared > maxBytes) await response.body.cancel().catch(() => undefined)
  throw tooLarge(maxBytes)
}

async function unpacked(packed: Buffer, encoding: string, maxBytes: number): Promise<Buffer> {
  const unpack = unpackers[encoding]
  if (!unpack) throw new AnswerRefused(`the answer is compressed in a way that isn't known (${encoding})`)
  try {
    return await unpack(packed, { maxOutputLength: maxBytes })
  } catch (error) {
    throw codeOf(error) === 'ERR_BUFFER_TOO_LARGE'
      ? tooLarge(maxBytes)
      : new AnswerRefused('the answer is broken')
  }
}

function encodingOf({ headers }: Response): string | null {
  const encoding = headers.get('content-encoding')?.trim().toLowerCase() ?? ''
  return encoding === '' || encoding === 'identity' ? null : encoding
}

function tooLarge(maxBytes: number): AnswerRefused {
  return new AnswerRefused(`the answer is larger than ${maxBytes} bytes`)
}
