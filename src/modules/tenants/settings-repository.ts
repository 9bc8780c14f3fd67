/** SQL of the settings: facts about this installation, by name. */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { settings } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'

export interface SettingsRepository {
  find(name: string): Promise<string | null>
  /** Leaves a value that is there as it is. */
  insert(name: string, value: string): Promise<void>
  replace(name: string, value: string): Promise<void>
}

const byName = statement(orm =>
  orm
    .select()
    .from(settings)
    .where(eq(settings.name, sql.placeholder('name')))
    .limit(1),
)

/** @returns null when there is none of that name */
export async function settingOf(reader: Reader, name: string): Promise<string | null> {
  return (await reader.get(byName, { name }))?.value ?? null
}

export function replaceSetting(tx: Tx, name: string, value: string): Promise<void> {
  return tx.run(orm =>
    orm
      .insert(settings)
      .values({ name, value })
      .onConflictDoUpdate({ target: settings.name, set: { value } }),
  )
}

export function createSettingsRepository(db: Pick<Db, 'read' | 'write'>): SettingsRepository {
  return {
    find: name => db.read(reader => settingOf(reader, name)),
    insert: (name, value) =>
      db.write(tx => tx.run(orm => orm.insert(settings).values({ name, value }).onConflictDoNothing())),
    replace: (name, value) => db.write(tx => replaceSetting(tx, name, value)),
  }
}
