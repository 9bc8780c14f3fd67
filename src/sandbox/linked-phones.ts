/** Which phones of the sandbox are linked, told and forgotten without a sandbox that runs. */
import type { Database } from 'bun:sqlite'

export interface LinkedPhone {
  platform: string
  phone: string
}

export function linkedPhones(database: Database): LinkedPhone[] {
  return database
    .query<LinkedPhone, []>('SELECT platform, phone FROM sandbox_login ORDER BY platform, phone')
    .all()
}

export interface LinkedLogin {
  loginId: string
  userId: string
}

export function linkedLogins(database: Database, platform: string): LinkedLogin[] {
  return database
    .query<LinkedLogin, [string]>(
      'SELECT id AS loginId, user_id AS userId FROM sandbox_login WHERE platform = ? ORDER BY id',
    )
    .all(platform)
}

/**
 * Unlinks the phones of a platform and drops everything that waits for them. It writes with the
 * transaction of its caller, `removeSimulatedDevices`.
 */
export function forgetLinkedPhones(database: Database, platform: string): void {
  database.query('DELETE FROM sandbox_delivery WHERE platform = ?').run(platform)
  database.query('DELETE FROM sandbox_login WHERE platform = ?').run(platform)
}
