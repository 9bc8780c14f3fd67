/** SQL of the bridges table. */
import { and, asc, count, eq, gte, inArray, isNull, ne, or, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
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
import { arrivalSetting } from './arrivals-repository.ts'

export interface AttachedBridgeRepository {
  /** By platform. */
  list(): Promise<BridgeRow[]>
  find(platform: string): Promise<BridgeRow | null>
  /** A platform's first bridge, or one that takes the place of the sandbox's: rooms that another one made are forgotten. */
  insert(row: BridgeRow): Promise<void>
  replace(row: BridgeRow): Promise<void>
  /**
   * How many devices of the platform are in each state. Those that were deleted are none, nor are
   * those lost before the bridge was attached, which the sandbox or another bridge had.
   */
  deviceStates(platform: string): Promise<ReadonlyMap<string, number>>
  /** How many of the platform's chats are end-to-end encrypted. */
  encryptedChats(platform: string): Promise<number>
  /** Removes the row; where the platform's chats were is forgotten. */
  remove(platform: string): Promise<void>
}

const all = statement(orm => orm.select().from(bridges).orderBy(asc(bridges.platform)))
const byPlatform = statement(orm =>
  orm
    .select()
    .from(bridges)
    .where(eq(bridges.platform, sql.placeholder('platform')))
    .limit(1),
)
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
    .where(and(eq(devices.platform, sql.placeholder('platform')), isNull(devices.removedAt), concernsBridge))
    .groupBy(devices.state),
)
const encryptedOn = statement(orm =>
  orm
    .select({ count: count() })
    .from(chats)
    .where(
      and(
        eq(chats.platform, sql.placeholder('platform')),
        eq(chats.encrypted, true),
        ne(chats.membership, 'left'),
      ),
    ),
)

async function forgetRooms(tx: Tx, platform: string): Promise<void> {
  for (const table of [resolvedRecipients, ghostPhones])
    await tx.run(orm => {
      const onPlatform = orm.select({ id: devices.id }).from(devices).where(eq(devices.platform, platform))
      return orm.delete(table).where(inArray(table.deviceRowId, onPlatform))
    })
}

export function createAttachedBridgeRepository(db: Pick<Db, 'read' | 'write'>): AttachedBridgeRepository {
  return {
    list: () => db.read(reader => reader.all(all)),
    find: async platform => (await db.read(reader => reader.get(byPlatform, { platform }))) ?? null,

    insert: row =>
      db.write(async tx => {
        await tx.run(orm => orm.insert(bridges).values(row))
        await forgetRooms(tx, row.platform)
      }),

    replace: row =>
      db.write(tx => tx.run(orm => orm.update(bridges).set(row).where(eq(bridges.platform, row.platform)))),

    async deviceStates(platform) {
      const rows = await db.read(reader => reader.all(statesOn, { platform }))
      return new Map(rows.map(row => [row.state, row.count]))
    },

    async encryptedChats(platform) {
      return (await db.read(reader => reader.get(encryptedOn, { platform })))?.count ?? 0
    },

    remove: platform =>
      db.write(async tx => {
        const setting = arrivalSetting({ platform })
        await tx.run(orm => orm.delete(bridges).where(eq(bridges.platform, platform)))
        await tx.run(orm => orm.delete(settings).where(eq(settings.name, setting)))
        await forgetRooms(tx, platform)
      }),
  }
}
