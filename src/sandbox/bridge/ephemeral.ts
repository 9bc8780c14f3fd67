/**
 * Carries what users read and type, both ways. Reads are kept: they come as deliveries. Typing is
 * told once, to rooms that exist.
 */
import { z } from 'zod'
import type { Chat, Message } from '../network/types.ts'
import { type BridgeContext, ghostUserId, isBridgeUser } from './context.ts'
import type { Portal, Portals } from './portals.ts'

const TYPING_MS = 15_000

const receiptSchema = z.object({
  type: z.literal('m.receipt'),
  room_id: z.string(),
  content: z.record(z.string(), z.record(z.string(), z.unknown())),
})
const readersSchema = z.record(z.string(), z.object({ ts: z.number().catch(0).default(0) }))
const typingSchema = z.object({
  type: z.literal('m.typing'),
  room_id: z.string(),
  content: z.object({ user_ids: z.array(z.string()) }),
})

interface Receipt {
  roomId: string
  eventId: string
  userId: string
  at: number
}

export type Ephemeral = ReturnType<typeof createEphemeral>

export function createEphemeral(context: BridgeContext, portals: Portals) {
  const { committer, facts, homeserver, logger, network } = context
  const { store } = network
  /** Users that type, by room. */
  const typists = new Map<string, readonly string[]>()

  function chatOf(portal: Portal, userId: string): { chat: Chat; phone: string } | null {
    const login = store.login(facts.platform, portal.loginId)
    const chat = store.chat(portal.chatId)
    return login && chat && login.userId === userId ? { chat, phone: login.phone } : null
  }

  /** The message of a receipt's event; that before it, where the network doesn't have it. */
  function lastRead({ eventId, at }: Receipt, phone: string, chat: Chat): Message | undefined {
    const exact = store.message(store.messageOfEvent(eventId) ?? '')
    return exact ?? store.lastMessages(phone, chat.id, 20).findLast(({ sentAt }) => sentAt <= at)
  }

  async function read(receipts: readonly Receipt[]): Promise<void> {
    const known: { receipt: Receipt; portal: Portal }[] = []
    for (const receipt of receipts) {
      const portal = await portals.ofRoom(receipt.roomId)
      if (portal) known.push({ receipt, portal })
    }
    if (known.length === 0) return
    const posted = await committer.write(() =>
      known.flatMap(({ receipt, portal }) => {
        const { chat, phone } = chatOf(portal, receipt.userId) ?? {}
        const upTo = chat && phone ? lastRead(receipt, phone, chat) : undefined
        if (!chat || !phone || !upTo) return []
        return network.readInTransaction(chat, phone, upTo, portal.loginId) ?? []
      }),
    )
    network.announce(posted)
  }

  async function type(roomId: string, userIds: readonly string[]): Promise<void> {
    const portal = await portals.ofRoom(roomId)
    if (!portal) return
    const before = typists.get(roomId) ?? []
    const now = userIds.filter(userId => !isBridgeUser(context, userId))
    if (now.length > 0) typists.set(roomId, now)
    else typists.delete(roomId)
    for (const userId of new Set([...before, ...now])) {
      if (before.includes(userId) === now.includes(userId)) continue
      const { chat, phone } = chatOf(portal, userId) ?? {}
      if (chat && phone) network.type(chat, phone, now.includes(userId))
    }
  }

  return {
    /** Takes the ephemeral events of a transaction, which may name anything. */
    async receive(events: readonly unknown[]): Promise<void> {
      const receipts = events.flatMap(event => {
        const parsed = receiptSchema.safeParse(event)
        return parsed.success ? receiptsIn(parsed.data) : []
      })
      await read(receipts.filter(({ userId }) => !isBridgeUser(context, userId)))
      for (const event of events) {
        const { data } = typingSchema.safeParse(event)
        if (data) await type(data.room_id, data.content.user_ids)
      }
    },

    /** Tells the rooms of others that a phone types, or has stopped. */
    async tell(chat: Chat, phone: string, isTyping: boolean): Promise<void> {
      const ghost = ghostUserId(context, phone, chat)
      for (const member of chat.members) {
        const login = member === phone ? undefined : store.loginOfPhone(facts, member)
        const portal = login && portals.find(login.id, chat.id)
        if (!portal) continue
        await homeserver.setTyping(portal.roomId, ghost, isTyping ? TYPING_MS : 0).catch(error => {
          logger.debug({ err: error }, 'a room could not be told who types')
        })
      }
    },
  }
}

function receiptsIn({ room_id: roomId, content }: z.infer<typeof receiptSchema>): Receipt[] {
  return Object.entries(content).flatMap(([eventId, byType]) => {
    const readers = readersSchema.safeParse(byType['m.read'] ?? {})
    if (!readers.success) return []
    return Object.entries(readers.data).map(([userId, { ts: at }]) => ({ roomId, eventId, userId, at }))
  })
}
