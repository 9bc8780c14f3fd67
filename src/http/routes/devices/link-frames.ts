/** Parses frames from clients of the QR WebSocket: JSON that answers or cancels the link. */

import { z } from 'zod'
import { GatewayError } from '../../../domain/errors.ts'
import { jsonOrNull } from '../../../lib/json-or-null.ts'

const linkFrame = z.discriminatedUnion('type', [
  z.object({ type: z.literal('input'), fields: z.record(z.string(), z.string()) }),
  z.object({ type: z.literal('cancel') }),
])
export type LinkFrame = z.infer<typeof linkFrame>

const EXPECTED =
  'the frame: expected {"type": "input", "fields": {"<field>": "<text>"}} or {"type": "cancel"}, as JSON'

/** @throws GatewayError bad_request */
export function parseLinkFrame(frame: string | Uint8Array): LinkFrame {
  const parsed = linkFrame.safeParse(typeof frame === 'string' ? jsonOrNull(frame) : undefined)
  if (parsed.success) return parsed.data
  throw new GatewayError('bad_request', EXPECTED)
}
