/** What the doctor reads from the database. */
import { max } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { credentials, devices, tokens } from '../../db/schema/index.ts'

export interface DoctorRepository {
  /** The newest instant of the tables that are small; null when they are empty. */
  newestInstant(): Promise<number | null>
}

export function createDoctorRepository({ orm }: Db): DoctorRepository {
  return {
    newestInstant: async () => {
      const instants = [
        orm
          .select({ at: max(credentials.updatedAt) })
          .from(credentials)
          .get()?.at,
        orm
          .select({ at: max(tokens.updatedAt) })
          .from(tokens)
          .get()?.at,
        orm
          .select({ at: max(tokens.lastUsedAt) })
          .from(tokens)
          .get()?.at,
        orm
          .select({ at: max(devices.updatedAt) })
          .from(devices)
          .get()?.at,
      ].filter(at => typeof at === 'number')
      return instants.length > 0 ? Math.max(...instants) : null
    },
  }
}
