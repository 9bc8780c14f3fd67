/** Tables of linked accounts, of deliveries that wait for them, and of events their rooms have. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'
import { type PlatformFacts, platformFacts } from '../../platforms.ts'
import type { Chat, Delivery, Login } from '../types.ts'

const LOGINS = 'SELECT platform, id, phone, user_id AS userId, linked_at AS linkedAt FROM sandbox_login'
const DELIVERIES =
  'SELECT id, platform, login_id AS loginId, chat AS chatId, seq, backfill AS isBackfill FROM sandbox_delivery'

export function createLoginStore(database: Database) {
  const { one, value, has, all, run } = statementsOf(database)
  const login = one<Login, [platform: string, loginId: string]>(`${LOGINS} WHERE platform = ? AND id = ?`)
  const putLogin = run<[Login]>(
    `INSERT INTO sandbox_login (platform, id, phone, user_id, linked_at) VALUES ($platform, $id, $phone, $userId, $linkedAt)
     ON CONFLICT (platform, id) DO UPDATE SET user_id = excluded.user_id, linked_at = excluded.linked_at`,
  )
  const dropForeignPortals = run<[Login]>(
    'DELETE FROM sandbox_portal WHERE platform = $platform AND login_id = $id AND user_id <> $userId',
  )
  const dropLogin = run<[string, string]>('DELETE FROM sandbox_login WHERE platform = ? AND id = ?')
  const dropDeliveries = run<[string, string]>(
    'DELETE FROM sandbox_delivery WHERE platform = ? AND login_id = ?',
  )
  const add = run<[string, string, string, number, boolean]>(
    'INSERT OR IGNORE INTO sandbox_delivery (platform, login_id, chat, seq, backfill) VALUES (?, ?, ?, ?, ?)',
  )
  const delivery = one<Delivery, [number, string]>(`${DELIVERIES} WHERE seq = ? AND login_id = ?`)
  const settle = run<[number]>('DELETE FROM sandbox_delivery WHERE id = ?')

  const api = {
    login,
    /** Login of a phone: a platform links an account at most once. */
    loginOfPhone: (facts: PlatformFacts, phone: string) => login(facts.platform, facts.accountId(phone)),
    loginsOn: all<Login, [platform: string]>(`${LOGINS} WHERE platform = ? ORDER BY linked_at, id`),
    loginsOfUser: all<Login, [platform: string, userId: string]>(
      `${LOGINS} WHERE platform = ? AND user_id = ? ORDER BY linked_at, id`,
    ),
    /** Links an account; drops rooms that another user had for it. */
    putLogin(login: Login): void {
      putLogin(login)
      dropForeignPortals(login)
    },
    /** Removes a login and its pending deliveries. @returns true if there was one */
    dropLogin(platform: string, loginId: string): boolean {
      dropDeliveries(platform, loginId)
      return dropLogin(platform, loginId) > 0
    },
    /** Adds a delivery to every linked account of the chat except the sender's. */
    addDeliveries(chat: Chat, seq: number, exceptLoginId: string | undefined): Delivery[] {
      const facts = platformFacts(chat.platform)
      return chat.members.flatMap(phone => {
        const login = api.loginOfPhone(facts, phone)
        if (!login || login.id === exceptLoginId) return []
        return api.addDelivery(login, chat.id, seq, false)
      })
    },
    /** @param isBackfill true for a message from before the linking */
    addDelivery(login: Login, chatId: string, seq: number, isBackfill: boolean): Delivery[] {
      add(login.platform, login.id, chatId, seq, isBackfill)
      return [delivery(seq, login.id) ?? []].flat()
    },
    /** True if the login's room for the chat has the message. */
    isInPortal: has<[messageId: string, loginId: string, chatId: string]>(
      `SELECT 1 FROM sandbox_portal AS p
       JOIN sandbox_event AS e ON e.room_id = p.room_id AND e.message_id = ?
       WHERE p.login_id = ? AND p.chat = ? LIMIT 1`,
    ),
    deliveries: all<Delivery, [platform: string]>(`${DELIVERIES} WHERE platform = ? ORDER BY id`),
    /** Records that the homeserver has the delivery's event. */
    settleDelivery(delivery: Delivery, messageId: string, roomId: string, eventId: string | null): void {
      settle(delivery.id)
      if (eventId !== null) api.takeEvent({ eventId, roomId, messageId })
    },
    takeEvent: run<[{ eventId: string; roomId: string; messageId: string }]>(
      'INSERT OR IGNORE INTO sandbox_event (event_id, room_id, message_id) VALUES ($eventId, $roomId, $messageId)',
    ),
    /** Position of the oldest message that a room has. */
    firstInRoom: value<number | null, [roomId: string]>(
      'SELECT min(m.seq) FROM sandbox_event AS e JOIN sandbox_message AS m ON m.id = e.message_id WHERE e.room_id = ?',
    ),
    messageOfEvent: value<string, [eventId: string]>(
      'SELECT message_id FROM sandbox_event WHERE event_id = ?',
    ),
    eventOfMessage: value<string, [messageId: string, roomId: string]>(
      'SELECT event_id FROM sandbox_event WHERE message_id = ? AND room_id = ? LIMIT 1',
    ),
  }
  return api
}
