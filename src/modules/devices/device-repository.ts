/** SQL of the devices table. A change of state is written together with its event. */
import { and, eq, gt, isNull, lt, max, ne, sql } from 'drizzle-orm'
import { union } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { equal, putRow, rowsBy } from '../../db/row-statements.ts'
import { awaitedLogins, type Device, devices, messages } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { DeviceState } from '../../domain/states.ts'
import { writeEvent } from '../events/event-repository.ts'
import { deviceEvent, stateEvent } from './device-state.ts'
import { LONGEST_GAP_MS, receivesAfterLink, receivesAfterRelink } from './history.ts'
import { restrictedUntil } from './restriction.ts'

/** A login as its bridge reports it. */
export interface LoginSnapshot {
  loginId: string
  deviceId: string
  phone: string | null
  name: string
  state: DeviceState
  reason: string | null
  /** As a row has it; absent where the bridge doesn't say. */
  restrictedUntil?: number | null
}

const param = sql.placeholder
const byIdentity = rowsBy(devices, 'identityId')
const byId = rowsBy(devices, 'id')
// The newest of all messages, whomever they are for: the end of an index.
const newestMessage = statement(orm => orm.select({ seq: max(messages.seq) }).from(messages))
const isOnPlatform = and(equal(devices, 'platform'), isNull(devices.removedAt))
const isLinkedOn = and(isOnPlatform, ne(devices.state, 'logged_out'))
const withDeviceOrAwaited = statement(orm =>
  union(
    orm
      .select({ identityId: devices.identityId })
      .from(devices)
      .where(and(isOnPlatform, gt(devices.identityId, param('after')))),
    orm
      .select({ identityId: awaitedLogins.identityId })
      .from(awaitedLogins)
      .where(and(equal(awaitedLogins, 'platform'), gt(awaitedLogins.identityId, param('after')))),
  )
    .orderBy(devices.identityId)
    .limit(param('limit')),
)
const putAwaited = putRow(awaitedLogins, ['identityId', 'platform'], ['since'])
const reachable = statement(orm =>
  orm
    .select({ id: devices.id })
    .from(devices)
    .where(and(isLinkedOn, ne(devices.state, 'disconnected'))),
)
const linked = statement(orm =>
  orm
    .select({ id: devices.id, identityId: devices.identityId, loginId: devices.loginId })
    .from(devices)
    .where(isLinkedOn),
)
const platforms = statement(orm =>
  orm.selectDistinct({ platform: devices.platform }).from(devices).where(isNull(devices.removedAt)),
)

export type DeviceRepository = ReturnType<typeof createDeviceRepository>

export function createDeviceRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /** Oldest link first, those logged out and those removed included. */
    async listAll(identityId: string): Promise<Device[]> {
      const found = await db.read(reader => reader.all(byIdentity, { identityId }))
      // Ordered here: SQLite sets up its sorter even for one row, which would be the dearest part
      // of accepting a send.
      return found.sort(oldestFirst)
    },

    get: async (id: string): Promise<Device | null> =>
      (await db.read(reader => reader.get(byId, { id }))) ?? null,

    /** A login is about to be made: once it is a device, it receives what was sent since. */
    awaitLogin: (identityId: string, platform: string, since: number) =>
      db.write(async tx => {
        // Those that nobody went on with.
        const isForgotten = lt(awaitedLogins.since, since - LONGEST_GAP_MS)
        await tx.run(orm => orm.delete(awaitedLogins).where(isForgotten))
        await tx.run(putAwaited, { identityId, platform, since })
      }),

    /**
     * Makes or updates the row of a login. A login that had been logged out or removed counts as
     * linked anew; messages that waited when it was removed are never sent.
     */
    adopt: (identityId: string, platform: string, login: LoginSnapshot, newId: string, now: number) =>
      db.write(async tx => {
        const known = (await tx.all(byIdentity, { identityId })).find(
          device => device.platform === platform && device.loginId === login.loginId,
        )
        if (known && isAsReported(known, login)) return known
        const { reason: stateReason, ...columns } = login
        return known
          ? update(tx, known, { ...columns, stateReason, ...(await relinked(tx, known, login, now)) }, now)
          : insert(tx, { id: newId, identityId, platform, ...columns, stateReason }, now)
      }),

    /** `stateSince` stays where the state does; a removed device stays as it is. */
    setState: (ids: readonly string[], state: DeviceState, reason: string | null, now: number) =>
      db.write(async tx => {
        for (const id of ids) {
          const known = await tx.get(byId, { id })
          const isKnownSo = known?.state === state && known.stateReason === reason
          if (known && known.removedAt === null && !isKnownSo)
            await update(tx, known, { state, stateReason: reason }, now)
        }
      }),

    /** Messages that wait for devices of the identity are never sent. */
    discardQueues: (identityId: string, now: number) =>
      db.write(async tx => {
        const discardedThrough = await newestSeq(tx)
        const ofIdentity = eq(devices.identityId, identityId)
        await tx.run(orm => orm.update(devices).set({ discardedThrough, updatedAt: now }).where(ofIdentity))
        tx.emit('queues-discarded')
      }),

    /** Takes it off the list; it is then logged out, with this reason, unless it was already. */
    remove: (id: string, reason: string, now: number) =>
      db.write(async tx => {
        const known = await tx.get(byId, { id })
        if (!known || known.removedAt !== null) return
        const lost =
          known.state === 'logged_out' ? {} : ({ state: 'logged_out', stateReason: reason } as const)
        await update(tx, known, { ...lost, removedAt: now }, now)
        tx.emit('queues-discarded')
      }),

    /**
     * @param name null: the network's again
     * @param record keeps an answer in the same transaction
     */
    rename: (
      id: string,
      name: string | null,
      now: number,
      record: (tx: Tx, device: Device) => Promise<void> | undefined,
    ) =>
      db.write(async tx => {
        const change = { ownName: name, updatedAt: now }
        const isIt = and(eq(devices.id, id), isNull(devices.removedAt))
        const device = await tx.get(orm => orm.update(devices).set(change).where(isIt).returning())
        if (device) await record(tx, device)
        return device ?? null
      }),

    setGhost: (id: string, ghostUserId: string) =>
      db.write(tx => tx.run(orm => orm.update(devices).set({ ghostUserId }).where(eq(devices.id, id)))),

    /**
     * Identities that have a device on the platform (not a removed one) or await one, in order of
     * their ids.
     * @param after only those behind this id
     */
    async identitiesWith(platform: string, after: string, limit: number): Promise<string[]> {
      const rows = await db.read(reader => reader.all(withDeviceOrAwaited, { platform, after, limit }))
      return rows.map(row => row.identityId)
    },

    /** Ids of the platform's devices that are neither removed, logged out nor `disconnected`. */
    seeminglyReachable: (platform: string) => db.read(reader => reader.all(reachable, { platform })),

    /** Devices of the platform that are neither removed nor logged out. */
    linkedOn: (platform: string) => db.read(reader => reader.all(linked, { platform })),

    /** Platforms that have a device (not a removed one). */
    platforms: async () => (await db.read(reader => reader.all(platforms))).map(row => row.platform),
  }
}

