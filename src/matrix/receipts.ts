/** Read receipts (client-server API, "Receipts") as transactions and /sync have them. */
import { z } from 'zod'
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
