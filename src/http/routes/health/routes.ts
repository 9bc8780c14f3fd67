/** /health, /ready and /metrics: for whoever watches over the process. */
import { t } from 'elysia'
import { model } from '../../../domain/views/schema.ts'
import type { OperatorAccess } from '../../operator-access.ts'
import { answer, openRoute } from '../../route.ts'
import type { Readiness } from '../../services.ts'

export interface HealthRoutesOptions {
  version: string
  readiness: () => Readiness | Promise<Readiness>
  /** In Prometheus's text format. */
  metrics: () => Promise<string>
  operators: OperatorAccess
}

const Health = model(
  'Health',
  { status: t.Literal('ok'), version: t.String() },
  { examples: [{ status: 'ok', version: '0.1.0' }] },
)

const Ready = model(
  'Readiness',
  {
    status: t.String({ description: '`ready`, `not_ready`, or `stopping` once a stop was asked for.' }),
    checks: t.Record(t.String(), t.String(), {
      description:
        'Each part by name: `ok`, or why it is not; `failing` for callers who may not see the metrics either.',
    }),
    degraded: t.Array(t.String(), {
      description:
        'Parts that are not well. With some of them, such as a bridge, the gateway is ready all the same.',
    }),
  },
  { examples: [{ status: 'ready', checks: { database: 'ok', homeserver: 'ok' }, degraded: [] }] },
)

/** The text exposition format that Prometheus has asked for since version 0.4 of it. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function healthRoutes({ version, readiness, metrics, operators }: HealthRoutesOptions) {
  return [
    openRoute('GET', '/health', {
      id: 'getHealth',
      tag: 'Service',
      summary: 'Is the process alive?',
      answer: answer(200, 'It is', Health),
      run: () => ({ status: 'ok' as const, version }),
    }),
    openRoute('GET', '/ready', {
      id: 'getReadiness',
      tag: 'Service',
      summary: 'Can it do its work?',
      answer: answer(200, 'It can', Ready),
      or: answer(503, 'A part of it cannot', Ready),
      run: async ({ request, set }) => {
        const { ready, stopping, checks } = await readiness()
        set.status = ready ? 200 : 503
        const degraded = Object.keys(checks).filter(name => checks[name] !== 'ok')
        // The reasons name addresses and programs of the inside.
        const shown = operators.mayLook(request)
          ? checks
          : Object.fromEntries(
              Object.entries(checks).map(([name, told]) => [name, told === 'ok' ? told : 'failing']),
            )
        return { status: stopping ? 'stopping' : ready ? 'ready' : 'not_ready', checks: shown, degraded }
      },
    }),
    openRoute('GET', '/metrics', {
      id: 'getMetrics',
      tag: 'Service',
      summary: 'How is it doing, in numbers?',
      description:
        'For Prometheus, which sends METRICS_TOKEN as a bearer token. Without that setting, in development, for callers on the same machine. docs/operations.md describes each metric.',
      answer: answer(
        200,
        'Every metric in the text format of Prometheus',
        t.String({ examples: ['meshgate_auth_failures_total{kind="token"} 0\n'] }),
        { contentType: 'text/plain' },
      ),
      errors: [401, 403, 429],
      run: async ({ request }) => {
        operators.admit(request)
        return new Response(await metrics(), { headers: { 'content-type': METRICS_TYPE } })
      },
    }),
  ]
}
