/**
 * Brings a bridge's program into a folder of ours: from its release page, from a mirror, or from a
 * file. It is there whole and with the right digest, or not at all.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, messageOf } from '../../domain/errors.ts'
import { connectionProblem } from '../../lib/connection-problem.ts'
import { writeDurably } from '../../lib/durable-file.ts'
import { programVersion } from '../setup/program.ts'
import { followRedirects } from './follow-redirects.ts'
import pinned from './pinned-digests.json' with { type: 'json' }
import { findReleasedProgram, type Machine, type ReleasedProgram } from './release-page.ts'

/** No bridge comes near it. */
const MAX_BYTES = 1024 * 1024 * 1024
/** A download that brings nothing for this long is given up, in milliseconds. */
const SILENCE_MS = 60_000

export interface FetchRequest {
  /** Its file name, such as `mautrix-whatsapp`. */
  program: string
  /** Where it is released, such as `mautrix/whatsapp`; null: only a file or an address helps. */
  repository: string | null
  /** A tag or LATEST; undefined: what a file is, it says itself. */
  version: string | undefined
  /** A file, the address of one, or that of a mirror; undefined: the release page. */
  from: { file: string } | { url: string } | undefined
  /** Folder for programs, made when missing. */
  dir: string
  machine: Machine
  /** The program's environment when it is asked for its version. */
  environment: Record<string, string>
  digests: ProgramDigests
  /** Aborts when the person gives up: nothing is left then, either. */
  signal?: AbortSignal
  /** Told before the download, and how far it is, in bytes; `total` is 0 when nobody knows. */
  onFound?: (program: ReleasedProgram) => void
  onProgress?: (done: number, total: number) => void
}

/** Digests of programs that were fetched before: a released file never changes. */
export interface ProgramDigests {
  find(name: string, version: string): Promise<string | null>
  note(name: string, version: string, sha256: string): Promise<void>
}

export interface FetchedProgram {
  file: string
  version: string
  /** In hexadecimal. */
  sha256: string
  /** The release page says so as well; false for a file of which nobody says anything. */
  isVouchedFor: boolean
}

/** @param dir folder of a bridge's files. @returns that of the programs fetched for it */
export function programsFolder(dir: string): string {
  return join(dir, 'bin')
}

/** Known before a single byte is read. */
interface Source {
  name: string
  version: string | undefined
  sizeBytes: number
  sha256: string | null
  open(): AsyncIterable<Uint8Array>
}

/**
 * @returns the program, executable and on disk
 * @throws GatewayError not_found: no such release, or none for this machine; bad_request: a wrong
 * digest, or a file that can't be read or isn't a program; bridge_error: the download failed
 */
export async function fetchProgram(request: FetchRequest): Promise<FetchedProgram> {
  const { dir, program, digests } = request
  const source = await sourceOf(request)
  const expected = await expectedDigest(source, digests)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const incoming = join(dir, `${program}.incoming`)
  try {
    const sha256 = await receive(source, expected, incoming, request)
    await chmod(incoming, 0o700)
    const version = source.version ?? (await versionOf(incoming, request)) ?? sha256.slice(0, 12)
    const before = await digests.find(source.name, version)
    if (before !== null && before !== sha256) throw changed(source.name, version, before, sha256)
    const file = join(dir, `${program}-${version}`)
    await rename(incoming, file)
    await digests.note(source.name, version, sha256)
    return { file, version, sha256, isVouchedFor: expected !== null }
  } finally {
    await rm(incoming, { force: true })
  }
}

async function sourceOf(request: FetchRequest): Promise<Source> {
  const { from, machine, onFound, program, repository, signal, version } = request
  if (from && 'file' in from) return await fileSource(from.file, program, version)
  const found =
    repository !== null && version !== undefined
      ? await findReleasedProgram({ program, repository }, version, machine, from?.url)
      : null
  if (found) {
    onFound?.(found)
    return { ...found, open: () => download(found.url, signal) }
  }
  if (!from) throw new GatewayError('not_found', `${program}: no release page is known; give it with --from`)
  const name = program
  return { name, version: undefined, sizeBytes: 0, sha256: null, open: () => download(from.url, signal) }
}

