/** /health, /ready and /metrics: for whoever watches over the process. */
import { Elysia, t } from 'elysia'
import { operation } from '../../openapi/operation.ts'
import type { OperatorAccess } from '../../operator-access.ts'
import { model } from '../../schemas.ts'
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
  return new Elysia({ name: 'health' })
    .get('/health', () => ({ status: 'ok', version }), {
      detail: operation({
        id: 'getHealth',
        summary: 'Is the process alive?',
        tag: 'Service',
        security: 'none',
        answers: { 200: { description: 'It is', schema: Health } },
        errors: [],
      }),
    })
    .get(
      '/ready',
      async ({ request, set }) => {
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
      {
        detail: operation({
          id: 'getReadiness',
          summary: 'Can it do its work?',
          tag: 'Service',
          security: 'none',
          answers: {
            200: { description: 'It can', schema: Ready },
            503: { description: 'A part of it cannot', schema: Ready },
          },
          errors: [],
        }),
      },
    )
    .get(
      '/metrics',
      async ({ request }) => {
        operators.admit(request)
        return new Response(await metrics(), { headers: { 'content-type': METRICS_TYPE } })
      },
      {
        detail: operation({
          id: 'getMetrics',
          summary: 'How is it doing, in numbers?',
          description:
            'For Prometheus, which sends METRICS_TOKEN as a bearer token. Without that setting, in development, for callers on the same machine. docs/operations.md describes each metric.',
          tag: 'Service',
          security: 'none',
          answers: {
            200: {
              description: 'Every metric in the text format of Prometheus',
              schema: t.String({ examples: ['meshgate_auth_failures_total{kind="token"} 0\n'] }),
              contentType: 'text/plain',
            },
          },
          errors: [401, 403, 429],
        }),
      },
    )
}
