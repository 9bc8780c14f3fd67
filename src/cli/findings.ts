/** Prints what checks find: one line each, with advice below it. */
import type { Finding, FindingState } from '../modules/operations/doctor/doctor.ts'
import type { Terminal } from './terminal.ts'

const MARKS: Record<FindingState, string> = { ok: 'ok', warning: 'warning', failure: 'FAILURE', skipped: '-' }
const MARK_WIDTH = 9
const SUBJECT_WIDTH = 21

/** Prints each finding as it arrives. */
export async function printFindings(
  terminal: Terminal,
  findings: AsyncIterable<Finding>,
): Promise<{ total: number; warnings: number; failures: number }> {
  const counts = { total: 0, warnings: 0, failures: 0 }
  for await (const { subject, state, detail, advice } of findings) {
    counts.total += 1
    if (state === 'warning') counts.warnings += 1
    if (state === 'failure') counts.failures += 1
    terminal.print(`${MARKS[state].padEnd(MARK_WIDTH)}${subject.padEnd(SUBJECT_WIDTH)}${oneLine(detail)}`)
    if (advice !== null) terminal.print(`${' '.repeat(MARK_WIDTH)}→ ${oneLine(advice)}`)
  }
  return counts
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}
