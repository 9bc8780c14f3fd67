/**
 * SQL of the devices table. A change of state is written together with the event that tells of it. The methods that change states say
 * whether there is something to deliver.
 */
import { and, eq, gt, isNull, lt, max, ne, sql } from 'drizzle-orm'
import { union } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { awaitedLogins, type Device, devices, messages } from '../../db/schema/index.ts'
import type { DeviceState } from '../../domain/states.ts'
import { createEventWriter } from '../events/repository.ts'
import { deviceEvent } from './device-event.ts'
import { LONGEST_GAP_MS, receivesAfterLink, receivesAfterRelink } from './history.ts'

/** A login as its bridge tells it. */
export interface LoginSnapshot {
  loginId: string
  deviceId: string
  phone: string | null
  name: string
  state: DeviceState
  reason: string | null
}

export interface Changed {
  /** Whether there is something to deliver. */
  deliveries: boolean
}

export interface DeviceRepository {
  /** Oldest link first, those logged out and those removed included. */
  listAll(identityId: string): Promise<Device[]>
  get(id: string): Promise<Device | null>
  /** A login is about to be made: what is sent to it from `now` on is received once it is a device. */
  awaitLogin(identityId: string, platform: string, now: number): Promise<void>
  /**
   * Makes or updates the row of a login. A login that had been logged out or removed counts as linked anew; what waited when it was removed is
   * never sent.
   */
  adopt(
    identityId: string,
    platform: string,
    login: LoginSnapshot,
    newId: string,
    now: number,
  ): Promise<Changed & { device: Device }>
  /** `stateSince` stays where the state does; a removed device stays as it is. */
  setState(ids: readonly string[], state: DeviceState, reason: string | null, now: number): Promise<Changed>
  /** What waits for devices of the identity is never sent. */
  voidQueues(identityId: string, now: number): Promise<void>
  /** Takes it off the list; it is then logged out, with this reason, unless it was already. */
  remove(id: string, reason: string, now: number): Promise<Changed>
  setGhost(id: string, ghostUserId: string): Promise<void>
  /** Identities that have a device on the platform (not a removed one) or await one, in order of their ids. @param after only those behind this id */
  identitiesWith(platform: string, after: string, limit: number): Promise<string[]>
  /** Devices of the platform that are neither removed, logged out nor `disconnected`. */
  seeminglyReachable(platform: string): Promise<Pick<Device, 'id'>[]>
  /** Devices of the platform that are neither removed nor logged out. */
  linkedOn(platform: string): Promise<Pick<Device, 'id' | 'identityId' | 'loginId'>[]>
  /** Platforms that have a device (not a removed one). */
  platforms(): Promise<string[]>
}

