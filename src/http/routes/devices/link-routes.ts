/** /api/v1/devices/links: a login under way, what it asks for, and the answers. */
import { Link } from '../../../domain/views/link.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import { answers, LinkAnswer, LinkParams } from './link-model.ts'

const CANCELLED = 'Link cancelled'

export function linkRoutes({ linking }: Pick<HttpServices, 'linking'>) {
  return [
    bearerRoute('GET', '/api/v1/devices/links/:id', {
      id: 'getLink',
      tag: 'Devices',
      summary: 'Get a link',
      description:
        'Where a login stands and what it shows or asks for. How it ended can be seen for two minutes.',
      params: LinkParams,
      answer: answer(200, 'The link', Link),
      errors: [404],
      run: ({ identityId, params }) => linking.get(identityId, params.id),
    }),
    bearerRoute('POST', '/api/v1/devices/links/:id', {
      id: 'answerLink',
      tag: 'Devices',
      summary: 'Answer a link',
      description:
        'Gives what the step asks for, and waits for the next. What the bridge refuses is a 400 with its words, which also says whether the link goes on.',
      params: LinkParams,
      body: LinkAnswer,
      answer: answer(200, 'The link, at its next step', Link),
      errors: [404, 502, 504],
      run: ({ identityId, params, body }) => linking.answer(identityId, params.id, answers.read(body.inputs)),
    }),
    bearerRoute('DELETE', '/api/v1/devices/links/:id', {
      id: 'cancelLink',
      tag: 'Devices',
      summary: 'Cancel a link',
      params: LinkParams,
      answer: messageAnswer('It has ended', CANCELLED),
      errors: [404, 409],
      run: ({ identityId, params }) => {
        linking.cancel(identityId, params.id)
        return { message: CANCELLED }
      },
    }),
  ]
}
