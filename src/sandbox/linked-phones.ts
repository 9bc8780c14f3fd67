/** Which phones of the sandbox are linked, told without a sandbox that runs. */
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
