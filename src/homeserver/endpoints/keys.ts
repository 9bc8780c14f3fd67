/** End-to-end encryption: publishing, querying and claiming keys. The server only keeps and hands out what clients sign. */
import { z } from 'zod'
import { readBody, readObject } from '../body.ts'
import type { Call } from '../call.ts'
import type { Core } from '../core.ts'
import { invalidParam, MatrixError } from '../errors.ts'
import { isObject, type JsonObject, parseStored } from '../json.ts'

const jsonObject = z.custom<JsonObject>(isObject, 'must be an object')

function ownDevice({ requester }: Call): string {
  if (requester.deviceId === undefined) throw invalidParam('Keys belong to a device; name one with device_id')
  return requester.deviceId
}

const uploadBody = z.object({
  device_keys: jsonObject.optional(),
  one_time_keys: jsonObject.optional(),
  fallback_keys: jsonObject.optional(),
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysupload */
export async function uploadKeys(call: Call): Promise<JsonObject> {
  const { core, requester } = call
  const body = await readBody(call.request, uploadBody)
  const deviceId = ownDevice(call)
  const { userId } = requester
  if (body.device_keys && (body.device_keys.user_id !== userId || body.device_keys.device_id !== deviceId))
    throw invalidParam('device_keys must be of this very device')
  const counts = await core.commit(tx => {
    for (const [id, key] of Object.entries(body.one_time_keys ?? {})) {
      const [algorithm, keyId] = splitKeyId(id)
      const text = JSON.stringify(key)
      const known = core.keys.oneTimeKey(userId, deviceId, algorithm, keyId)
      if (known === text) continue
      if (known !== undefined) throw new MatrixError(400, 'M_UNKNOWN', `One-time key ${id} exists already`)
      tx.wrote = true
      core.keys.addOneTimeKey(userId, deviceId, algorithm, keyId, text)
    }
    for (const [id, key] of Object.entries(body.fallback_keys ?? {})) {
      const [algorithm, keyId] = splitKeyId(id)
      tx.wrote = true
      core.keys.putFallback(userId, deviceId, algorithm, keyId, JSON.stringify(key))
    }
    if (body.device_keys) {
      core.keys.putDeviceKeys(userId, deviceId, JSON.stringify(body.device_keys))
      const changed = tx.nextStreamId()
      core.keys.noteChange(userId, changed)
      tx.wakes.add(userId)
    }
    return core.keys.counts(userId, deviceId)
  })
  return { one_time_key_counts: { signed_curve25519: 0, ...counts } }
}

function splitKeyId(id: string): [string, string] {
  const colon = id.indexOf(':')
  if (colon < 1) throw invalidParam(`Not a key id: ${id}`)
  return [id.slice(0, colon), id.slice(colon + 1)]
}

const queryBody = z.object({ device_keys: z.record(z.string(), z.array(z.string())) })

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysquery */
export async function queryKeys(call: Call): Promise<JsonObject> {
  const { core, requester } = call
  const body = await readBody(call.request, queryBody)
  const answer: JsonObject = { failures: {}, device_keys: {} }
  const usages: Record<string, JsonObject> = { master: {}, self_signing: {}, user_signing: {} }
  const deviceKeys: JsonObject = {}
  for (const [userId, wanted] of Object.entries(body.device_keys)) {
    deviceKeys[userId] = keysOf(core, userId, wanted)
    for (const [usage, key] of Object.entries(core.keys.crossSigning(userId))) {
      const section = usages[usage]
      if (section && (usage !== 'user_signing' || userId === requester.userId))
        section[userId] = parseStored(key)
    }
  }
  answer.device_keys = deviceKeys
  for (const [usage, section] of Object.entries(usages)) answer[`${usage}_keys`] = section
  return answer
}

function keysOf(core: Core, userId: string, wanted: string[]): JsonObject {
  const devices: JsonObject = {}
  for (const row of core.keys.deviceKeys(userId)) {
    if (wanted.length > 0 && !wanted.includes(row.device_id)) continue
    const keys = parseStored(row.keys)
    if (row.display_name !== null) keys.unsigned = { device_display_name: row.display_name }
    devices[row.device_id] = keys
  }
  return devices
}

const claimBody = z.object({ one_time_keys: z.record(z.string(), z.record(z.string(), z.string())) })

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysclaim */
export async function claimKeys({ core, request }: Call): Promise<JsonObject> {
  const body = await readBody(request, claimBody)
  const claimed = await core.commit(tx => {
    tx.wrote = true
    const users: JsonObject = {}
    for (const [userId, devices] of Object.entries(body.one_time_keys)) {
      const ofUser: JsonObject = {}
      for (const [deviceId, algorithm] of Object.entries(devices)) {
        const key = core.keys.claim(userId, deviceId, algorithm)
        if (key) ofUser[deviceId] = { [`${key.algorithm}:${key.key_id}`]: JSON.parse(key.key) }
      }
      if (Object.keys(ofUser).length > 0) users[userId] = ofUser
    }
    return users
  })
  return { one_time_keys: claimed, failures: {} }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3keyschanges */
export function keyChanges({ core, requester, query }: Call): JsonObject {
  const position = (name: string) => Number(/^[st](\d+)/.exec(query.get(name) ?? '')?.[1] ?? Number.NaN)
  const from = position('from')
  const to = position('to')
  if (Number.isNaN(from) || Number.isNaN(to)) throw invalidParam('from and to must be tokens of this server')
  const changed = core.keys
    .changes(from, to)
    .filter(other => other === requester.userId || core.users.shareRoom(requester.userId, other))
  return { changed, left: [] }
}

const crossSigningBody = z.object({
  master_key: jsonObject.optional(),
  self_signing_key: jsonObject.optional(),
  user_signing_key: jsonObject.optional(),
})

/**
 * There is nothing to authenticate with again, so the access token alone decides, as it does for appservices.
 * @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysdevice_signingupload
 */
export async function uploadCrossSigning({ core, request, requester }: Call): Promise<JsonObject> {
  const body = await readBody(request, crossSigningBody)
  const { userId } = requester
  await core.commit(tx => {
    const changed = tx.nextStreamId()
    for (const usage of ['master', 'self_signing', 'user_signing'] as const) {
      const key = body[`${usage}_key`]
      if (key) core.keys.putCrossSigning(userId, usage, JSON.stringify(key))
    }
    core.keys.noteChange(userId, changed)
    tx.wakes.add(userId)
  })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keyssignaturesupload */
export async function uploadSignatures({ core, request, requester }: Call): Promise<JsonObject> {
  const body = await readObject(request)
  await core.commit(tx => {
    for (const [userId, objects] of Object.entries(body)) {
      if (!isObject(objects)) throw invalidParam('Signatures are grouped by user')
      for (const [keyId, signed] of Object.entries(objects))
        if (isObject(signed)) addSignatures(core, userId, keyId, signed)
      core.keys.noteChange(userId, tx.nextStreamId())
      tx.wakes.add(userId)
    }
    tx.wakes.add(requester.userId)
  })
  return { failures: {} }
}

function addSignatures(core: Core, userId: string, keyId: string, signed: JsonObject): void {
  const device = core.keys.deviceKeys(userId).find(row => row.device_id === keyId)
  if (device) {
    core.keys.putDeviceKeys(userId, keyId, JSON.stringify(merged(parseStored(device.keys), signed)))
    return
  }
  for (const [usage, text] of Object.entries(core.keys.crossSigning(userId))) {
    const key = parseStored(text)
    if (isObject(key.keys) && Object.values(key.keys).includes(keyId))
      core.keys.putCrossSigning(userId, usage, JSON.stringify(merged(key, signed)))
  }
}

/** `key` with the signatures of both. */
function merged(key: JsonObject, signed: JsonObject): JsonObject {
  const signatures: JsonObject = isObject(key.signatures) ? { ...key.signatures } : {}
  for (const [signer, added] of Object.entries(isObject(signed.signatures) ? signed.signatures : {})) {
    const before = signatures[signer]
    if (isObject(added)) signatures[signer] = { ...(isObject(before) ? before : {}), ...added }
  }
  return { ...key, signatures }
}
