/**
 * Fetches a file by a URL that a client names: without credentials, limited in size and time. Each
 * redirect is checked and connected to as the first URL is (`endpoint-guard.ts`).
 */
import { pipeline, Readable, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { parse } from 'content-disposition'
import { abortable } from '../lib/abortable.ts'
import { connectionProblem } from '../lib/connection-problem.ts'
import { decodedPart } from '../lib/decoded-part.ts'
import { type EndpointGuard, EndpointRefused } from './endpoint-guard.ts'
import { fetchAt } from './pinned-fetch.ts'

export interface FetchedFile {
  /** As the server or the path calls it, safe as a name on any disk; empty where neither does. */
  fileName: string
  /** As the server says; empty if it doesn't. */
  mimeType: string
  /** Decoded. It throws FileNotFetched. */
  stream: AsyncIterable<Uint8Array>
}

export interface FileClient {
  /**
   * @param take reads the stream, within the same time limit; what it throws is passed on
   * @param signal ends the fetch: it rejects with the signal's reason
   * @returns what `take` does
   * @throws FileNotFetched
   */
  fetch<T>(url: string, take: (file: FetchedFile) => Promise<T>, signal: AbortSignal): Promise<T>
}

export type FileUrlReason = 'refused' | 'too_large' | 'timeout' | `http_${number}`

/** The file can't be had. Its message is the reason of the messages that were to carry it. */
export class FileNotFetched extends Error {
  override readonly name = 'FileNotFetched'

  constructor(reason: FileUrlReason, words?: string) {
    super(`file_url_${reason}${words === undefined ? '' : `: ${words}`}`)
  }
}

const MAX_REDIRECTS = 3
const REDIRECTS = [301, 302, 303, 307, 308]
/** Longer ones could not be stored by whoever gets the file. */
const MAX_NAME_BYTES = 255

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

export function createFileClient(options: {
  /** Limits the file as it is stored: a small answer can unpack to gigabytes. */
  maxBytes: number
  /** Limits everything, from the first question to the last byte. */
  timeoutMs: number
  userAgent: string
  guard: Pick<EndpointGuard, 'addressesOf'>
}): FileClient {
  const { maxBytes, timeoutMs, userAgent, guard } = options
  const tooLarge = () => new FileNotFetched('too_large', `expected at most ${maxBytes} bytes`)

  async function follow(first: string, signal: AbortSignal): Promise<{ answer: Response; url: string }> {
    let url = first
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const problem = fileUrlProblem(url)
      if (problem !== null) throw new FileNotFetched('refused', problem)
      const addresses = await abortable(guard.addressesOf(url), signal)
      const answer = await fetchAt(addresses, url, {
        redirect: 'manual',
        decompress: false,
        signal,
        headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': userAgent },
      })
      const location = REDIRECTS.includes(answer.status) ? answer.headers.get('location') : null
      if (location === null) return { answer, url }
      await answer.body?.cancel()
      const next = URL.parse(location, url)
      if (!next) throw new FileNotFetched('refused', 'it redirects to what is no URL')
      url = next.href
    }
    throw new FileNotFetched('refused', `it redirects more than ${MAX_REDIRECTS} times`)
  }

  /** The file's bytes, decoded, up to the limit. */
  async function* contentOf({ body, headers }: Response): AsyncGenerator<Uint8Array, void> {
    if (!body) return
    let size = 0
    for await (const chunk of decoded(body, headers.get('content-encoding'))) {
      size += chunk.byteLength
      if (size > maxBytes) throw tooLarge()
      yield chunk
    }
  }

  function failureOf(error: unknown, timeout: AbortSignal): Error {
    if (error instanceof FileNotFetched) return error
    if (timeout.aborted) return new FileNotFetched('timeout', `expected within ${timeoutMs / 1_000} seconds`)
    if (error instanceof EndpointRefused) return new FileNotFetched('refused', error.message)
    return new FileNotFetched('refused', connectionProblem(error))
  }

  return {
    async fetch(first, take, stop) {
      const timeout = AbortSignal.timeout(timeoutMs)
      const signal = AbortSignal.any([timeout, stop])
      let answer: Response | undefined
      /** Only failures of the stream are the server's: others are of whoever takes it. */
      let failure: { error: unknown } | undefined
      async function* watched(stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
        try {
          yield* stream
        } catch (error) {
          failure = { error }
          throw error
        }
      }
      try {
        const found = await follow(first, signal).catch(error => {
          failure = { error }
          throw error
        })
        answer = found.answer
        if (answer.status !== 200) throw new FileNotFetched(`http_${answer.status}`)
        if (Number(answer.headers.get('content-length')) > maxBytes) throw tooLarge()
        return await take({
          fileName: nameOf(answer.headers.get('content-disposition'), found.url),
          mimeType: answer.headers.get('content-type') ?? '',
          stream: watched(contentOf(answer)),
        })
      } catch (error) {
        stop.throwIfAborted()
        throw failure ? failureOf(failure.error, timeout) : error
      } finally {
        // A body that wasn't read to its end would keep the connection.
        if (answer?.body && !answer.body.locked) await answer.body.cancel().catch(() => undefined)
      }
    },
  }
}

/** @returns why a file can't be fetched from what was given as a URL; null when it may be tried */
export function fileUrlProblem(text: string): string | null {
  const url = URL.parse(text)
  // Bun's fetch would read files of our own disk by `file:`.
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return 'expected an http(s):// URL'
  return url.username || url.password ? 'expected a URL without user and password' : null
}

async function* decoded(
  body: ReadableStream<Uint8Array>,
  encoding: string | null,
): AsyncIterable<Uint8Array> {
  const coding = encoding?.trim().toLowerCase() || 'identity'
  if (coding === 'identity') return yield* body
  const decoder = Object.hasOwn(DECODERS, coding) ? DECODERS[coding]?.() : undefined
  if (!decoder) throw new FileNotFetched('refused', 'it is in a Content-Encoding that is not known here')
  let broken: unknown
  async function* packed() {
    try {
      yield* body
    } catch (error) {
      broken = error
      throw error
    }
  }
  try {
    yield* pipeline(Readable.from(packed()), decoder, () => undefined)
  } catch {
    throw broken ?? new FileNotFetched('refused', `it is not ${coding}, as its Content-Encoding says`)
  }
}

/** By Content-Disposition (RFC 6266), else by the path. */
function nameOf(disposition: string | null, url: string): string {
  const said = disposition === null ? undefined : parse(utf8(disposition)).parameters.filename
  const { pathname } = new URL(url)
  const inPath = pathname.slice(pathname.lastIndexOf('/') + 1)
  return safeName(said ?? '') || safeName(decodedPart(inPath) ?? inPath)
}

/** Many servers write a name in UTF-8 where a header has Latin-1. */
function utf8(header: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(header, 'latin1'))
  } catch {
    return header
  }
}

/** Without folders and control characters, and cut before its extension where it is too long. */
function safeName(text: string): string {
  const name = text
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '')
    .replace(/^.*[/\\]/, '')
    .trim()
  if (name === '.' || name === '..') return ''
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name
  const extension = /\.[^.]{1,16}$/.exec(name)?.[0] ?? ''
  const room = MAX_NAME_BYTES - Buffer.byteLength(extension)
  const start = Buffer.from(name).subarray(0, room)
  // `stream` drops a character that is cut in two.
  return new TextDecoder().decode(start, { stream: true }) + extension
}
