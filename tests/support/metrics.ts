/** Reads Prometheus's text format. */

export interface Samples {
  text: string
  /** Sample names, so `x_bucket`, `x_sum` and `x_count` for a histogram x. */
  names: Set<string>
  /** @returns the sample with exactly these labels; undefined when there is none */
  value(name: string, labels?: Record<string, string>): number | undefined
}

export function samplesOf(text: string): Samples {
  const values = new Map<string, number>()
  const names = new Set<string>()
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    names.add(name)
    values.set(keyOf(name, Object.fromEntries(pairsOf(labels))), Number(value))
  }
  return { text, names, value: (name, labels = {}) => values.get(keyOf(name, labels)) }
}

function pairsOf(labels: string): [string, string][] {
  return [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [
    name,
    value,
  ])
}

function keyOf(name: string, labels: Record<string, string>): string {
  return JSON.stringify([name, Object.entries(labels).sort()])
}
