/** SQL of chats that the account has read itself, at the phone or elsewhere, and of that event. */
import { rowsBy } from '../../db/row-statements.ts'
import { chats, devices } from '../../db/schema/index.ts'
import { sqlStatement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { isChatOf } from '../chats/chat-repository.ts'
import { ownEvent, writeEvent } from '../events/event-repository.ts'
import { markRead } from '../history/activity-repository.ts'
import type { SaidEvent } from '../history/history-repository.ts'
import type { ReadReport } from '../sending/statuses/report-repository.ts'

const oneChat = rowsBy(chats, 'identityId', 'roomId')
const devicesOf = rowsBy(devices, 'identityId', 'platform')
const identitiesReading = sqlStatement<{ identityId: string }>(`
  SELECT DISTINCT chats.identity_id AS identityId FROM chats JOIN devices ON devices.identity_id = chats.identity_id
  WHERE chats.room_id = $roomId AND devices.ghost_user_id = $userId`)

/** @returns the identities whose account it is that has read, by its own ghost */
export async function ownReadsOf(tx: Tx, { roomId, eventId, userId }: ReadReport): Promise<SaidEvent[]> {
  const found = await tx.all(identitiesReading, { roomId, userId })
  return found.map(({ identityId }) => ({ identityId, roomId, eventId }))
}

/** Notes what is unread now, and tells it unless it was known. */
export async function writeOwnRead(tx: Tx, read: SaidEvent, now: number): Promise<void> {
  const unread = await markRead(tx, read)
  const { identityId, roomId, eventId } = read
  const chat = unread === null ? undefined : await tx.get(oneChat, { identityId, roomId })
  if (unread === null || !chat?.platform) return
  const { platform, kind, name } = chat
  const device = (await tx.all(devicesOf, { identityId, platform })).find(one => isChatOf(one, chat))
  if (!device) return
  const payload = {
    event: 'chat.read' as const,
    timestamp: rfc3339(now),
    device_id: device.deviceId,
    platform,
    chat_id: chat.id,
    chat: { id: roomId, kind, name },
    up_to: eventId,
    unread_count: unread,
  }
  const event = ownEvent({ identityId, lane: roomId, deviceRowId: device.id, payload })
  await writeEvent(tx, { ...event, roomId }, now)
}