async function writeStateEvent(tx: Tx, device: Device, now: number): Promise<void> {
  const event = stateEvent(device, now)
  if (event) await writeEvent(tx, event, now)
}

/** A restriction whose time has come makes no event: the time was known. */
async function writeRestrictionEvent(
  tx: Tx,
  before: number | null,
  device: Device,
  now: number,
): Promise<void> {
  if (restrictedUntil(device, now) === before) return
  await writeEvent(tx, deviceEvent('device.restricted', device, now), now)
}

/** A new state counts from now on, and is an event; so is another restriction. */
async function update(tx: Tx, known: Device, change: Partial<Device>, now: number): Promise<Device> {
  const isNewState = change.state !== undefined && change.state !== known.state
  const values = { ...change, updatedAt: now, ...(isNewState ? { stateSince: now } : {}) }
  const isIt = eq(devices.id, known.id)
  const device = (await tx.get(orm => orm.update(devices).set(values).where(isIt).returning())) as Device
  if (isNewState) await writeStateEvent(tx, device, now)
  await writeRestrictionEvent(tx, restrictedUntil(known, now), device, now)
  return device
}

type FirstSeen = 'stateSince' | 'linkedAt' | 'receivesFrom' | 'createdAt' | 'updatedAt'

async function insert(
  tx: Tx,
  login: Omit<typeof devices.$inferInsert, FirstSeen>,
  now: number,
): Promise<Device> {
  const receivesFrom = receivesAfterLink(await awaitedSince(tx, login), null, now)
  const row = { ...login, receivesFrom, stateSince: now, linkedAt: now, createdAt: now, updatedAt: now }
  const device = (await tx.get(orm => orm.insert(devices).values(row).returning())) as Device
  await writeStateEvent(tx, device, now)
  await writeRestrictionEvent(tx, null, device, now)
  return device
}

/** @returns what is new about a login beside what its bridge reports */
async function relinked(tx: Tx, known: Device, login: LoginSnapshot, now: number): Promise<Partial<Device>> {
  if (known.state !== 'logged_out' || login.state === 'logged_out') return {}
  const { removedAt } = known
  const awaited = await awaitedSince(tx, known)
  if (removedAt === null) return { linkedAt: now, receivesFrom: receivesAfterRelink(known, now) }
  const receivesFrom = receivesAfterLink(awaited, removedAt, now)
  return { linkedAt: now, receivesFrom, removedAt: null, discardedThrough: await newestSeq(tx) }
}

/** Is no longer awaited then. @returns since when a login was, null when it wasn't */
async function awaitedSince(
  tx: Tx,
  { identityId, platform }: Pick<Device, 'identityId' | 'platform'>,
): Promise<number | null> {
  const isIt = and(eq(awaitedLogins.identityId, identityId), eq(awaitedLogins.platform, platform))
  return (await tx.get(orm => orm.delete(awaitedLogins).where(isIt).returning()))?.since ?? null
}

async function newestSeq(tx: Tx): Promise<number | null> {
  return (await tx.get(newestMessage))?.seq ?? null
}

/** True when the row of a login says all that its bridge reports. */
export function isAsReported(device: Device, login: LoginSnapshot): boolean {
  const { state, stateReason, name, phone, deviceId } = device
  const isSameRestriction =
    login.restrictedUntil === undefined || login.restrictedUntil === device.restrictedUntil
  const isListed = device.removedAt === null || state === 'logged_out'
  const isSameState = state === login.state && stateReason === login.reason
  return (
    isListed &&
    isSameState &&
    isSameRestriction &&
    name === login.name &&
    phone === login.phone &&
    deviceId === login.deviceId
  )
}

function oldestFirst(one: Device, other: Device): number {
  return one.createdAt - other.createdAt || (one.id < other.id ? -1 : 1)
}
