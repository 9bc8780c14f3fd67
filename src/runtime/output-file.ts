/** Keeps a program's last output in its folder, in a file that is begun anew when it is full. */
import { appendFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'

const MAX_BYTES = 4 * 1024 * 1024
const NAME = 'output.log'

/** The file before comes first. */
export function outputFiles(dir: string): string[] {
  return [join(dir, `${NAME}.1`), join(dir, NAME)]
}

export class OutputFile {
  private readonly before: string
  private readonly file: string
  private size: number

  constructor(dir: string) {
    const [before = '', file = ''] = outputFiles(dir)
    this.before = before
    this.file = file
    this.size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  }

  /** A full disk loses the line, and nothing else. */
  write(line: string): void {
    const text = `${line}\n`
    try {
      if (this.size > 0 && this.size + text.length > MAX_BYTES) {
        renameSync(this.file, this.before)
        this.size = 0
      }
      appendFileSync(this.file, text, { mode: 0o600 })
      this.size += Buffer.byteLength(text)
    } catch {
      // The program goes on without it.
    }
  }
}
