/**
 * The application-service source of events: the homeserver pushes every event of our users here (application service API, "Pushing
 * events"). A transaction is answered 200 only after its events are on disk; until then the homeserver keeps it and gives it again.
 */
import { z } from 'zod'
import { messageOf } from '../domain/errors.ts'
import type { EventSink, ReadReceipt, RoomEvent } from '../domain/ports.ts'
import type { Logger } from '../lib/logger.ts'
import { equalInConstantTime } from '../lib/sealing.ts'
import { roomEventSchema } from './room-event.ts'

const ephemeralSchema = z.array(
  z.object({ type: z.string(), room_id: z.string().optional(), content: z.record(z.string(), z.unknown()) }),
)
const transactionSchema = z.object({
  events: z.array(z.unknown()),
  ephemeral: ephemeralSchema.optional(),
  // The name before MSC2409 was merged; Synapse sends both.
  'de.sorunome.msc2409.ephemeral': ephemeralSchema.optional(),
})
const receiptSchema = z.record(
  z.string(),
  z.object({ 'm.read': z.record(z.string(), z.unknown()).optional() }),
)

const PREFIX = '/_matrix/app/v1/'

export interface AppserviceSource {
  /** Serves /_matrix/app/v1/…: transactions, ping, and the queries for users and rooms that don't exist. */
  fetch(request: Request): Promise<Response>
}

export function createAppserviceSource(options: {
  hsToken: string
  sink: EventSink
  logger: Logger
}): AppserviceSource {
  const { hsToken, sink, logger } = options
  return {
    async fetch(request) {
      const { pathname } = new URL(request.url)
      const bearer = request.headers.get('authorization')?.replace(/^Bearer /, '')
      if (bearer === undefined) return matrixError(401, 'M_MISSING_TOKEN', 'the hs_token is missing')
      if (!equalInConstantTime(bearer, hsToken))
        return matrixError(403, 'M_FORBIDDEN', 'this is not the hs_token')

      const [resource, argument] = pathname.slice(PREFIX.length).split('/')
      if (request.method === 'PUT' && resource === 'transactions' && argument) {
        return takeTransaction(decodeURIComponent(argument), request)
      }
      if (request.method === 'POST' && resource === 'ping') return Response.json({})
      // Our users are registered before they are used, so one that is asked for doesn't exist.
      if (request.method === 'GET' && (resource === 'users' || resource === 'rooms')) {
        return matrixError(404, 'M_NOT_FOUND', 'there is no such user or room')
      }
      return matrixError(404, 'M_UNRECOGNIZED', 'unknown endpoint')
    },
  }

  async function takeTransaction(txnId: string, request: Request): Promise<Response> {
    const transaction = transactionSchema.safeParse(await request.json().catch(() => null))
    if (!transaction.success)
      return matrixError(400, 'M_BAD_JSON', 'expected an object with a list of events')
    const { events, ephemeral, 'de.sorunome.msc2409.ephemeral': unstable } = transaction.data
    try {
      await sink.accept({
        position: { kind: 'transaction', txnId },
        events: wellFormed(events, logger),
        receipts: readReceipts(ephemeral ?? unstable ?? []),
      })
      return Response.json({})
    } catch (error) {
      logger.warn(
        { txnId, err: error },
        'a transaction could not be stored; the homeserver will send it again',
      )
      return matrixError(503, 'M_UNKNOWN', messageOf(error))
    }
  }
}

/** A malformed event is left out and logged: refusing its transaction would stop every event behind it for good. */
function wellFormed(events: unknown[], logger: Logger): RoomEvent[] {
  return events.flatMap(event => {
    const parsed = roomEventSchema.safeParse(event)
    if (parsed.success) return [parsed.data]
    logger.warn({ issue: parsed.error.issues[0]?.message }, 'a malformed event was left out')
    return []
  })
}

function readReceipts(ephemeral: z.infer<typeof ephemeralSchema>): ReadReceipt[] {
  return ephemeral.flatMap(({ type, room_id: roomId, content }) => {
    const receipts = type === 'm.receipt' && roomId ? receiptSchema.safeParse(content) : undefined
    if (!receipts?.success || !roomId) return []
    return Object.entries(receipts.data).flatMap(([eventId, kinds]) =>
      Object.keys(kinds['m.read'] ?? {}).map(userId => ({ roomId, eventId, userId })),
    )
  })
}

function matrixError(status: number, errcode: string, error: string): Response {
  return Response.json({ errcode, error }, { status })
}
