/**
 * First messages of a restricted device wait until it may start chats again. Whoever writes to it
 * meanwhile has started one: what waits for them can go.
 */
import type { Hears } from '../../../domain/signals.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Logger } from '../../../lib/logger.ts'
import { contactKey } from '../../../lib/phone-numbers.ts'
import { type ChatRepository, isChatOf } from '../../chats/chat-repository.ts'
import type { LinkedDevices } from '../../devices/devices.ts'
import { restrictedUntil } from '../../devices/restriction.ts'
import type { Recipients } from '../recipients.ts'
import type { OutboxQueue } from './queue-repository.ts'

export function releaseFirstMessages(options: {
  chats: Pick<ChatRepository, 'get'>
  devices: Pick<LinkedDevices, 'linked'>
  recipients: Pick<Recipients, 'keyOf'>
  queue: Pick<OutboxQueue, 'hurry'>
  signals: Hears<'joined'>
  clock: Clock
  logger: Logger
}): void {
  const { chats, devices, recipients, queue, signals, clock, logger } = options

  async function release(identityId: string, roomId: string): Promise<void> {
    const restricted = (await devices.linked(identityId)).filter(
      device => restrictedUntil(device, clock.now()) !== null,
    )
    if (restricted.length === 0) return
    const chat = await chats.get(identityId, roomId)
    if (!chat?.peer) return
    for (const device of restricted.filter(one => isChatOf(one, chat))) {
      const keys = [await recipients.keyOf(device, 'contact', chat.peer), `contact:${contactKey(chat.peer)}`]
      for (const key of keys) await queue.hurry(`${device.id}/${key}`, clock.now())
    }
  }

  signals.on('joined', (identityId, roomId) => {
    release(identityId, roomId).catch(error =>
      logger.error({ room: roomId, err: error }, 'what waits for a chat could not be released; it waits on'),
    )
  })
}
