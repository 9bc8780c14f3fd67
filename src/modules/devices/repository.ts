/** SQL of the devices table. */
import { and, eq, ne, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Device, devices } from '../../db/schema/index.ts'
import type { DeviceState } from '../../domain/states.ts'

/** A login as its bridge tells it. */
export interface LoginSnapshot {
  loginId: string
  deviceId: string
  phone: string | null
  name: string
  state: DeviceState
  reason: string | null
}

export interface DeviceRepository {
  /** Oldest link first, those logged out included. */
  listAll(identityId: string): Promise<Device[]>
  get(id: string): Promise<Device | null>
  /** Makes or updates the row of a login. A login that had been logged out counts as linked anew. */
  upsert(
    identityId: string,
    platform: string,
    login: LoginSnapshot,
    newId: string,
    now: number,
  ): Promise<Device>
  setState(id: string, state: DeviceState, reason: string | null, now: number): Promise<void>
  setGhost(id: string, ghostUserId: string): Promise<void>
  /** Identities that have a linked device on the platform. */
  identitiesWith(platform: string): Promise<string[]>
}

export function createDeviceRepository(db: Db): DeviceRepository {
  const { orm, committer } = db
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

  return {
    // Ordered here: SQLite sets up its sorter even for one row, which would be the dearest part of accepting a send.
    listAll: async identityId => byIdentity.all({ identityId }).sort(oldestFirst),
    get: async id => byId.get({ id }) ?? null,

    upsert: (identityId, platform, login, newId, now) =>
      committer.write(() => {
        const known = byIdentity
          .all({ identityId })
          .find(device => device.platform === platform && device.loginId === login.loginId)
        const { loginId, deviceId, phone, name, state, reason } = login
        if (!known) {
          const times = { stateSince: now, linkedAt: now, createdAt: now, updatedAt: now }
          const row = {
            id: newId,
            identityId,
            platform,
            loginId,
            deviceId,
            phone,
            name,
            state,
            stateReason: reason,
          }
          return orm
            .insert(devices)
            .values({ ...row, ...times })
            .returning()
            .get()
        }
        const changed = known.state !== state || known.stateReason !== reason
        if (!changed && known.name === name && known.phone === phone && known.deviceId === deviceId)
          return known
        const relinked = known.state === 'logged_out' && state !== 'logged_out'
        return orm
          .update(devices)
          .set({
            deviceId,
            phone,
            name,
            state,
            stateReason: reason,
            updatedAt: now,
            ...(known.state === state ? {} : { stateSince: now }),
            ...(relinked ? { linkedAt: now } : {}),
          })
          .where(eq(devices.id, known.id))
          .returning()
          .get()
      }),

    setState: (id, state, reason, now) =>
      committer.write(() => {
        orm
          .update(devices)
          .set({ state, stateReason: reason, stateSince: now, updatedAt: now })
          .where(and(eq(devices.id, id), ne(devices.state, state)))
          .run()
      }),

    setGhost: (id, ghostUserId) =>
      committer.write(() => {
        orm.update(devices).set({ ghostUserId }).where(eq(devices.id, id)).run()
      }),

    identitiesWith: async platform =>
      orm
        .selectDistinct({ identityId: devices.identityId })
        .from(devices)
        .where(and(eq(devices.platform, platform), ne(devices.state, 'logged_out')))
        .all()
        .map(row => row.identityId),
  }
}

function oldestFirst(one: Device, other: Device): number {
  return one.createdAt - other.createdAt || (one.id < other.id ? -1 : 1)
}
