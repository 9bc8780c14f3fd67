/** SQL of the bridges table. */
import { and, asc, count, eq, gte, inArray, isNull, ne, or } from 'drizzle-orm'
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
  encryptedChats(platform: string): number
  /** Removes the row; where the platform's chats were is forgotten. */
  remove(platform: string): Promise<void>
}

export function createAttachedBridgeRepository({ orm, committer }: Db): AttachedBridgeRepository {
  const all = orm.select().from(bridges).orderBy(asc(bridges.platform)).prepare()

  const concernsBridge = or(
    ne(devices.state, 'logged_out'),
    isNull(bridges.createdAt),
    gte(devices.linkedAt, bridges.createdAt),
  )

  function forgetRooms(platform: string): void {
    const ofPlatform = orm.select({ id: devices.id }).from(devices).where(eq(devices.platform, platform))
    orm.delete(resolvedRecipients).where(inArray(resolvedRecipients.deviceRowId, ofPlatform)).run()
    orm.delete(ghostPhones).where(inArray(ghostPhones.deviceRowId, ofPlatform)).run()
  }

  return {
    list: async () => all.all(),
    find: async platform =>
      orm.select().from(bridges).where(eq(bridges.platform, platform)).limit(1).get() ?? null,

    insert: row =>
      committer.write(() => {
        orm.insert(bridges).values(row).run()
        forgetRooms(row.platform)
      }),

    replace: row =>
      committer.write(() => {
        orm.update(bridges).set(row).where(eq(bridges.platform, row.platform)).run()
      }),

    deviceStates: async platform =>
      new Map(
        orm
          .select({ state: devices.state, count: count() })
          .from(devices)
          .leftJoin(bridges, eq(bridges.platform, devices.platform))
          .where(and(eq(devices.platform, platform), isNull(devices.removedAt), concernsBridge))
          .groupBy(devices.state)
          .all()
          .map(row => [row.state, row.count]),
      ),

    encryptedChats: platform =>
      orm
        .select({ count: count() })
        .from(chats)
        .where(and(eq(chats.platform, platform), eq(chats.encrypted, true), ne(chats.membership, 'left')))
        .get()?.count ?? 0,

    remove: platform =>
      committer.write(() => {
        orm.delete(bridges).where(eq(bridges.platform, platform)).run()
        orm
          .delete(settings)
          .where(eq(settings.name, arrivalSetting({ platform })))
          .run()
        forgetRooms(platform)
      }),
  }
}
