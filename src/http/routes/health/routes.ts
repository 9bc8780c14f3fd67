/** /health and /ready: for whoever watches over the process. */
import { Elysia, t } from 'elysia'
import { operation } from '../../openapi/operation.ts'
import type { Readiness } from '../../services.ts'

const Health = t.Object(
  { status: t.Literal('ok'), version: t.String() },
  { examples: [{ status: 'ok', version: '0.1.0' }] },
)

const Ready = t.Object(
  { status: t.String(), checks: t.Record(t.String(), t.String()) },
  { examples: [{ status: 'ready', checks: { database: 'ok', homeserver: 'ok' } }] },
)

export function healthRoutes(version: string, readiness: () => Readiness | Promise<Readiness>) {
  return new Elysia({ name: 'health' })
    .get('/health', () => ({ status: 'ok', version }), {
      detail: operation({
        summary: 'Is the process alive?',
        tag: 'Service',
        security: 'none',
        answers: { 200: { description: 'It is', schema: Health } },
        errors: [],
      }),
    })
    .get(
      '/ready',
      async ({ set }) => {
        const { ready, checks } = await readiness()
        set.status = ready ? 200 : 503
        return { status: ready ? 'ready' : 'not_ready', checks }
      },
      {
        detail: operation({
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
}
