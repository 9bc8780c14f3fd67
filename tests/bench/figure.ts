/** What a figure is: one promise of the design, measured against the real program. */
import type { Program } from './program.ts'

export interface Bench {
  program: Program
  /** Shorter runs, to see whether all works; the numbers mean little. */
  quick: boolean
  /** Tells whoever waits what is going on. */
  tell(line: string): void
}

export interface Row {
  figure: string
  measured: string
  limit: string
  /** Null when it can't be measured yet. */
  met: boolean | null
}

export interface Figure {
  number: number
  title: string
  /** @throws Malfunction, or any other error, when the program does wrong: loses or doubles a message, refuses, ends */
  run(bench: Bench): Promise<Row[]>
}

/** The program did wrong. Being slow is none. */
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
