/** A user's devices. */
import { z } from 'zod'
import { type Call, param, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { assertId, MAX_DEVICES_OF_USER } from '../limits.ts'
import type { DeviceRow } from '../store/users.ts'

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3devices */
export function listDevices({ core, userId }: Call): JsonObject {
  return { devices: core.users.devices(userId).map(shown) }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3devicesdeviceid */
export function getDevice(call: Call): JsonObject {
  const device = call.core.users.device(call.userId, param(call, 'deviceId'))
  if (!device) throw notFound('Unknown device')
  return shown(device)
}

const update = z.object({ display_name: z.string().max(255).optional() })

/**
 * Renames a device; an appservice creates one that doesn't exist this way (MSC4190).
 * @see https://spec.matrix.org/v1.12/client-server-api/#put_matrixclientv3devicesdeviceid
 */
export async function putDevice(call: Call): Promise<Response> {
  const { core, userId } = call
  const { display_name: name } = await readBody(call, update)
  const deviceId = param(call, 'deviceId')
  assertId('deviceId', deviceId)
  const now = core.clock.now()
  const created = await core.commit(() => {
    const known = core.users.device(userId, deviceId)
    if (!known && !call.appservice) throw notFound('Unknown device')
    if (!known) assertMayAddDevice(core, userId)
    if (!known) core.users.addDevice(userId, deviceId, name ?? null, now)
    else if (name !== undefined) core.users.renameDevice(name, userId, deviceId)
    return !known
  })
  return Response.json({}, { status: created ? 201 : 200 })
}

/**
 * Only appservices delete devices: others would need user-interactive authentication, by password.
 * @see https://spec.matrix.org/v1.12/client-server-api/#delete_matrixclientv3devicesdeviceid
 */
export async function deleteDevice(call: Call): Promise<undefined> {
  return remove(call, [param(call, 'deviceId')])
}

const deletion = z.object({ devices: z.array(z.string()).max(MAX_DEVICES_OF_USER) })

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3delete_devices */
export async function deleteDevices(call: Call): Promise<undefined> {
  return remove(call, (await readBody(call, deletion)).devices)
}

async function remove({ appservice, core, userId }: Call, deviceIds: string[]): Promise<undefined> {
  if (!appservice) throw forbidden('Devices are removed by logging out')
  await removeDevices(core, userId, deviceIds)
  await core.commit(tx => core.keys.noteChange(userId, tx.nextStreamId()))
}

/** Throws unless the user may have one more device. */
export function assertMayAddDevice(core: Core, userId: string): void {
  if ((core.users.countDevices(userId) ?? 0) >= MAX_DEVICES_OF_USER)
    throw forbidden(`The user has ${MAX_DEVICES_OF_USER} devices; log others out first`)
}

/** Removes devices with their keys and messages. Their tokens are invalid at once. */
export async function removeDevices(core: Core, userId: string, deviceIds: readonly string[]): Promise<void> {
  await core.commit(() => {
    for (const deviceId of deviceIds) core.users.logOut(userId, deviceId)
  })
  core.sessions.clear()
  for (const deviceId of deviceIds) {
    let hasMore = true
    while (hasMore) {
      hasMore = await core.commit(() => {
        core.users.deleteDevice(userId, deviceId)
        return core.keys.deleteSeen(userId, deviceId, Number.MAX_SAFE_INTEGER)
      })
    }
  }
}

function shown(device: DeviceRow): JsonObject {
  return device.display_name === null
    ? { device_id: device.device_id }
    : { device_id: device.device_id, display_name: device.display_name }
}
