/** Fetches the events that a /sync response's timeline had no room for. */
import { z } from 'zod'
import { GatewayError } from '../../domain/errors.ts'
import type { RoomEvent } from '../../domain/ports.ts'
import type { Logger } from '../../lib/logger.ts'
import type { MatrixCalls } from '../matrix-calls.ts'
import { roomEvents } from '../room-event.ts'

const messagesAnswer = z.object({ chunk: z.array(z.unknown()), end: z.string().optional() })

const PAGE_EVENTS = 100
/** A homeserver that goes past `to` would give us the room's whole history. */
const MAX_PAGES = 500

/**
 * @param from the timeline's prev_batch
 * @param to the token of the response before
 * @returns oldest first
 */
export async function missedEvents(
  calls: MatrixCalls,
  logger: Logger,
  gap: { userId: string; roomId: string; from: string; to: string },
): Promise<RoomEvent[]> {
  const { userId, roomId, to } = gap
  const path = `/rooms/${encodeURIComponent(roomId)}/messages`
  const newestFirst: RoomEvent[] = []
  let from = gap.from
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = { dir: 'b', from, to, limit: String(PAGE_EVENTS) }
    const answer = await calls
      .json(userId, "read the room's messages", { method: 'GET', path, query })
      .then(body => messagesAnswer.parse(body))
      .catch(error => {
        // A room that put us out may refuse reading.
        if (error instanceof GatewayError && (error.code === 'forbidden' || error.code === 'not_found'))
          return null
        throw error
      })
    if (answer === null) {
      logger.warn({ user: userId, room: roomId }, 'what was said in a room meanwhile may not be read')
      break
    }
    newestFirst.push(...roomEvents(answer.chunk, roomId))
    if (answer.chunk.length === 0 || answer.end === undefined || answer.end === from) break
    from = answer.end
    if (page === MAX_PAGES - 1)
      logger.error(
        { user: userId, room: roomId },
        'too much was said in a room meanwhile: the oldest of it is left out',
      )
  }
  return newestFirst.reverse()
}
