/** /api/v1/devices/links: a login under way, what it asks for, and the answers. */
import { t } from 'elysia'
import { Link, LinkQr } from '../../../domain/views/link.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import { answers, LinkAnswer, LinkParams, QrPictureQuery } from './link-model.ts'
import { qrAnswer } from './qr-picture.ts'

const CANCELLED = 'Link cancelled'

export function linkRoutes({ linking }: Pick<HttpServices, 'linking'>) {
  return [
    bearerRoute('GET', '/api/v1/devices/links/:id', {
      id: 'getLink',
      tag: 'Devices',
      summary: 'Get a link',
      description:
        'Where a login stands and what it shows or asks for. It shows how the login ended for two minutes.',
      params: LinkParams,
      answer: answer(200, 'The link', Link),
      errors: [404],
      run: ({ identityId, params }) => linking.get(identityId, params.id),
    }),
    bearerRoute('GET', '/api/v1/devices/links/:id/qr', {
      id: 'getLinkQrCode',
      tag: 'Devices',
      summary: "Get a link's QR code",
      description:
        'The code to scan now; networks renew it about every 20 seconds. A 409 with `state` when the link shows none: it asks for something else, or has ended.',
      params: LinkParams,
      query: QrPictureQuery,
      answer: answer(200, 'The code', t.String({ format: 'binary' }), {
        contentType: 'image/png',
        also: {
          'image/svg+xml': t.String({ examples: ['<svg xmlns="http://www.w3.org/2000/svg">…</svg>'] }),
          'application/json': LinkQr,
          'text/plain': t.String({ examples: ['2@V3xk…'] }),
        },
      }),
      errors: [404, 409],
      run: ({ identityId, params, query }) =>
        qrAnswer(linking.get(identityId, params.id), query.format ?? 'png'),
    }),
    bearerRoute('POST', '/api/v1/devices/links/:id', {
      id: 'answerLink',
      tag: 'Devices',
      summary: 'Answer a link',
      description:
        'Gives what the step asks for, and waits for the next step. An answer that the bridge refuses is a 400 with its words, which also says whether the link goes on.',
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
