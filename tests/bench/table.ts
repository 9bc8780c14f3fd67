/** A Markdown table of the rows that is also readable as text. */
import type { Row } from './figure.ts'

const HEADINGS = ['figure', 'measured', 'limit', 'met?']

export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ figure, measured, limit, met }) => [figure, measured, limit, verdict(met)])
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map(row => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`
  return [line(HEADINGS), rule, ...cells.map(line)].join('\n')
}

function verdict(met: boolean | null): string {
  if (met === null) return 'not yet'
  return met ? 'yes' : 'NO'
}
