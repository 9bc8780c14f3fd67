/**
 * Receives the events that a homeserver pushes (application service API, "Pushing events"). A
 * transaction is answered 200 only after its events are on disk; until then the homeserver repeats
 * it.
 */

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { messageOf } from '../domain/errors.ts'
import type { RoomEvent } from '../domain/ports.ts'
import { bearerToken } from '../lib/bearer-token.ts'
import { readTextAtMost } from '../lib/bounded-body.ts'
import { decodedPart } from '../lib/decoded-part.ts'
import { jsonOrNull } from '../lib/json-or-null.ts'
import type { Logger } from '../lib/logger.ts'
import { matrixRefusal } from '../lib/matrix-error.ts'
import { equalInConstantTime } from '../lib/sealing.ts'
import { ephemeralEvents, readReceipts, readTyping } from './ephemeral.ts'
import type { LookBack } from './look-back.ts'
import { type RoomEventSink, roomEventSchema } from './room-event.ts'

const transactionSchema = z.object({
  events: z.array(z.unknown()),
  // An unreadable receipt must not block the events beside and behind it.
  ephemeral: ephemeralEvents.optional().catch(undefined),
  // The name before MSC2409 was merged; Synapse sends both.
  'de.sorunome.msc2409.ephemeral': ephemeralEvents.optional().catch(undefined),
})

const PREFIX = '/_matrix/app/v1/'
/** A hundred events of the largest size there is are a fifth of it. */
const MAX_BYTES = 32 * 1024 * 1024
/** This many transactions in a row with lower numbers mean that the count began anew. */
const COUNTS_ANEW = 3

export function createAppserviceSource(options: {
  hsToken: string
  sink: RoomEventSink
  /** Learns of each stored transaction; undefined: the homeserver keeps nothing back. */
  lookBack?: Pick<LookBack, 'stored'> | undefined
  logger: Logger
}) {
  const { hsToken, sink, lookBack, logger } = options
  // Nothing was taken before this process. A homeserver that comes back late shows only here.
  let hasRefused = true
  /** Highest number of a stored transaction; NaN if they have none. */
  let highestNumber = Number.NaN
  /** How many in a row were below it. */
  let below = 0
  /** Compares with the hs_token. */
  const isRightToken = (token: string) => equalInConstantTime(token, hsToken)
  return {
    isRightToken,

    /** Serves /_matrix/app/v1/…: transactions, ping, and queries for unknown users and rooms. */
    async fetch(request: Request): Promise<Response> {
      const { pathname } = new URL(request.url)
      const bearer = bearerToken(request)
      if (bearer === undefined) return matrixRefusal(401, 'M_MISSING_TOKEN', 'the hs_token is missing')
      if (!isRightToken(bearer)) return matrixRefusal(403, 'M_FORBIDDEN', 'this is not the hs_token')

      const [resource, argument] = pathname.slice(PREFIX.length).split('/')
      if (request.method === 'PUT' && resource === 'transactions' && argument) {
        const txnId = decodedPart(argument)
        if (txnId === null) return matrixRefusal(400, 'M_INVALID_PARAM', 'the transaction id is malformed')
        return takeTransaction(txnId, request)
      }
      if (request.method === 'POST' && resource === 'ping') return Response.json({})
      // Our users are registered before they are used, so one that is asked for doesn't exist.
      if (request.method === 'GET' && (resource === 'users' || resource === 'rooms')) {
        return matrixRefusal(404, 'M_NOT_FOUND', 'there is no such user or room')
      }
      return matrixRefusal(404, 'M_UNRECOGNIZED', 'unknown endpoint')
    },
  }

  /** A single one from before is one that was kept back (look-back.ts). */
  function noteNumber(txnId: string): void {
    const number = Number(txnId)
    below = number < highestNumber ? below + 1 : 0
    if (below > 0 && below < COUNTS_ANEW) return
    if (below > 0)
      logger.warn(
        { txnId, before: highestNumber },
        'the homeserver counts its transactions anew, as Synapse does on SQLite after a restart: bridges may take new ones for repeats, and lose messages. Use PostgreSQL',
      )
    highestNumber = number
    below = 0
  }

  async function takeTransaction(txnId: string, request: Request): Promise<Response> {
    const body = await readTextAtMost(request, MAX_BYTES)
    if (body === null) return matrixRefusal(413, 'M_TOO_LARGE', `expected at most ${MAX_BYTES} bytes`)
    const transaction = transactionSchema.safeParse(jsonOrNull(body))
    if (!transaction.success)
      return matrixRefusal(400, 'M_BAD_JSON', 'expected an object with a list of events')
    const { events, ephemeral, 'de.sorunome.msc2409.ephemeral': unstable } = transaction.data
    const passing = ephemeral ?? unstable ?? []
    try {
      const [receipts, typing] = [readReceipts(passing), readTyping(passing)]
      // Who types isn't stored, so it needs no row of its own.
      if (events.length > 0 || receipts.length > 0 || typing.length === 0)
        await sink.accept({
          position: { kind: 'transaction', txnId: identityOf(txnId, transaction.data) },
          events: wellFormed(events, logger),
          receipts,
        })
      sink.typing?.(typing, null)
      lookBack?.stored(hasRefused)
      hasRefused = false
      noteNumber(txnId)
      return Response.json({})
    } catch (error) {
      hasRefused = true
      logger.warn(
        { txnId, err: error },
        'a transaction could not be stored; the homeserver will send it again',
      )
      return matrixRefusal(503, 'M_UNKNOWN', messageOf(error))
    }
  }
}

/**
 * Identifies a transaction for repeats. The id alone isn't enough: Synapse on SQLite counts from 1
 * again after a restart, as any new homeserver does, and a new transaction taken for an old one
 * would be lost. A repeat may lack the ephemeral events.
 */
function identityOf(txnId: string, transaction: z.infer<typeof transactionSchema>): string {
  const { events } = transaction
  const content = events.length > 0 ? events.map(eventIdOf).join('\n') : JSON.stringify(transaction)
  return `${txnId}/${createHash('sha256').update(content).digest('base64url').slice(0, 22)}`
}

function eventIdOf(event: unknown): string {
  const id = typeof event === 'object' && event !== null && 'event_id' in event ? event.event_id : undefined
  return typeof id === 'string' ? id : JSON.stringify(event)
}

/** Leaves out and logs malformed events: a refused transaction would block all behind it. */
function wellFormed(events: unknown[], logger: Logger): RoomEvent[] {
  return events.flatMap(event => {
    const parsed = roomEventSchema.safeParse(event)
    if (parsed.success) return [parsed.data]
    logger.warn({ issue: parsed.error.issues[0]?.message }, 'a malformed event was left out')
    return []
  })
}
