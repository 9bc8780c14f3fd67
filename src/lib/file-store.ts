/** A folder of files by id. Each is streamed to disk and synced before it has its name. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder, writeDurably } from './durable-file.ts'
import { shareFile } from './shared-file.ts'
import { randomToken } from './tokens.ts'

/** Suffix of incomplete files. */
const TEMPORARY_SUFFIX = '.tmp'

export class FileStore {
  /**
   * @param folder created when first needed
   * @param tooLarge makes the error thrown above `maxBytes`
   */
  constructor(
    private readonly folder: string,
    readonly maxBytes: number,
    readonly tooLarge: () => Error,
  ) {}

  pathOf(id: string): string {
    return join(this.folder, id)
  }

  /** @returns size in bytes @throws `tooLarge()`, or the disk's or stream's error; no file stays */
  async save(id: string, stream: AsyncIterable<Uint8Array>): Promise<number> {
    await mkdir(this.folder, { recursive: true })
    const path = this.pathOf(id)
    const temporary = `${path}.${randomToken('', 6)}${TEMPORARY_SUFFIX}`
    return writeDurably({ path, temporary, maxBytes: this.maxBytes, tooLarge: this.tooLarge }, stream)
  }

  /**
   * Takes in a file of this process, already synced, without copying it. Nobody may write to it.
   * @returns size in bytes; null where it can't be shared (`shareFile`) @throws `tooLarge()`
   */
  async adopt(id: string, source: string): Promise<number | null> {
    const { size } = await stat(source).catch(() => ({ size: 0 }))
    if (size > this.maxBytes) throw this.tooLarge()
    await mkdir(this.folder, { recursive: true })
    if (!(await shareFile(source, this.pathOf(id)))) return null
    await syncFolder(this.folder)
    return size
  }

  discard(id: string): Promise<void> {
    return rm(this.pathOf(id), { force: true })
  }

  /**
   * Removes files cut off by a kill, and complete ones that nobody knows. Call it before the first
   * save: files being written look the same.
   */
  async sweep(isKnown: (id: string) => boolean): Promise<void> {
    const names = await readdir(this.folder).catch(() => [])
    for (const name of names) if (name.endsWith(TEMPORARY_SUFFIX) || !isKnown(name)) await this.discard(name)
  }
}
