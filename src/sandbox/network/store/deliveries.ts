/** Tables of pending deliveries to linked accounts, and of events that their rooms have. */
import type { Database } from 'bun:sqlite'
import { platformFacts, type SandboxPlatform } from '../../platforms.ts'
import type { Chat, Delivery, Login, Origin } from '../types.ts'
import type { LoginStore } from './logins.ts'

interface DeliveryRow {
  id: number
  platform: SandboxPlatform
  login_id: string
  chat: string
  seq: number
  backfill: number
}

export function createDeliveryStore(database: Database, logins: Pick<LoginStore, 'loginOfPhone'>) {
  const sql = {
    addDelivery: database.query(
      'INSERT OR IGNORE INTO sandbox_delivery (platform, login_id, chat, seq, backfill) VALUES (?, ?, ?, ?, ?)',
    ),
    delivery: database.query<DeliveryRow, [number, string]>(
      'SELECT * FROM sandbox_delivery WHERE seq = ? AND login_id = ?',
    ),
    deliveries: database.query<DeliveryRow, [string]>(
      'SELECT * FROM sandbox_delivery WHERE platform = ? ORDER BY id',
    ),
    settleDelivery: database.query('DELETE FROM sandbox_delivery WHERE id = ?'),
    isInPortal: database.query<{ event_id: string }, [string, string, string]>(
      `SELECT e.event_id FROM sandbox_portal AS p
       JOIN sandbox_event AS e ON e.room_id = p.room_id AND e.message_id = ?
       WHERE p.login_id = ? AND p.chat = ? LIMIT 1`,
    ),
    addEvent: database.query(
      'INSERT OR IGNORE INTO sandbox_event (event_id, room_id, message_id) VALUES (?, ?, ?)',
    ),
    messageOfEvent: database.query<{ message_id: string }, [string]>(
      'SELECT message_id FROM sandbox_event WHERE event_id = ?',
    ),
    eventOfMessage: database.query<{ event_id: string }, [string, string]>(
      'SELECT event_id FROM sandbox_event WHERE message_id = ? AND room_id = ? LIMIT 1',
    ),
  }

  const api = {
    /** Adds a delivery to every linked account of the chat except the sender's. */
    addDeliveries(chat: Chat, seq: number, exceptLoginId: string | null): Delivery[] {
      const facts = platformFacts(chat.platform)
      return chat.members.flatMap(phone => {
        const login = logins.loginOfPhone(facts, phone)
        if (!login || login.id === exceptLoginId) return []
        return api.addDelivery(login, chat.id, seq, false)
      })
    },
    addDelivery(login: Login, chatId: string, seq: number, backfill: boolean): Delivery[] {
      sql.addDelivery.run(login.platform, login.id, chatId, seq, backfill ? 1 : 0)
      const row = sql.delivery.get(seq, login.id)
      return row ? [toDelivery(row)] : []
    },
    /** True if the login's room for the chat has the message. */
    isInPortal: (loginId: string, chatId: string, messageId: string): boolean =>
      sql.isInPortal.get(messageId, loginId, chatId) !== null,
    deliveries: (platform: SandboxPlatform): Delivery[] => sql.deliveries.all(platform).map(toDelivery),
    /** Records that the homeserver has the delivery's event. */
    settleDelivery(delivery: Delivery, messageId: string, roomId: string, eventId: string | null): void {
      sql.settleDelivery.run(delivery.id)
      if (eventId !== null) sql.addEvent.run(eventId, roomId, messageId)
    },
    /** @returns false when the event was already processed */
    takeEvent: (origin: Origin, messageId: string): boolean =>
      sql.addEvent.run(origin.eventId, origin.roomId, messageId).changes > 0,
    messageOfEvent: (eventId: string): string | null => sql.messageOfEvent.get(eventId)?.message_id ?? null,
    eventOfMessage: (messageId: string, roomId: string): string | null =>
      sql.eventOfMessage.get(messageId, roomId)?.event_id ?? null,
  }
  return api
}

function toDelivery(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    platform: row.platform,
    loginId: row.login_id,
    chatId: row.chat,
    seq: row.seq,
    backfill: row.backfill === 1,
  }
}
