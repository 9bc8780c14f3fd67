/** /api/v1/devices/links: a login under way, what it asks for, and the answers. */
import { Elysia } from 'elysia'
import { operation } from '../../openapi/operation.ts'
import { bearerAuth } from '../../plugins/auth.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import { answers, LinkAnswer, LinkBody, LinkParams } from './link-model.ts'

const CANCELLED = 'Link cancelled'

export function linkRoutes({ tokens, linking }: Pick<HttpServices, 'tokens' | 'linking'>) {
  return new Elysia({ name: 'links', prefix: '/api/v1/devices/links' })
    .use(bearerAuth(tokens))
    .get('/:id', ({ holder, params }) => linking.get(holder.identity.id, params.id), {
      bearer: { body: 'none' },
      params: LinkParams,
      detail: operation({
        id: 'getLink',
        summary: 'Get a link',
        description:
          'Where a login stands and what it shows or asks for. How it ended can be seen for two minutes.',
        tag: 'Devices',
        security: 'bearerAuth',
        answers: { 200: { description: 'The link', schema: LinkBody } },
        errors: [401, 403, 404],
      }),
    })
    .post(
      '/:id',
      ({ holder, params, body }) => linking.answer(holder.identity.id, params.id, answers.read(body.inputs)),
      {
        bearer: { body: 'json' },
        params: LinkParams,
        body: LinkAnswer,
        detail: operation({
          id: 'answerLink',
          summary: 'Answer a link',
          description:
            'Gives what the step asks for, and waits for the next. What the bridge refuses is a 400 with its words, which also says whether the link goes on.',
          tag: 'Devices',
          security: 'bearerAuth',
          answers: { 200: { description: 'The link, at its next step', schema: LinkBody } },
          errors: [400, 401, 403, 404, 409, 413, 415, 502, 503, 504],
        }),
      },
    )
    .delete(
      '/:id',
      ({ holder, params }) => {
        linking.cancel(holder.identity.id, params.id)
        return { message: CANCELLED }
      },
      {
        bearer: { body: 'none' },
        params: LinkParams,
        detail: operation({
          id: 'cancelLink',
          summary: 'Cancel a link',
          tag: 'Devices',
          security: 'bearerAuth',
          answers: { 200: messageAnswer('It has ended', CANCELLED) },
          errors: [401, 403, 404, 409],
        }),
      },
    )
}
