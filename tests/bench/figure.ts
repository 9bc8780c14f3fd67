/** A figure is one promise of the design, measured on the real program. */
import type { Program } from './program.ts'

export interface Bench {
  program: Program
  /** Runs are shorter, to check that everything works; the numbers mean little. */
  quick: boolean
  /** Prints progress. */
  tell(line: string): void
}

export interface Row {
  figure: string
  measured: string
  limit: string
  /** Null when it wasn't measured. */
  met: boolean | null
}

export interface Figure {
  number: number
  title: string
  /** @throws Malfunction or another Error when the program loses or doubles messages, or fails */
  run(bench: Bench): Promise<Row[]>
}

/** The program did wrong; being slow isn't wrong. */
export class Malfunction extends Error {
  override readonly name = 'Malfunction'
}

export const MIB = 1024 * 1024
export const KIB = 1024

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`
}
