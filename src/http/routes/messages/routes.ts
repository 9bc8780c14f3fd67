/** Sending through a device, and what became of it. */

import type { AcceptedMessage } from '../../../domain/views/message.ts'
import { Message } from '../../../domain/views/message.ts'
import type { SendContent } from '../../../domain/views/message-content.ts'
import { noSuchDevice } from '../../../modules/devices/refusals.ts'
import { fileOfCard } from '../../../modules/sending/content/request.ts'
import { noteRequest } from '../../request-notes.ts'
import { answer, bearerRoute } from '../../route.ts'
import { pageSize } from '../../schemas.ts'
import type { Uploading } from '../../server.ts'
import type { HttpServices } from '../../services.ts'
import { uploadSink } from '../../uploads/upload.ts'
import {
  MessageList,
  MessagePage,
  MessagePath,
  MessageQueued,
  SendMessage,
  SendMessageForm,
  SendPath,
} from './model.ts'
import { contentOf } from './send-body.ts'
import { readSendOnce } from './send-once.ts'

export interface MessageRoutesOptions {
  services: Pick<HttpServices, 'devices' | 'messages' | 'media'>
  uploading: Uploading
}

export function messageRoutes({ services, uploading }: MessageRoutesOptions) {
  const { devices, messages, media } = services
  const refuseUnknownDevice = async (identityId: string, deviceId: string) => {
    if (!(await devices.find(identityId, deviceId, null)))
      throw await noSuchDevice(devices, identityId, deviceId, null)
  }

  async function stageCard(identityId: string, card: NonNullable<SendContent['contact_card']>) {
    const { content, ...file } = fileOfCard(card)
    return media.stage({ ...file, identityId, stream: new Blob([content]).stream() })
  }

  return [
    bearerRoute('POST', '/api/v1/devices/:device_id/message', {
      id: 'sendMessage',
      tag: 'Messages',
      summary: 'Send a message',
      description:
        'To `contact`, `group_url` or `chat_id`: a text, files, a location, a poll or a contact card. Each recipient gets a message with an id of its own, and each file is one. The answer comes once they are on disk.',
      params: SendPath,
      // The hot path: the body is read here, by its type, and nothing is validated twice.
      reads: { 'application/json': SendMessage, 'multipart/form-data': SendMessageForm },
      answer: answer(200, 'A message for each recipient', MessageQueued),
      errors: [404],
      run: async ({ request, params: { device_id: deviceId }, identityId, recorder }) => {
        const sink = uploadSink(request, identityId, { media, uploading })
        const { fields, files, replay } = await readSendOnce(request, sink, () =>
          refuseUnknownDevice(identityId, deviceId),
        )
        if (replay) return replay
        const accepted = await messages.accept({
          identityId,
          deviceId,
          platform: fields.platform,
          contact: fields.contact,
          groupUrl: fields.group_url,
          chatId: fields.chat_id,
          text: fields.text,
          content: contentOf(fields),
          metadata: fields.metadata,
          replyId: fields.reply_id,
          sendAt: fields.send_at,
          expiresInS: fields.expires_in,
          files: fields.contact_card ? [await stageCard(identityId, fields.contact_card)] : files,
          fileUrl: fields.file_url,
          record: recorder(queued),
        })
        noteRequest(request, { messages: accepted.map(({ id }) => id) })
        return queued(accepted)
      },
    }),
    bearerRoute('GET', '/api/v1/messages', {
      id: 'listMessages',
      tag: 'Messages',
      summary: 'List messages sent',
      query: MessagePage,
      answer: answer(200, 'Newest first', MessageList),
      errors: [404],
      run: ({ identityId, query }) => messages.list(identityId, pageSize(query.limit), query.before),
    }),
    bearerRoute('GET', '/api/v1/messages/:id', {
      id: 'getMessage',
      tag: 'Messages',
      summary: 'Get a message sent',
      params: MessagePath,
      answer: answer(200, 'Where it stands', Message),
      errors: [404],
      run: ({ identityId, params }) => messages.get(identityId, params.id),
    }),
    bearerRoute('DELETE', '/api/v1/messages/:id', {
      id: 'cancelMessage',
      tag: 'Messages',
      summary: 'Cancel a message',
      description:
        'Takes back a message that is `queued`. One that is being sent, or has been, is a 409 that names its status.',
      params: MessagePath,
      answer: answer(200, 'As it is now: `cancelled`', Message),
      errors: [404, 409],
      run: ({ identityId, params }) => messages.cancel(identityId, params.id),
    }),
  ]
}

function queued(messages: AcceptedMessage[]) {
  return { message: 'Message queued successfully', messages }
}
