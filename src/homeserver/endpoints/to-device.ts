/** @see Matrix v1.12, PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId} */
import { z } from 'zod'
import { type Call, jsonObject, param, readBody, transaction } from '../call.ts'
import type { Core } from '../core.ts'
import { tooLarge } from '../errors.ts'
import { assertCount, assertId, boundedText, MAX_BYTES_OF_CALL, MAX_WRITES_OF_CALL } from '../limits.ts'

/** How long a transaction id is remembered. */
const TXN_LIFETIME_MS = 24 * 60 * 60_000

const body = z.object({
  messages: z.record(z.string(), z.record(z.string(), jsonObject)),
})

export async function sendToDevice(call: Call): Promise<undefined> {
  const { core, userId: sender } = call
  const { messages } = await readBody(call, body)
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