async function fileSource(file: string, name: string, version: string | undefined): Promise<Source> {
  try {
    const { size, isFile } = await stat(file).then(found => ({ size: found.size, isFile: found.isFile() }))
    if (!isFile) throw new Error('it is no file')
    return { name, version, sizeBytes: size, sha256: null, open: () => createReadStream(file) }
  } catch (error) {
    throw new GatewayError('bad_request', `--from: ${file} can't be read: ${messageOf(error)}`)
  }
}

/** @throws GatewayError bad_request when those who should know don't agree */
async function expectedDigest(source: Source, digests: ProgramDigests): Promise<string | null> {
  const { name, version, sha256 } = source
  if (version === undefined) return sha256
  const key = `${name}@${version}`
  const known = (pinned as Record<string, string>)[key] ?? (await digests.find(name, version))
  if (known !== null && sha256 !== null && known !== sha256) throw changed(name, version, known, sha256)
  return known ?? sha256
}

async function receive(
  { name, sizeBytes, open }: Source,
  expected: string | null,
  file: string,
  { onProgress, signal }: Pick<FetchRequest, 'onProgress' | 'signal'>,
): Promise<string> {
  const hash = createHash('sha256')
  let done = 0
  let digest = ''
  async function* checked(): AsyncGenerator<Uint8Array> {
    for await (const piece of open()) {
      signal?.throwIfAborted()
      hash.update(piece)
      done += piece.byteLength
      onProgress?.(done, sizeBytes)
      yield piece
    }
    if (done === 0 || (sizeBytes > 0 && done !== sizeBytes)) {
      throw new GatewayError('bridge_error', `${name}: the download broke off after ${done} bytes; try again`)
    }
    digest = hash.digest('hex')
    // Thrown here, so that the file never gets its name.
    if (expected !== null && digest !== expected) {
      throw new GatewayError(
        'bad_request',
        `${name}: its SHA-256 is ${digest}, expected ${expected}: nothing was kept`,
      )
    }
  }
  const tooLarge = () => new GatewayError('bad_request', `${name}: larger than ${MAX_BYTES} bytes`)
  await writeDurably({ path: file, temporary: `${file}.part`, maxBytes: MAX_BYTES, tooLarge }, checked())
  return digest
}

/** @throws GatewayError bridge_error */
async function* download(url: string, given: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(timeout()), SILENCE_MS)
  try {
    const signal = given ? AbortSignal.any([silence.signal, given]) : silence.signal
    const response = await followRedirects(url, signal)
    if (!response.ok || !response.body) {
      throw new GatewayError('bridge_error', `${url} answered ${response.status}`)
    }
    for await (const piece of response.body) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(timeout()), SILENCE_MS)
      yield piece
    }
  } catch (error) {
    given?.throwIfAborted()
    if (error instanceof GatewayError) throw error
    throw new GatewayError('bridge_error', `${url} can't be downloaded: ${connectionProblem(error)}`)
  } finally {
    clearTimeout(timer)
  }
}

function timeout(): Error {
  return Object.assign(new Error('no answer in time'), { name: 'TimeoutError' })
}

/** The version as the program prints it, in a form for file names; null when it can't run. */
async function versionOf(file: string, { environment }: FetchRequest): Promise<string | null> {
  const line = await programVersion([file], environment)
  return /\bv?\d[\w.+-]*/.exec(line ?? '')?.[0] ?? null
}

function changed(name: string, version: string, before: string, now: string): GatewayError {
  return new GatewayError(
    'bad_request',
    `${name} ${version}: its SHA-256 was ${before}, and is ${now} now: a released file never changes, so nothing was kept`,
  )
}
