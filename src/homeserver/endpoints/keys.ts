/** End-to-end encryption: keys that clients sign, and messages to devices. */
import { z } from 'zod'
import { enclosed, type Pieces, separated } from '../../lib/json-answer.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { type Call, jsonObject, param, readBody, readObject, transaction } from '../call.ts'
import type { Core } from '../core.ts'
import { invalidParam, MatrixError, tooLarge } from '../errors.ts'
import { isObject, type Json, type JsonObject, parseStored } from '../json.ts'
import {
  assertCount,
  assertId,
  boundedText,
  MAX_BYTES_OF_CALL,
  MAX_ONE_TIME_KEYS,
  MAX_WRITES_OF_CALL,
} from '../limits.ts'
import { positionQuery } from '../rooms/timeline.ts'
import { changedUsers } from '../sync/key-changes.ts'

function ownDevice({ deviceId }: Call): string {
  if (deviceId === undefined) throw invalidParam('Keys belong to a device; name one with device_id')
  return deviceId
}

const uploadBody = z.object({
  device_keys: jsonObject.optional(),
  one_time_keys: jsonObject.optional(),
  fallback_keys: jsonObject.optional(),
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysupload */
export async function uploadKeys(call: Call): Promise<JsonObject> {
  const { core, userId } = call
  const body = await readBody(call, uploadBody)
  const deviceId = ownDevice(call)
  if (body.device_keys && (body.device_keys.user_id !== userId || body.device_keys.device_id !== deviceId))
    throw invalidParam('device_keys must be of this very device')
  const oneTimeKeys = Object.entries(body.one_time_keys ?? {})
  const fallbackKeys = Object.entries(body.fallback_keys ?? {})
  assertCount('one_time_keys and fallback_keys', oneTimeKeys.length + fallbackKeys.length, MAX_ONE_TIME_KEYS)
  const counts = await core.commit(tx => {
    const kept = Object.values(core.keys.counts(userId, deviceId)).reduce((sum, count) => sum + count, 0)
    const added = oneTimeKeys.flatMap(([id, key]) => {
      const [algorithm, keyId] = splitKeyId(id)
      const text = boundedText(id, key)
      const known = core.keys.oneTimeKey(userId, deviceId, algorithm, keyId)
      if (known !== undefined && known !== text)
        throw new MatrixError(400, 'M_UNKNOWN', `One-time key ${id} exists already`)
      return known === undefined ? [{ algorithm, keyId, text }] : []
    })
    assertCount('one-time keys of a device', kept + added.length, MAX_ONE_TIME_KEYS)
    for (const { algorithm, keyId, text } of added) {
      core.keys.addOneTimeKey(userId, deviceId, algorithm, keyId, text)
    }
    for (const [id, key] of fallbackKeys) {
      const [algorithm, keyId] = splitKeyId(id)
      const text = boundedText(id, key)
      core.keys.putFallback(userId, deviceId, algorithm, keyId, text)
    }
    if (body.device_keys) {
      core.keys.putDeviceKeys(userId, deviceId, boundedText('device_keys', body.device_keys))
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
const USAGES = ['master', 'self_signing', 'user_signing'] as const

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysquery */
export async function* queryKeys(call: Call): Pieces {
  const { device_keys: asked } = await readBody(call, queryBody)
  const turn = new TurnBudget()
  yield '{"failures":{},"device_keys":{'
  let comma = ''
  for (const [userId, wanted] of Object.entries(asked)) {
    yield `${comma}${JSON.stringify(userId)}:{`
    yield* separated(deviceKeys(call.core, userId, new Set(wanted)))
    yield '}'
    comma = ','
    if (turn.isSpent) await turn.pause()
  }
  yield '}'
  for (const usage of USAGES) {
    yield `,"${usage}_keys":{`
    yield* separated(crossSigningKeys(call, Object.keys(asked), usage, turn))
    yield '}'
  }
  yield '}'
}

const DEVICES_PAGE = 20

function* deviceKeys(core: Core, userId: string, wanted: Set<string>): Generator<string, void> {
  for (let after = ''; ; ) {
    const page = core.keys.deviceKeys(userId, after, DEVICES_PAGE)
    for (const { device_id: deviceId, keys, display_name: name } of page) {
      after = deviceId
      if (wanted.size > 0 && !wanted.has(deviceId)) continue
      const shown = name === null ? keys : withName(keys, name)
      yield `${JSON.stringify(deviceId)}:${shown}`
    }
    if (page.length < DEVICES_PAGE) return
  }
}

function withName(keys: string, name: string): string {
  return JSON.stringify({ ...parseStored(keys), unsigned: { device_display_name: name } })
}

async function* crossSigningKeys(
  { core, userId: asker }: Call,
  userIds: readonly string[],
  usage: (typeof USAGES)[number],
  turn: TurnBudget,
): Pieces {
  for (const userId of userIds) {
    const key =
      usage === 'user_signing' && userId !== asker ? undefined : core.keys.crossSigning(userId)[usage]
    if (key !== undefined) yield `${JSON.stringify(userId)}:${key}`
    if (turn.isSpent) await turn.pause()
  }
}

const claimBody = z.object({ one_time_keys: z.record(z.string(), z.record(z.string(), z.string())) })
const CLAIMED_AT_ONCE = 100

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysclaim */
export async function claimKeys(call: Call): Promise<JsonObject> {
  const { core } = call
  const body = await readBody(call, claimBody)
  const wanted = Object.entries(body.one_time_keys).flatMap(([userId, devices]) =>
    Object.entries(devices).map(([deviceId, algorithm]) => ({ userId, deviceId, algorithm })),
  )
  assertCount('one_time_keys', wanted.length, MAX_WRITES_OF_CALL)
  const users: Record<string, JsonObject> = Object.create(null)
  for (let start = 0; start < wanted.length; start += CLAIMED_AT_ONCE) {
    const claimed = await core.commit(() => {
      return wanted.slice(start, start + CLAIMED_AT_ONCE).flatMap(({ userId, deviceId, algorithm }) => {
        const key = core.keys.claim(userId, deviceId, algorithm)
        return key ? [{ userId, deviceId, key }] : []
      })
    })
    for (const { userId, deviceId, key } of claimed) {
      const ofUser = users[userId] ?? {}
      users[userId] = ofUser
      ofUser[deviceId] = { [`${key.algorithm}:${key.key_id}`]: JSON.parse(key.key) as Json }
    }
  }
  return { one_time_keys: users, failures: {} }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3keyschanges */
export function keyChanges(call: Call): Pieces {
  const from = positionQuery(call, 'from')
  const to = positionQuery(call, 'to')
  if (from === undefined || to === undefined) throw invalidParam('from and to must be tokens of this server')
  const changed = changedUsers(call, { from, to }, new TurnBudget())
  return enclosed('{"changed":[', changed, '],"left":[]}')
}

const crossSigningBody = z.object({
  master_key: jsonObject.optional(),
  self_signing_key: jsonObject.optional(),
  user_signing_key: jsonObject.optional(),
})

/**
 * Users have no password to enter again, so the access token suffices, as for appservices.
 * @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keysdevice_signingupload
 */
export async function uploadCrossSigning(call: Call): Promise<undefined> {
  const { core, userId } = call
  const body = await readBody(call, crossSigningBody)
  await core.commit(tx => {
    const changed = tx.nextStreamId()
    for (const usage of USAGES) {
      const key = body[`${usage}_key`]
      if (key) core.keys.putCrossSigning(userId, usage, boundedText(`${usage}_key`, key))
    }
    core.keys.noteChange(userId, changed)
    tx.wakes.add(userId)
  })
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3keyssignaturesupload */
export async function uploadSignatures(call: Call): Promise<JsonObject> {
  const { core } = call
  const body = await readObject(call)
  const signatures = Object.entries(body).flatMap(([userId, objects]) => {
    if (!isObject(objects)) throw invalidParam('Signatures are grouped by user')
    return Object.entries(objects).map(([keyId, signed]) => ({ userId, keyId, signed }))
  })
  assertCount('signatures', signatures.length, MAX_SIGNATURES)
  await core.commit(tx => {
    for (const { userId, keyId, signed } of signatures)
      if (isObject(signed)) addSignatures(core, userId, keyId, signed)
    for (const userId of new Set(signatures.map(signature => signature.userId))) {
      core.keys.noteChange(userId, tx.nextStreamId())
      tx.wakes.add(userId)
    }
    tx.wakes.add(call.userId)
  })
  return { failures: {} }
}

/** Each signature rewrites a key that may be as large as an event. */
const MAX_SIGNATURES = 100

function addSignatures(core: Core, userId: string, keyId: string, signed: JsonObject): void {
  const device = core.keys.keysOfDevice(userId, keyId)
  if (device !== undefined) {
    core.keys.putDeviceKeys(userId, keyId, boundedText(keyId, merged(parseStored(device), signed)))
    return
  }
  for (const [usage, text] of Object.entries(core.keys.crossSigning(userId))) {
    const key = parseStored(text)
    if (isObject(key.keys) && Object.values(key.keys).includes(keyId))
      core.keys.putCrossSigning(userId, usage, boundedText(keyId, merged(key, signed)))
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

/** How long a transaction id is remembered. */
const TXN_LIFETIME_MS = 24 * 60 * 60_000

const toDeviceBody = z.object({ messages: z.record(z.string(), z.record(z.string(), jsonObject)) })

/** @see Matrix v1.12, PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId} */
export async function sendToDevice(call: Call): Promise<undefined> {
  const { core, userId: sender } = call
  const { messages } = await readBody(call, toDeviceBody)
  const type = param(call, 'eventType')
  assertId('eventType', type)
  const { scope, id } = transaction(call)
  const asked = Object.entries(messages).flatMap(([userId, devices]) =>
    Object.entries(devices).map(([target, content]) => ({
      userId,
      target,
      content: boundedText('A message', content),
    })),
  )
  assertCount('messages', asked.length, MAX_WRITES_OF_CALL)
  const now = core.clock.now()
  await core.commit(tx => {
    const sent = withDevices(core, asked)
    core.keys.pruneTxns(now - TXN_LIFETIME_MS)
    if (!core.keys.addTxn(sender, scope, id, type, now)) return
    for (const { userId, deviceId, content } of sent) {
      core.keys.sendToDevice(tx.nextStreamId(), userId, deviceId, sender, type, content)
      tx.wakes.add(userId)
    }
    core.events.keepCounter(tx.lastStreamId)
  })
}

interface Asked {
  userId: string
  /** `*` means all devices of the user. */
  target: string
  content: string
}

/** Pairs each message with its devices, within the limit of one call's writes. */
function withDevices(core: Core, asked: readonly Asked[]) {
  const sent: { userId: string; deviceId: string; content: string }[] = []
  let characters = 0
  for (const { userId, target, content } of asked) {
    const deviceIds = targets(core, userId, target)
    characters += deviceIds.length * content.length
    for (const deviceId of deviceIds) sent.push({ userId, deviceId, content })
    assertCount('messages', sent.length, MAX_WRITES_OF_CALL)
    if (characters > MAX_BYTES_OF_CALL)
      throw tooLarge(`The messages are larger than ${MAX_BYTES_OF_CALL} bytes together`)
  }
  return sent
}

function targets(core: Core, userId: string, target: string): string[] {
  if (target === '*') return core.users.devices(userId).map(device => device.device_id)
  return core.users.device(userId, target) ? [target] : []
}
