/** SQL of the settings: facts about this installation, by name. */
import { eq } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { settings } from '../../db/schema/index.ts'

export interface SettingsRepository {
  find(name: string): Promise<string | null>
  /** Leaves a value that is there as it is. */
  insert(name: string, value: string): Promise<void>
  replace(name: string, value: string): Promise<void>
}

export function createSettingsRepository(db: Db): SettingsRepository {
  return {
    find: async name =>
      db.orm.select().from(settings).where(eq(settings.name, name)).limit(1).get()?.value ?? null,
    insert: (name, value) =>
      db.committer.write(() => {
        db.orm.insert(settings).values({ name, value }).onConflictDoNothing().run()
      }),
    replace: (name, value) =>
      db.committer.write(() => {
        db.orm
          .insert(settings)
          .values({ name, value })
          .onConflictDoUpdate({ target: settings.name, set: { value } })
          .run()
      }),
  }
}
