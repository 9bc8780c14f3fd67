/** Presence is accepted and ignored: nobody here needs it, and it causes floods of updates. */
import { z } from 'zod'
import { readBody } from '../body.ts'
import { assertOwn, type Call, param } from '../call.ts'
import { notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3presenceuseridstatus */
export function getPresence(call: Call): JsonObject {
  if (!call.core.userExists(param(call, 'userId'))) throw notFound('Unknown user')
  return { presence: 'offline' }
}

const body = z.object({
  presence: z.enum(['online', 'offline', 'unavailable']),
  status_msg: z.string().optional(),
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#put_matrixclientv3presenceuseridstatus */
export async function putPresence(call: Call): Promise<JsonObject> {
  assertOwn(call, param(call, 'userId'))
  await readBody(call.request, body)
  return {}
}
