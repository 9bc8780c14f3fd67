/** A run's faults and counts, as text and as JSON. */

import type { IncomingCount, OutgoingCount } from './count.ts'
import type { ActCount } from './count-acts.ts'
import type { StuckRows } from './stuck.ts'
import type { UsageSummary } from './usage.ts'

export interface PhaseReport {
  name: string
  seconds: number
  /** Faults by kind; for endpoints also the number of requests that met them. */
  injected: Record<string, number>
  /** Kinds of faults this machine can't inject, and why. */
  leftOut: string[]
  /** Answers to sends, by status and code. */
  answers: Record<string, number>
  outgoing: OutgoingCount
  incoming: IncomingCount
  acts: ActCount | null
  stuck: Partial<StuckRows>
  usage: UsageSummary | null
  /** Failures, one line each; empty when nothing was lost, doubled, out of order or stuck. */
  problems: string[]
  /** Losses and disorder caused by other programs. */
  notes: string[]
}

export interface Report {
  seed: number
  command: string
  program: string
  machine: string
  phases: PhaseReport[]
  /** Phases that couldn't finish, and why. */
  brokenOff: string[]
  passed: boolean
}

const MOST_PROBLEMS = 40

export function textOf(report: Report): string {
  return [
    `Faults · seed ${report.seed} · ${report.program} · ${report.machine}`,
    `again with: ${report.command}`,
    ...report.phases.map(phaseText),
    ...report.brokenOff.map(reason => `BROKEN OFF ${reason}`),
    report.passed
      ? 'PASSED: the gateway lost nothing, sent nothing twice or out of order, and left nothing stuck'
      : 'FAILED',
  ].join('\n\n')
}

function phaseText(phase: PhaseReport): string {
  const { outgoing, incoming, acts, usage, problems } = phase
  const rows: [string, string | number][] = [
    [`${phase.name} phase`, `${phase.seconds} s`],
    ...Object.entries(phase.injected).map(([kind, count]): [string, number] => [`injected: ${kind}`, count]),
    ...phase.leftOut.map((reason): [string, string] => ['left out', reason]),
    [
      'answers to sends',
      Object.entries(phase.answers)
        .map(([status, count]) => `${status}: ${count}`)
        .join(', '),
    ],
    ['sends accepted', `${outgoing.accepted} in ${outgoing.chats} chats, ${outgoing.files} with a file`],
    ['  on the phones', outgoing.arrived],
    ['  never answered', outgoing.unknown],
    ['  lost', outgoing.lost],
    ['  lost by the homeserver, before the bridge', outgoing.lostByHomeserver],
    ['  lost by the bridge', outgoing.lostByBridge],
    ['  twice', outgoing.twice],
    ['  out of order', outgoing.outOfOrder],
    ['  kept back by the homeserver, and overtaken', outgoing.overtakenAtHomeserver],
    ['  wrong files', outgoing.filesWrong],
    [
      'phone messages',
      `${incoming.sent} in ${incoming.chats} chats, ${incoming.files} deliveries with a file`,
    ],
    ['  due at endpoints', incoming.due],
    ['  arrived', incoming.arrived],
    ['  repeats and replays (same webhook-id)', incoming.repeats],
    ['  lost', incoming.lost],
    ['  lost by the bridge, before the homeserver', incoming.lostByBridge],
    ['  as two events or webhook-ids', incoming.twice],
    ['  wrong files', incoming.filesWrong],
    ['  bad requests', incoming.badRequests],
    ...(acts === null ? [] : actRows(acts)),
    ...Object.entries(phase.stuck).map(([name, count]): [string, number] => [`stuck: ${name}`, count]),
    ...(usage === null ? [] : usageRows(usage)),
  ]
  const shown = problems.slice(0, MOST_PROBLEMS).map(problem => `PROBLEM ${problem}`)
  const more = problems.length > shown.length ? [`PROBLEM … and ${problems.length - shown.length} more`] : []
  const notes = phase.notes.map(note => `NOTE ${note}`)
  return [table(rows), ...shown, ...more, ...notes].join('\n')
}

function actRows(acts: ActCount): [string, string | number][] {
  const accepted = Object.entries(acts.accepted)
  return [
    ['actions accepted', accepted.map(([type, count]) => `${type}: ${count}`).join(', ')],
    ['  on the phones', acts.arrived],
    ['  done in the queue', acts.inPlace],
    ['  replaced by a newer reading', acts.replaced],
    ['  never answered', acts.unknown],
    ['  lost', acts.lost],
    ['  twice', acts.twice],
    ['  out of order', acts.outOfOrder],
  ]
}

function usageRows({ residentMiB, openFiles, seconds }: UsageSummary): [string, string][] {
  return [
    [`memory over ${seconds} s of load`, `${residentMiB.before} MiB, then ${residentMiB.after} MiB`],
    [
      'open files',
      openFiles ? `at least ${openFiles.underLoad}, at rest ${openFiles.atRest}` : 'not counted here',
    ],
  ]
}

/** A Markdown table that is also readable as text. */
function table(rows: readonly [string, string | number][]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  const line = ([name, value]: readonly [string, string | number]) => `| ${name.padEnd(width)} | ${value} |`
  const [heading, ...rest] = rows
  return [line(heading ?? ['', '']), `|${'-'.repeat(width + 2)}|---|`, ...rest.map(line)].join('\n')
}
