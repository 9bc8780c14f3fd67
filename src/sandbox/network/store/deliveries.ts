/** Tables of pending deliveries to linked accounts, and of events that their rooms have. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'
import { platformFacts } from '../../platforms.ts'
import type { Chat, Delivery, Login, Origin } from '../types.ts'
import type { LoginStore } from './logins.ts'

const SELECT = 'SELECT id, platform, login_id AS loginId, chat AS chatId, seq FROM sandbox_delivery'

export function createDeliveryStore(database: Database, logins: Pick<LoginStore, 'loginOfPhone'>) {
  const { one, all, run } = statementsOf(database)
  const add = run<[string, string, string, number, number]>(
    'INSERT OR IGNORE INTO sandbox_delivery (platform, login_id, chat, seq, backfill) VALUES (?, ?, ?, ?, ?)',
  )
  const delivery = one<Delivery, [number, string]>(`${SELECT} WHERE seq = ? AND login_id = ?`)
  const settle = run<[number]>('DELETE FROM sandbox_delivery WHERE id = ?')
  const eventInPortal = one<{ event_id: string }, [string, string, string]>(
    `SELECT e.event_id FROM sandbox_portal AS p
     JOIN sandbox_event AS e ON e.room_id = p.room_id AND e.message_id = ?
     WHERE p.login_id = ? AND p.chat = ? LIMIT 1`,
  )
  const addEvent = run<[string, string, string]>(
    'INSERT OR IGNORE INTO sandbox_event (event_id, room_id, message_id) VALUES (?, ?, ?)',
  )
  const messageOfEvent = one<{ message_id: string }, [string]>(
    'SELECT message_id FROM sandbox_event WHERE event_id = ?',
  )
  const eventOfMessage = one<{ event_id: string }, [string, string]>(
    'SELECT event_id FROM sandbox_event WHERE message_id = ? AND room_id = ? LIMIT 1',
  )

  const api = {
    /** Adds a delivery to every linked account of the chat except the sender's. */
    addDeliveries(chat: Chat, seq: number, exceptLoginId: string | undefined): Delivery[] {
      const facts = platformFacts(chat.platform)
      return chat.members.flatMap(phone => {
        const login = logins.loginOfPhone(facts, phone)
        if (!login || login.id === exceptLoginId) return []
        return api.addDelivery(login, chat.id, seq, false)
      })
    },
    /** @param isBackfill true for a message from before the linking */
    addDelivery(login: Login, chatId: string, seq: number, isBackfill: boolean): Delivery[] {
      add(login.platform, login.id, chatId, seq, isBackfill ? 1 : 0)
      const added = delivery(seq, login.id)
      return added ? [added] : []
    },
    /** True if the login's room for the chat has the message. */
    isInPortal: (loginId: string, chatId: string, messageId: string): boolean =>
      eventInPortal(messageId, loginId, chatId) !== undefined,
    deliveries: all<Delivery, [platform: string]>(`${SELECT} WHERE platform = ? ORDER BY id`),
    /** Records that the homeserver has the delivery's event. */
    settleDelivery(delivery: Delivery, messageId: string, roomId: string, eventId: string | null): void {
      settle(delivery.id)
      if (eventId !== null) addEvent(eventId, roomId, messageId)
    },
    takeEvent: (origin: Origin, messageId: string) => addEvent(origin.eventId, origin.roomId, messageId),
    messageOfEvent: (eventId: string) => messageOfEvent(eventId)?.message_id,
    eventOfMessage: (messageId: string, roomId: string) => eventOfMessage(messageId, roomId)?.event_id,
  }
  return api
}
