/**
 * Ephemeral events as transactions and /sync have them: read receipts and who is typing
 * (client-server API, "Receipts" and "Typing Notifications").
 */
import { z } from 'zod'
import type { TypingNotice } from '../domain/ports.ts'
import type { ReadReceipt } from './room-event.ts'

export const ephemeralEvents = z.array(
  z.object({ type: z.string(), room_id: z.string().optional(), content: z.record(z.string(), z.unknown()) }),
)
export type EphemeralEvents = z.infer<typeof ephemeralEvents>

const receiptContent = z.record(
  z.string(),
  z.object({ 'm.read': z.record(z.string(), z.unknown()).optional() }),
)

/** @param events ephemeral ones; what isn't a receipt is left out */
export function readReceipts(events: EphemeralEvents): ReadReceipt[] {
  return events.flatMap(({ type, room_id: roomId, content }) => {
    const receipts = type === 'm.receipt' && roomId ? receiptContent.safeParse(content) : undefined
    if (!receipts?.success || !roomId) return []
    return Object.entries(receipts.data).flatMap(([eventId, kinds]) =>
      Object.keys(kinds['m.read'] ?? {}).map(userId => ({ roomId, eventId, userId })),
    )
  })
}

const typingContent = z.object({ user_ids: z.array(z.string()) })

/** @param events ephemeral ones; the other ones are left out */
export function readTyping(events: EphemeralEvents): TypingNotice[] {
  return events.flatMap(({ type, room_id: roomId, content }) => {
    const typing = type === 'm.typing' ? typingContent.safeParse(content).data : undefined
    return typing && roomId ? [{ roomId, userIds: typing.user_ids }] : []
  })
}
