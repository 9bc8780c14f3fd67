/** SQL of the attached bridges, and of where bridges and the homeserver come to. */
import { and, asc, count, eq, gte, inArray, isNull, ne, or } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { equal, rowsBy } from '../../db/row-statements.ts'
import {
  type BridgeRow,
  bridges,
  chats,
  devices,
  ghostPhones,
  resolvedRecipients,
  settings,
} from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { Visitor } from '../../domain/signals.ts'
import { replaceSetting, settingOf } from '../tenants/settings-repository.ts'

/** The listener for clients, or the one for bridges and homeservers. */
export type Listener = 'main' | 'bridges'

/** The setting that holds how this machine last reached the listener for bridges. */
const LAST_URL = 'bridge_listener'

const all = statement(orm => orm.select().from(bridges).orderBy(asc(bridges.platform)))
const byPlatform = rowsBy(bridges, 'platform')
const concernsBridge = or(
  ne(devices.state, 'logged_out'),
  isNull(bridges.createdAt),
  gte(devices.linkedAt, bridges.createdAt),
)
const statesOn = statement(orm =>
  orm
    .select({ state: devices.state, count: count() })
    .from(devices)
    .leftJoin(bridges, eq(bridges.platform, devices.platform))
    .where(and(equal(devices, 'platform'), isNull(devices.removedAt), concernsBridge))
    .groupBy(devices.state),
)
const encryptedOn = statement(orm =>
  orm
    .select({ count: count() })
    .from(chats)
    .where(and(equal(chats, 'platform'), eq(chats.encrypted, true), ne(chats.membership, 'left'))),
)

async function forgetRooms(tx: Tx, platform: string): Promise<void> {
  for (const table of [resolvedRecipients, ghostPhones])
    await tx.run(orm => {
      const onPlatform = orm.select({ id: devices.id }).from(devices).where(eq(devices.platform, platform))
      return orm.delete(table).where(inArray(table.deviceRowId, onPlatform))
    })
}

export type AttachedBridgeRepository = ReturnType<typeof createAttachedBridgeRepository>

export function createAttachedBridgeRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /** By platform. */
    list: () => db.read(reader => reader.all(all)),

    find: async (platform: string): Promise<BridgeRow | null> =>
      (await db.read(reader => reader.get(byPlatform, { platform }))) ?? null,

    /**
     * Adds a platform's first bridge, or one that takes the sandbox's place: rooms that another one
     * made are forgotten.
     */
    insert: (row: BridgeRow) =>
      db.write(async tx => {
        await tx.run(orm => orm.insert(bridges).values(row))
        await forgetRooms(tx, row.platform)
      }),

    replace: (row: BridgeRow) =>
      db.write(tx => tx.run(orm => orm.update(bridges).set(row).where(eq(bridges.platform, row.platform)))),

    /**
     * Counts the platform's devices by state, without those that were deleted, or lost before the
     * bridge was attached, which the sandbox or another bridge had.
     */
    async deviceStates(platform: string): Promise<ReadonlyMap<string, number>> {
      const rows = await db.read(reader => reader.all(statesOn, { platform }))
      return new Map(rows.map(row => [row.state, row.count]))
    },

    /** Counts the platform's chats that are end-to-end encrypted. */
    async encryptedChats(platform: string): Promise<number> {
      return (await db.read(reader => reader.get(encryptedOn, { platform })))?.count ?? 0
    },

    /** Removes the row; where the platform's chats were is forgotten. */
    remove: (platform: string) =>
      db.write(async tx => {
        const setting = arrivalSetting({ platform })
        await tx.run(orm => orm.delete(bridges).where(eq(bridges.platform, platform)))
        await tx.run(orm => orm.delete(settings).where(eq(settings.name, setting)))
        await forgetRooms(tx, platform)
      }),
  }
}

/** The name under which a visitor stands in the settings. */
export function arrivalSetting(visitor: Visitor): string {
  return visitor === 'homeserver' ? 'arrived_homeserver' : `arrived_bridge:${visitor.platform}`
}

/**
 * Where bridges and the homeserver came to last. Versions before this one only had PORT, and we
 * can't change every configuration. The next version serves nobody there.
 */
export function createArrivals(db: Pick<Db, 'read' | 'write'>) {
  const stored = (name: string) => db.read(reader => settingOf(reader, name))
  const replace = (name: string, value: string) => db.write(tx => replaceSetting(tx, name, value))
  return {
    /** @returns null: the visitor hasn't come yet */
    async find(visitor: Visitor): Promise<Listener | null> {
      const value = await stored(arrivalSetting(visitor))
      return value === 'main' || value === 'bridges' ? value : null
    },
    note: (visitor: Visitor, listener: Listener) => replace(arrivalSetting(visitor), listener),
    /** How this machine last reached the listener for bridges; null: it was never open. */
    lastUrl: () => stored(LAST_URL),
    noteUrl: (url: string) => replace(LAST_URL, url),
  }
}