export function createDeviceRepository(db: Db): DeviceRepository {
  const { orm, committer } = db
  const events = createEventWriter(db)
  const byIdentity = orm
    .select()
    .from(devices)
    .where(eq(devices.identityId, sql.placeholder('identityId')))
    .prepare()
  const byId = orm
    .select()
    .from(devices)
    .where(eq(devices.id, sql.placeholder('id')))
    .prepare()
  // The newest of all messages, whomever they are for: the end of an index.
  const newestMessage = orm
    .select({ seq: max(messages.seq) })
    .from(messages)
    .prepare()
  const onPlatform = (platform: string) => and(eq(devices.platform, platform), isNull(devices.removedAt))

  function tell(device: Device, now: number): boolean {
    const event = deviceEvent(device, now)
    return event !== null && (events.write(event, now)?.deliveries ?? false)
  }

  function update(id: string, change: Partial<Device>): Device {
    return orm.update(devices).set(change).where(eq(devices.id, id)).returning().get() as Device
  }

  /** Inside a transaction. @returns what is new about a login beside what its bridge tells */
  function relinked(known: Device, login: LoginSnapshot, now: number): Partial<Device> {
    if (known.state !== 'logged_out' || login.state === 'logged_out') return {}
    const { removedAt } = known
    const awaited = awaitedSince(known)
    if (removedAt === null) return { linkedAt: now, receivesFrom: receivesAfterRelink(known, now) }
    const receivesFrom = receivesAfterLink(awaited, removedAt, now)
    return { linkedAt: now, receivesFrom, removedAt: null, voidThrough: newestMessage.get()?.seq ?? null }
  }

  /** Inside a transaction. Is no longer awaited then. @returns since when a login was, null when it wasn't */
  function awaitedSince({ identityId, platform }: Pick<Device, 'identityId' | 'platform'>): number | null {
    const isIt = and(eq(awaitedLogins.identityId, identityId), eq(awaitedLogins.platform, platform))
    return orm.delete(awaitedLogins).where(isIt).returning().get()?.since ?? null
  }

  /** Runs inside a transaction. */
  function enter(known: Device, state: DeviceState, reason: string | null, now: number): boolean {
    if (known.state === state && known.stateReason === reason) return false
    const isNew = known.state !== state
    const changed = { state, stateReason: reason, updatedAt: now, ...(isNew ? { stateSince: now } : {}) }
    const device = update(known.id, changed)
    return isNew && tell(device, now)
  }

  return {
    // Ordered here: SQLite sets up its sorter even for one row, which would be the dearest part of accepting a send.
    listAll: async identityId => byIdentity.all({ identityId }).sort(oldestFirst),
    get: async id => byId.get({ id }) ?? null,

    awaitLogin: (identityId, platform, since) =>
      committer.write(() => {
        // Those that nobody went on with.
        orm
          .delete(awaitedLogins)
          .where(lt(awaitedLogins.since, since - LONGEST_GAP_MS))
          .run()
        orm
          .insert(awaitedLogins)
          .values({ identityId, platform, since })
          .onConflictDoUpdate({ target: [awaitedLogins.identityId, awaitedLogins.platform], set: { since } })
          .run()
      }),

    adopt: (identityId, platform, login, newId, now) =>
      committer.write(() => {
        const known = byIdentity
          .all({ identityId })
          .find(device => device.platform === platform && device.loginId === login.loginId)
        if (known && isAsTold(known, login)) return { device: known, deliveries: false }
        const { reason, ...columns } = login
        const told = { ...columns, stateReason: reason, updatedAt: now }
        const isNewState = !known || known.state !== login.state
        const since = isNewState ? { stateSince: now } : {}
        const device = known
          ? update(known.id, { ...told, ...since, ...relinked(known, login, now) })
          : orm
              .insert(devices)
              .values({
                id: newId,
                identityId,
                platform,
                ...told,
                stateSince: now,
                linkedAt: now,
                receivesFrom: receivesAfterLink(awaitedSince({ identityId, platform }), null, now),
                createdAt: now,
              })
              .returning()
              .get()
        return { device, deliveries: isNewState && tell(device, now) }
      }),

    setState: (ids, state, reason, now) =>
      committer.write(() => {
        let deliveries = false
        for (const id of ids) {
          const known = byId.get({ id })
          if (known && known.removedAt === null) deliveries = enter(known, state, reason, now) || deliveries
        }
        return { deliveries }
      }),

    voidQueues: (identityId, now) =>
      committer.write(() => {
        const voidThrough = newestMessage.get()?.seq ?? null
        orm
          .update(devices)
          .set({ voidThrough, updatedAt: now })
          .where(eq(devices.identityId, identityId))
          .run()
      }),

    remove: (id, reason, now) =>
      committer.write(() => {
        const known = byId.get({ id })
        if (!known || known.removedAt !== null) return { deliveries: false }
        const deliveries = known.state !== 'logged_out' && enter(known, 'logged_out', reason, now)
        update(id, { removedAt: now, updatedAt: now })
        return { deliveries }
      }),

    setGhost: (id, ghostUserId) =>
      committer.write(() => {
        orm.update(devices).set({ ghostUserId }).where(eq(devices.id, id)).run()
      }),

    identitiesWith: async (platform, after, limit) => {
      const linked = orm
        .select({ identityId: devices.identityId })
        .from(devices)
        .where(and(onPlatform(platform), gt(devices.identityId, after)))
      const awaiting = orm
        .select({ identityId: awaitedLogins.identityId })
        .from(awaitedLogins)
        .where(and(eq(awaitedLogins.platform, platform), gt(awaitedLogins.identityId, after)))
      const rows = union(linked, awaiting).orderBy(devices.identityId).limit(limit).all()
      return rows.map(row => row.identityId)
    },

    seeminglyReachable: async platform =>
      orm
        .select({ id: devices.id })
        .from(devices)
        .where(and(onPlatform(platform), ne(devices.state, 'logged_out'), ne(devices.state, 'disconnected')))
        .all(),

    linkedOn: async platform =>
      orm
        .select({ id: devices.id, identityId: devices.identityId, loginId: devices.loginId })
        .from(devices)
        .where(and(onPlatform(platform), ne(devices.state, 'logged_out')))
        .all(),

    platforms: async () =>
      orm
        .selectDistinct({ platform: devices.platform })
        .from(devices)
        .where(isNull(devices.removedAt))
        .all()
        .map(row => row.platform),
  }
}

/** Whether the row of a login says all that its bridge tells. */
export function isAsTold(device: Device, login: LoginSnapshot): boolean {
  const { state, stateReason, name, phone, deviceId } = device
  const isListed = device.removedAt === null || state === 'logged_out'
  const isSameState = state === login.state && stateReason === login.reason
  return (
    isListed && isSameState && name === login.name && phone === login.phone && deviceId === login.deviceId
  )
}

function oldestFirst(one: Device, other: Device): number {
  return one.createdAt - other.createdAt || (one.id < other.id ? -1 : 1)
}
