/**
 * Series of single devices and webhooks, as Prometheus's text. There may be thousands, all read
 * anew each time: the registry would hash the labels of each at every reading, which costs ten
 * times as much.
 */

export interface SeriesKind {
  name: string
  type: 'gauge' | 'counter'
  help: string
}

export class SeriesText {
  private readonly lines: ReadonlyMap<SeriesKind, string[]>

  constructor(kinds: readonly SeriesKind[]) {
    this.lines = new Map(
      kinds.map(kind => [kind, [`# HELP ${kind.name} ${kind.help}`, `# TYPE ${kind.name} ${kind.type}`]]),
    )
  }

  /** @param labels see `labelsText` */
  add(kind: SeriesKind, labels: string, value: number): void {
    this.lines.get(kind)?.push(`${kind.name}{${labels}} ${value}`)
  }

  /** @returns all, a kind after the other, each with an empty line before it */
  toString(): string {
    return [...this.lines.values()].map(lines => `\n${lines.join('\n')}\n`).join('')
  }
}

/** @param labels whose values need no escaping, as ids and names of platforms and states don't */
export function labelsText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')
}
