/** The message that another one answers: what may be answered, and its event once it is sent. */
import type { Device, Message } from '../../../db/schema/index.ts'
import { GatewayError } from '../../../domain/errors.ts'
import type { MessageStatus } from '../../../domain/states.ts'
import { rfc3339 } from '../../../lib/clock.ts'
import type { AnsweredMessage, MessageRepository } from '../message-repository.ts'

const WAITING: readonly MessageStatus[] = ['scheduled', 'queued', 'sending']
const ENDED: readonly MessageStatus[] = ['failed', 'cancelled']

/** @throws GatewayError bad_request when it can't be the id of a message */
export function checkReplyId(replyId: string): void {
  if (/^(\$|msg_)./.test(replyId)) return
  throw new GatewayError(
    'bad_request',
    'reply_id: expected the id of a message: the $… that webhooks tell, or the msg_… that a send was answered with',
  )
}

/**
 * @param sendAt when the reply goes; null: at once
 * @throws GatewayError bad_request unless the device can answer it
 */
export async function checkReply(
  repository: Pick<MessageRepository, 'hasEvent' | 'answered'>,
  device: Device,
  replyId: string,
  sendAt: number | null,
): Promise<void> {
  if (replyId.startsWith('$')) {
    if (!(await repository.hasEvent(device, replyId))) throw unknown(replyId, device)
    return
  }
  const answered = await repository.answered(device.identityId, replyId)
  if (answered?.deviceRowId !== device.id) throw unknown(replyId, device)
  if (ENDED.includes(answered.status))
    throw new GatewayError('bad_request', `reply_id: ${notThere(answered)}`)
  // It would hold up its chat until then.
  if (answered.status === 'scheduled' && answered.sendAt !== null && answered.sendAt > (sendAt ?? 0))
    throw new GatewayError(
      'bad_request',
      `reply_id: the message ${replyId} is sent at ${rfc3339(answered.sendAt)} only: give its answer a send_at that is no earlier`,
    )
}

/**
 * Finds the event that a message quotes when it is sent, as its target may itself have been queued.
 * @param sentJustNow events of messages whose sending isn't stored yet, by the messages' ids
 * @returns null when it answers nothing, `waits` as long as its target is still to be sent
 * @throws GatewayError not_found when that was never sent
 */
export async function quotedEvent(
  repository: Pick<MessageRepository, 'answered'>,
  { identityId, replyTo }: Pick<Message, 'identityId' | 'replyTo'>,
  sentJustNow: ReadonlyMap<string, string>,
): Promise<{ eventId: string | null } | 'waits'> {
  if (!replyTo?.startsWith('msg_')) return { eventId: replyTo }
  const justNow = sentJustNow.get(replyTo)
  if (justNow !== undefined) return { eventId: justNow }
  const answered = await repository.answered(identityId, replyTo)
  if (answered && WAITING.includes(answered.status)) return 'waits'
  if (!answered?.eventId || ENDED.includes(answered.status))
    throw new GatewayError('not_found', notThere(answered ?? { id: replyTo, status: 'failed' }))
  return { eventId: answered.eventId }
}

function unknown(replyId: string, { platform, deviceId }: Device): GatewayError {
  return new GatewayError(
    'bad_request',
    `reply_id: the ${platform} device ${deviceId} neither received nor sent a message ${replyId}`,
  )
}

function notThere({ id, status }: Pick<AnsweredMessage, 'id' | 'status'>): string {
  return `the message ${id} can't be answered, as its sending ${status === 'cancelled' ? 'was cancelled' : 'failed'}`
}
