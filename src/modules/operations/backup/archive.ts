/** Archives: tar files compressed with zstd, whose last entry is the manifest. */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Readable, Transform, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createZstdCompress, createZstdDecompress } from 'node:zlib'
import { extract, type Header, pack } from 'tar-stream'
import { GatewayError, messageOf } from '../../../domain/errors.ts'
import {
  type Authenticity,
  authenticityOf,
  FORMAT,
  isBackedUpName,
  keyCheck,
  MANIFEST,
  type Manifest,
  manifestSchema,
  signed,
} from './manifest.ts'

export interface ArchivedFile {
  /** In the archive. */
  name: string
  /** On disk; it must not change any more. */
  path: string
  sizeBytes: number
  mode: number
}

export type About = Omit<Manifest, 'files' | 'format' | 'secret_key_check'>

/** A manifest has a line for each file; of a million files it is some hundred MB. */
const MAX_MANIFEST_BYTES = 512 * 1024 * 1024
const OWNER_ONLY = 0o700

/** Resolves when the sink has everything. */
export async function writeArchive(
  files: readonly ArchivedFile[],
  about: About,
  secretKey: string,
  sink: Writable,
): Promise<void> {
  const tar = pack()
  const written = pipeline(tar, createZstdCompress(), sink)
  const fill = async () => {
    const manifest: Manifest = { format: FORMAT, ...about, secret_key_check: keyCheck(secretKey), files: [] }
    for (const { name, path, sizeBytes, mode } of files) {
      const hash = createHash('sha256')
      const entry = tar.entry({ name, size: sizeBytes, mode: mode & OWNER_ONLY })
      await pipeline(createReadStream(path), hashing(hash), entry)
      manifest.files.push({ name, size: sizeBytes, sha256: hash.digest('hex') })
    }
    tar.entry({ name: MANIFEST, mode: 0o600 }, signed(JSON.stringify(manifest), secretKey))
    tar.finalize()
  }
  await Promise.all([
    written,
    fill().catch(error => {
      // Whoever waits for the sink must not wait for ever.
      tar.destroy(error as Error)
      throw error
    }),
  ])
}

/**
 * Puts every file into a folder, and compares each with the manifest.
 * @param secretKeys under one of which it ought to be made
 * @throws GatewayError bad_request when the archive is cut off, damaged, or has files that are none
 * of ours
 */
export async function readArchive(
  source: Readable,
  folder: string,
  secretKeys: readonly string[],
): Promise<{ manifest: Manifest; authenticity: Authenticity }> {
  const found = new Map<string, { size: number; sha256: string }>()
  let manifest: Manifest | undefined
  let authenticity: Authenticity = 'missing'
  const tar = extract()
  const unpack = async () => {
    for await (const entry of tar) {
      const { name } = entry.header
      if (manifest) throw refused(`it goes on after ${MANIFEST}`)
      if (name === MANIFEST) {
        const text = await textOf(entry)
        manifest = manifestOf(text)
        authenticity = authenticityOf(text, manifest.secret_key_check, secretKeys)
        continue
      }
      refuseStrange(entry.header, found)
      const hash = createHash('sha256')
      const size = await writeFile(entry, hash, join(folder, name), entry.header.mode)
      found.set(name, { size, sha256: hash.digest('hex') })
    }
  }
  try {
    await Promise.all([pipeline(source, createZstdDecompress(), tar), unpack()])
  } catch (error) {
    if (error instanceof GatewayError || isOfTheDisk(error)) throw error
    const isOther = (error as NodeJS.ErrnoException).code === 'ZSTD_error_prefix_unknown'
    throw refused(isOther ? 'expected a file that `meshgate backup` wrote' : messageOf(error))
  }
  if (!manifest) throw refused(`it is cut off: there is no ${MANIFEST} at its end`)
  compare(manifest, found)
  return { manifest, authenticity }
}

function refuseStrange(
  { name, type }: Pick<Header, 'name' | 'type'>,
  found: ReadonlyMap<string, unknown>,
): void {
  if (type !== 'file') throw refused(`${JSON.stringify(name)} is a ${type}`)
  if (!isBackedUpName(name)) throw refused(`${JSON.stringify(name)} is no file of ours`)
  if (found.has(name)) throw refused(`${JSON.stringify(name)} is there twice`)
}

async function writeFile(
  entry: AsyncIterable<unknown>,
  hash: Hash,
  path: string,
  mode: number,
): Promise<number> {
  await mkdir(dirname(path), { recursive: true, mode: OWNER_ONLY })
  let size = 0
  const counting = hashing(hash, chunk => {
    size += chunk.byteLength
  })
  // `wx`: nothing that is there, and no link that leads elsewhere, is written to.
  await pipeline(entry, counting, createWriteStream(path, { flags: 'wx', mode: (mode & OWNER_ONLY) | 0o600 }))
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
  return size
}

function hashing(hash: Hash, onChunk: (chunk: Buffer) => void = () => undefined): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      onChunk(chunk)
      done(null, chunk)
    },
  })
}

async function textOf(entry: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of entry as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size > MAX_MANIFEST_BYTES) throw refused(`${MANIFEST} is too large`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function manifestOf(text: string): Manifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw refused(`${MANIFEST}: ${messageOf(error)}`)
  }
  const read = manifestSchema.safeParse(json)
  if (read.success) return read.data
  const format = (json as Partial<Manifest> | null)?.format
  if (typeof format === 'number' && format > FORMAT)
    throw refused(`a newer version of meshgate made it (format ${format}): restore it with that one`)
  const [first] = read.error.issues
  throw refused(`${[MANIFEST, ...(first?.path ?? [])].join(' ')}: ${first?.message}`)
}

function compare({ files }: Manifest, found: ReadonlyMap<string, { size: number; sha256: string }>): void {
  for (const { name, size, sha256 } of files) {
    const file = found.get(name)
    if (!file) throw refused(`${name} is missing`)
    if (file.size !== size || file.sha256 !== sha256) throw refused(`${name} is damaged`)
  }
  if (files.length !== found.size) throw refused('it has files that its manifest does not know')
}

function refused(what: string): GatewayError {
  return new GatewayError('bad_request', `the backup can't be used: ${what}`)
}

/** A full or failing disk says nothing about the archive. */
function isOfTheDisk(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code
  return code !== undefined && ['ENOSPC', 'EDQUOT', 'EIO', 'EACCES', 'EPERM', 'EROFS'].includes(code)
}
