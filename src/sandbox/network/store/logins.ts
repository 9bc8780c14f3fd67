/** Table of accounts linked to a user of the homeserver. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'
import type { PlatformFacts } from '../../platforms.ts'
import type { Login } from '../types.ts'

const SELECT = 'SELECT platform, id, phone, user_id AS userId, linked_at AS linkedAt FROM sandbox_login'

export type LoginStore = ReturnType<typeof createLoginStore>

export function createLoginStore(database: Database) {
  const { one, all, run } = statementsOf(database)
  const login = one<Login, [platform: string, loginId: string]>(`${SELECT} WHERE platform = ? AND id = ?`)
  const putLogin = run<[string, string, string, string, number]>(
    `INSERT INTO sandbox_login (platform, id, phone, user_id, linked_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (platform, id) DO UPDATE SET user_id = excluded.user_id, linked_at = excluded.linked_at`,
  )
  const dropForeignPortals = run<[string, string, string]>(
    'DELETE FROM sandbox_portal WHERE platform = ? AND login_id = ? AND user_id <> ?',
  )
  const dropLogin = run<[string, string]>('DELETE FROM sandbox_login WHERE platform = ? AND id = ?')
  const dropDeliveries = run<[string, string]>(
    'DELETE FROM sandbox_delivery WHERE platform = ? AND login_id = ?',
  )
  return {
    login,
    /** Login of a phone: a platform links an account at most once. */
    loginOfPhone: (facts: PlatformFacts, phone: string) => login(facts.platform, facts.accountId(phone)),
    loginsOn: all<Login, [platform: string]>(`${SELECT} WHERE platform = ? ORDER BY linked_at, id`),
    loginsOfUser: all<Login, [platform: string, userId: string]>(
      `${SELECT} WHERE platform = ? AND user_id = ? ORDER BY linked_at, id`,
    ),
    /** Links an account; drops rooms that another user had for it. */
    putLogin({ platform, id, phone, userId, linkedAt }: Login): void {
      putLogin(platform, id, phone, userId, linkedAt)
      dropForeignPortals(platform, id, userId)
    },
    /** Removes a login and its pending deliveries. @returns true if there was one */
    dropLogin(platform: string, loginId: string): boolean {
      dropDeliveries(platform, loginId)
      return dropLogin(platform, loginId) > 0
    },
  }
}
