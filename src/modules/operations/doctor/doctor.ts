/**
 * The doctor runs checks: small functions that return findings, none of which keeps the others from
 * running. src/app/doctor.ts puts them together.
 */
import { messageOf } from '../../../domain/errors.ts'

/** `warning`: it works, but not as it should, or not for long. `skipped`: it wasn't looked at. */
export type FindingState = 'ok' | 'warning' | 'failure' | 'skipped'

export interface Finding {
  /** Names the part that was looked at, in a word or two. */
  subject: string
  state: FindingState
  /** One line. */
  detail: string
  /** Tells the operator what to do; null: nothing. */
  advice: string | null
}

export interface Check {
  subject: string
  run(): Promise<Outcome | Outcome[]>
}

/** A finding of a check; the subject is the check's unless it says otherwise. */
export type Outcome = Omit<Finding, 'subject'> & { subject?: string }

export const ok = (detail: string): Outcome => ({ state: 'ok', detail, advice: null })
export const skipped = (detail: string): Outcome => ({ state: 'skipped', detail, advice: null })
export const warning = (detail: string, advice: string): Outcome => ({ state: 'warning', detail, advice })
export const failure = (detail: string, advice: string): Outcome => ({ state: 'failure', detail, advice })

/** One after the other, in the order given. A check that throws is itself a finding. */
export async function* runChecks(checks: readonly Check[]): AsyncGenerator<Finding> {
  for (const { subject, run } of checks) {
    for (const outcome of await outcomesOf(run)) yield { subject, ...outcome }
  }
}

async function outcomesOf(run: Check['run']): Promise<Outcome[]> {
  try {
    return [await run()].flat()
  } catch (error) {
    return [failure(messageOf(error), 'this is unexpected: please report it with this line')]
  }
}
