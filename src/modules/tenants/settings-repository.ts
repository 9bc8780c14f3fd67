/** SQL of the settings: facts about this installation, by name. */
import type { Db } from '../../db/open.ts'
import { putRow, rowsBy } from '../../db/row-statements.ts'
import { settings } from '../../db/schema/index.ts'
import type { Reader, Tx } from '../../db/transaction.ts'

const byName = rowsBy(settings, 'name')
const put = putRow(settings, ['name'], ['value'])

/** @returns null when there is none of that name */
export async function settingOf(reader: Reader, name: string): Promise<string | null> {
  return (await reader.get(byName, { name }))?.value ?? null
}

export function replaceSetting(tx: Tx, name: string, value: string): Promise<void> {
  return tx.run(put, { name, value })
}

export type SettingsRepository = ReturnType<typeof createSettingsRepository>

export function createSettingsRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    find: (name: string) => db.read(reader => settingOf(reader, name)),

    /** Leaves a value that is there as it is. */
    insert: (name: string, value: string) =>
      db.write(tx => tx.run(orm => orm.insert(settings).values({ name, value }).onConflictDoNothing())),

    replace: (name: string, value: string) => db.write(tx => replaceSetting(tx, name, value)),
  }
}
