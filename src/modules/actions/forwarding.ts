/** Forwards messages: what was said is sent anew, to somebody else, by the same device. */
import { GatewayError } from '../../domain/errors.ts'
import type { MessageKind } from '../../domain/states.ts'
import type { AcceptedMessage } from '../../domain/views/message.ts'
import type { SendContent } from '../../domain/views/message-content.ts'
import { splitList } from '../../domain/written-recipients.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { MediaFiles, StagedFile } from '../media/media.ts'
import type { Messages } from '../sending/sending.ts'
import type { MessageRef } from './actions.ts'
import { refuseGone, type Target, type Targets } from './targets.ts'

/** One of them. */
export interface ForwardTo {
  contact?: string | undefined
  groupUrl?: string | undefined
  chatId?: string | undefined
}

export interface ForwardingOptions {
  targets: Pick<Targets, 'get'>
  devices: Pick<LinkedDevices, 'get'>
  media: Pick<MediaFiles, 'get' | 'fetchIncoming' | 'pathOf' | 'stage'>
  messages: Pick<Messages, 'accept'>
}

const TEXTS: readonly MessageKind[] = ['text', 'emote', 'notice']

export type Forwarding = ReturnType<typeof createForwarding>

export function createForwarding({ targets, devices, media, messages }: ForwardingOptions) {
  /**
   * A file of its own: each message's file goes when that message does. One that is still to be
   * fetched is fetched for the new message as well.
   */
  async function fileOf({
    identityId,
    mediaId,
  }: Target): Promise<{ files?: StagedFile[]; fileUrl?: string }> {
    if (mediaId === null) return {}
    const { sourceUrl } = await media.get(mediaId)
    if (sourceUrl !== null) return { fileUrl: sourceUrl }
    const { fileName, mimeType } = await media.fetchIncoming(mediaId)
    const stream = Bun.file(media.pathOf(mediaId)).stream()
    return { files: [await media.stage({ identityId, fileName, mimeType, stream })] }
  }

  return {
    /**
     * @param to one recipient
     * @param record keeps the answer
     * @throws GatewayError bad_request, not_found (the message, or its file), conflict,
     * unprocessable (nothing of it can be forwarded), and as a send
     */
    async forward(
      { identityId, messageId }: MessageRef,
      to: ForwardTo,
      record?: Recorder<AcceptedMessage>,
    ): Promise<AcceptedMessage> {
      checkOne(to)
      const target = await targets.get(identityId, messageId)
      refuseGone(target)
      const content = contentOf(target)
      const device = await devices.get(target.deviceRowId)
      if (!device || device.removedAt !== null)
        throw new GatewayError('conflict', `the device of the message ${messageId} was deleted`)
      const { deviceId, platform } = device
      const file = await fileOf(target)
      const [accepted] = await messages.accept({
        ...to,
        identityId,
        deviceId,
        platform,
        content,
        ...file,
        text: content?.location ? undefined : target.text,
        record: record && ((tx, [entry]) => (entry ? record(tx, entry) : Promise.resolve())),
      })
      if (accepted) return accepted
      throw new Error('a message that is forwarded has one recipient')
    },
  }
}

/** @throws GatewayError bad_request */
function checkOne({ contact, groupUrl, chatId }: ForwardTo): void {
  const given = [contact, groupUrl].flatMap(list => splitList(list ?? '')).concat(chatId ?? [])
  if (given.length === 1) return
  throw new GatewayError('bad_request', 'expected one recipient, as contact, group_url or chat_id')
}

/** @throws GatewayError unprocessable when nothing of it can be sent anew */
function contentOf({ kind, text, mediaId, location, sent }: Target): SendContent | undefined {
  if (location) return { location: { latitude: location.latitude, longitude: location.longitude } }
  const format = sent?.content?.format
  if (mediaId !== null || (TEXTS.includes(kind) && text !== '')) return format ? { format } : undefined
  throw new GatewayError('unprocessable', `a message of the kind ${kind} can't be forwarded`)
}
