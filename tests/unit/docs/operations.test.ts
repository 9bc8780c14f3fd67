/** Docs describe every metric; docs, alerts and dashboards name no unknown one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'
import { z } from 'zod'
import { createMetrics } from '../../../src/modules/operations/observation/metrics.ts'
import { createObservationRepository } from '../../../src/modules/operations/observation/repository.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const ROOT = join(import.meta.dir, '..', '..', '..')
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')

/** Prometheus itself makes these series for every job. */
const OF_PROMETHEUS = ['up']

let db: TempDb
/** Types by metric name, without the suffixes of histograms. */
let metrics: Map<string, string>
beforeAll(async () => {
  db = tempDb()
  const exposed = await createMetrics().expose({
    repository: createObservationRepository(db),
    maxDevices: 1,
    version: '1.0.0',
    databaseFile: db.connection.filename,
    checks: () => new Map(),
    sync: () => null,
    bridgeRestarts: () => new Map(),
    clock: new ManualClock(),
  })()
  metrics = new Map(
    [...exposed.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]),
  )
})
afterAll(() => db.destroy())

/** Names of a metric's series. */
function seriesOf(name: string, type: string): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
}

/** @returns the metrics in the query. @throws Error when it isn't PromQL */
function metricsIn(query: string): string[] {
  const plain = query.replaceAll('$__rate_interval', '5m')
  const names: string[] = []
  parser.parse(plain).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${plain}`)
      if (node.name === 'Identifier') names.push(plain.slice(node.from, node.to))
    },
  })
  return names
}

function expectKnown(queries: readonly string[]): void {
  const known = new Set([...metrics].flatMap(([name, type]) => seriesOf(name, type)).concat(OF_PROMETHEUS))
  expect(queries.length).toBeGreaterThan(5)
  for (const query of queries) {
    const named = metricsIn(query)
    expect(named.length, query).toBeGreaterThan(0)
    expect(
      named.filter(name => !known.has(name)),
      query,
    ).toEqual([])
  }
}

test('there are metrics', () => expect(metrics.size).toBeGreaterThan(40))

test('docs/operations.md describes each metric, and no other', () => {
  const described = [
    ...read('docs', 'operations.md').matchAll(/^\| `((?:meshgate|process)_[a-z_]+)` +\| (\w+)/gm),
  ]
  expect(Object.fromEntries(described.map(([, name = '', type = '']) => [name, type]))).toEqual(
    Object.fromEntries(metrics),
  )
})

const dashboardSchema = z.object({
  panels: z.array(
    z.object({
      id: z.number(),
      title: z.string(),
      type: z.string(),
      gridPos: z.object({ x: z.number(), w: z.number() }),
      targets: z.array(z.object({ expr: z.string() })).optional(),
    }),
  ),
})

describe('the Grafana dashboard', () => {
  const { panels } = dashboardSchema.parse(JSON.parse(read('deploy', 'grafana-dashboard.json')))

  test('asks for metrics that there are', () => {
    expectKnown(panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)))
  })

  test('shows every metric', () => {
    const asked = new Set(
      panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr))),
    )
    const unseen = [...metrics].filter(
      ([name, type]) => !seriesOf(name, type).some(series => asked.has(series)),
    )
    expect(unseen.map(([name]) => name)).toEqual([])
  })

  test('has panels that can be told apart and fit', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const { gridPos, title } of panels) expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
  })
})

const rulesSchema = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          for: z.string().regex(/^\d+[mh]$/),
          labels: z.object({ severity: z.enum(['warning', 'critical']) }),
          annotations: z.object({ summary: z.string() }),
        }),
      ),
    }),
  ),
})

describe('the alerts', () => {
  const rules = rulesSchema
    .parse(parse(read('deploy', 'prometheus', 'meshgate-alerts.yml')))
    .groups.flatMap(group => group.rules)

  test('ask for metrics that there are', () => expectKnown(rules.map(({ expr }) => expr)))

  test('are in docs/operations.md with what to do', () => {
    const described = [...read('docs', 'operations.md').matchAll(/^\| `(Meshgate\w+)` +\|/gm)].map(
      ([, name]) => name,
    )
    expect(described).toEqual(rules.map(({ alert }) => alert))
  })
})

test('the example of Prometheus loads the alerts', () => {
  const config = parse(read('deploy', 'prometheus', 'prometheus.yml')) as { rule_files: string[] }
  expect(config.rule_files).toEqual(['meshgate-alerts.yml'])
})
