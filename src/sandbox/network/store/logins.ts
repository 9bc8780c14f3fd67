/** Table of accounts linked to a user of the homeserver. */
import type { Database } from 'bun:sqlite'
import type { PlatformFacts, SandboxPlatform } from '../../platforms.ts'
import type { Login } from '../types.ts'

interface LoginRow {
  platform: SandboxPlatform
  id: string
  phone: string
  user_id: string
  linked_at: number
}

export type LoginStore = ReturnType<typeof createLoginStore>

export function createLoginStore(database: Database) {
  const sql = {
    login: database.query<LoginRow, [string, string]>(
      'SELECT * FROM sandbox_login WHERE platform = ? AND id = ?',
    ),
    logins: database.query<LoginRow, []>('SELECT * FROM sandbox_login ORDER BY linked_at, id'),
    loginsOfUser: database.query<LoginRow, [string, string]>(
      'SELECT * FROM sandbox_login WHERE platform = ? AND user_id = ? ORDER BY linked_at, id',
    ),
    putLogin: database.query(
      `INSERT INTO sandbox_login (platform, id, phone, user_id, linked_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (platform, id) DO UPDATE SET user_id = excluded.user_id, linked_at = excluded.linked_at`,
    ),
    dropLogin: database.query('DELETE FROM sandbox_login WHERE platform = ? AND id = ?'),
    dropDeliveries: database.query('DELETE FROM sandbox_delivery WHERE platform = ? AND login_id = ?'),
    dropForeignPortals: database.query(
      'DELETE FROM sandbox_portal WHERE platform = ? AND login_id = ? AND user_id <> ?',
    ),
  }

  const api = {
    login(platform: SandboxPlatform, loginId: string): Login | null {
      const row = sql.login.get(platform, loginId)
      return row && toLogin(row)
    },
    /** Login of a phone: a platform links an account at most once. */
    loginOfPhone: (facts: PlatformFacts, phone: string): Login | null =>
      api.login(facts.platform, facts.accountId(phone)),
    logins: (): Login[] => sql.logins.all().map(toLogin),
    loginsOfUser: (platform: SandboxPlatform, userId: string): Login[] =>
      sql.loginsOfUser.all(platform, userId).map(toLogin),
    /** Links an account; drops rooms that another user had for it. */
    putLogin(login: Login): void {
      sql.putLogin.run(login.platform, login.id, login.phone, login.userId, login.linkedAt)
      sql.dropForeignPortals.run(login.platform, login.id, login.userId)
    },
    /** Removes a login and its pending deliveries. @returns true if there was one */
    dropLogin(platform: SandboxPlatform, loginId: string): boolean {
      sql.dropDeliveries.run(platform, loginId)
      return sql.dropLogin.run(platform, loginId).changes > 0
    },
  }
  return api
}

function toLogin(row: LoginRow): Login {
  return {
    platform: row.platform,
    id: row.id,
    phone: row.phone,
    userId: row.user_id,
    linkedAt: row.linked_at,
  }
}
