/** Sending through a device, and what became of it. */
import { Elysia } from 'elysia'
import { GatewayError } from '../../../domain/errors.ts'
import type { AcceptedMessage } from '../../../modules/messages/types.ts'
import { MAX_UPLOAD_BYTES_HELD, roomOf } from '../../in-flight.ts'
import { listResponse } from '../../large-answers.ts'
import { jsonContent, operation, plain } from '../../openapi/operation.ts'
import { bearerAuth } from '../../plugins/auth.ts'
import { recorderOf } from '../../plugins/idempotency.ts'
import { noteRequest } from '../../request-notes.ts'
import { pageSize } from '../../schemas.ts'
import type { Uploading } from '../../server.ts'
import type { HttpServices } from '../../services.ts'
import {
  Message,
  MessageList,
  MessagePage,
  MessagePath,
  MessageQueued,
  SendMessage,
  SendMessageForm,
} from './model.ts'
import type { MultipartSink } from './multipart.ts'
import { readSendOnce } from './send-once.ts'

export interface MessageRoutesOptions {
  services: Pick<HttpServices, 'tokens' | 'devices' | 'messages' | 'media'>
  uploading: Uploading
}

export function messageRoutes({ services, uploading }: MessageRoutesOptions) {
  const { tokens, devices, messages, media } = services
  const refuseUnknownDevice = async (identityId: string, deviceId: string) => {
    if (await devices.find(identityId, deviceId, null)) return
    throw new GatewayError('not_found', `There is no device ${deviceId}`)
  }

  return (
    new Elysia({ name: 'messages', prefix: '/api/v1' })
      .use(bearerAuth(tokens))
      // The hot path: the body is read here, by its type, and nothing is validated twice.
      .post(
        '/devices/:device_id/message',
        async ({ request, params, holder }) => {
          const identityId = holder.identity.id
          const deviceId = params.device_id
          const sink: MultipartSink = {
            stage: upload => media.stage({ ...upload, identityId }),
            discard: media.discard,
            receiving(receivedBytes, fieldBytes) {
              // The file is on its way to the disk; the fields stay.
              roomOf(request).hold(Math.min(receivedBytes, MAX_UPLOAD_BYTES_HELD) + fieldBytes)
              uploading(request, receivedBytes)
            },
          }
          const { fields, file, replay } = await readSendOnce(request, sink, () =>
            refuseUnknownDevice(identityId, deviceId),
          )
          if (replay) return replay
          const accepted = await messages.accept({
            identityId,
            deviceId,
            platform: fields.platform,
            contact: fields.contact,
            groupUrl: fields.group_url,
            text: fields.text,
            replyId: fields.reply_id,
            expiresInS: fields.expires_in,
            file,
            record: recorderOf(request, taken => ({ status: 200, body: answer(taken) })),
          })
          noteRequest(request, { messages: accepted.map(({ id }) => id) })
          return answer(accepted)
        },
        {
          bearer: { body: 'own' },
          parse: 'none',
          detail: {
            ...operation({
              id: 'sendMessage',
              summary: 'Send a message',
              description:
                'At least one of `contact` and `group_url`, and at least one of `text` and a file. Each recipient becomes a message with an id of its own. It is answered once they are on disk.',
              tag: 'Messages',
              security: 'bearerAuth',
              answers: { 200: { description: 'A message for each recipient', schema: MessageQueued } },
              errors: [400, 401, 403, 404, 409, 413, 415, 429, 503, 507],
            }),
            parameters: [
              {
                name: 'device_id',
                in: 'path',
                required: true,
                description: 'Phone digits, +E.164 or login id of the device.',
                schema: { type: 'string' },
                example: '237123456789',
              },
            ],
            requestBody: {
              required: true,
              content: {
                ...jsonContent(SendMessage),
                'multipart/form-data': { schema: plain(SendMessageForm) },
              },
            },
          },
        },
      )
      .get(
        '/messages',
        async ({ request, holder, query }) => {
          const { id } = holder.identity
          return listResponse(request, id, await messages.list(id, pageSize(query.limit), query.before))
        },
        {
          bearer: { body: 'none' },
          query: MessagePage,
          detail: operation({
            id: 'listMessages',
            summary: 'List messages sent',
            tag: 'Messages',
            security: 'bearerAuth',
            answers: { 200: { description: 'Newest first', schema: MessageList } },
            errors: [400, 401, 403, 404],
          }),
        },
      )
      .get('/messages/:id', ({ holder, params }) => messages.get(holder.identity.id, params.id), {
        bearer: { body: 'none' },
        params: MessagePath,
        detail: operation({
          id: 'getMessage',
          summary: 'Get a message sent',
          tag: 'Messages',
          security: 'bearerAuth',
          answers: { 200: { description: 'Where it stands', schema: Message } },
          errors: [401, 403, 404],
        }),
      })
      .delete('/messages/:id', ({ holder, params }) => messages.cancel(holder.identity.id, params.id), {
        bearer: { body: 'none' },
        params: MessagePath,
        detail: operation({
          id: 'cancelMessage',
          summary: 'Cancel a message',
          description:
            'Takes back a message that is `queued`. One that is being sent, or has been, is a 409 that names its status.',
          tag: 'Messages',
          security: 'bearerAuth',
          answers: { 200: { description: 'As it is now: `cancelled`', schema: Message } },
          errors: [401, 403, 404, 409],
        }),
      })
  )
}

function answer(messages: AcceptedMessage[]) {
  return { message: 'Message queued successfully', messages }
}
