/** PUT /sendToDevice. @see https://spec.matrix.org/v1.12/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid */
import { z } from 'zod'
import { readBody } from '../body.ts'
import { type Call, param } from '../call.ts'
import type { Core } from '../core.ts'
import { isObject, type JsonObject } from '../json.ts'

/** How long a transaction id is remembered. */
const TXN_LIFETIME_MS = 24 * 60 * 60_000

const body = z.object({
  messages: z.record(z.string(), z.record(z.string(), z.custom<JsonObject>(isObject, 'must be an object'))),
})

export async function sendToDevice(call: Call): Promise<JsonObject> {
  const { core, requester } = call
  const { messages } = await readBody(call.request, body)
  const type = param(call, 'eventType')
  const now = core.clock.now()
  await core.commit(tx => {
    tx.wrote = true
    core.keys.pruneTxns(now - TXN_LIFETIME_MS)
    if (!core.keys.addTxn(requester.userId, requester.scope, param(call, 'txnId'), type, now)) return
    for (const [userId, devices] of Object.entries(messages)) {
      for (const [target, content] of Object.entries(devices)) {
        const message = { sender: requester.userId, type, content: JSON.stringify(content) }
        for (const deviceId of targets(core, userId, target))
          core.keys.sendToDevice(tx.nextStreamId(), { userId, deviceId }, message)
      }
      tx.wakes.add(userId)
    }
    core.keepCounter(tx.lastStreamId)
  })
  return {}
}

/** `*` stands for all devices of the user. */
function targets(core: Core, userId: string, target: string): string[] {
  if (target === '*') return core.users.devices(userId).map(device => device.device_id)
  return core.users.device(userId, target) ? [target] : []
}
