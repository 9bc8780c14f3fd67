/** Translates Matrix events into facts (domain/facts.ts). */
import type { Fact, SaidFact } from '../../domain/facts.ts'
import type { EventSink, RoomEvent } from '../../domain/ports.ts'
import type { Logger } from '../../lib/logger.ts'
import type { RoomEventSink } from '../room-event.ts'
import { messageContentOf } from './message.ts'
import { roomFactsOf } from './room.ts'
import { STATUS_EVENT_TYPE, statusOf } from './status.ts'

/** @returns nothing when the event is of no use to us */
export function factsOf(event: RoomEvent): Fact[] {
  if (event.type === STATUS_EVENT_TYPE) {
    const status = statusOf(event)
    return status ? [status] : []
  }
  if (event.state_key !== undefined) return roomFactsOf(event)
  const { event_id: eventId, room_id: roomId, sender, origin_server_ts: sentAt } = event
  const said = { eventId, roomId, sender, sentAt, isHistory: isHistory(event), isPuppeted: isPuppeted(event) }
  const content = messageContentOf(event)
  // A reaction without content is told, too: its removal then is no removal of a message.
  if (event.type === 'm.reaction') return [{ fact: 'reaction', ...said, content }]
  return content === null ? [] : [{ fact: 'message', ...said, content }]
}

/** A bridge says so of what it writes as a user of its own ("double puppeting"). */
function isPuppeted({ content }: RoomEvent): boolean {
  return content['fi.mau.double_puppet_source'] !== undefined
}

/** @param events of a timeline, in order; state among them is left out */
export function saidIn(events: readonly RoomEvent[]): SaidFact[] {
  return events.flatMap(factsOf).filter(isSaid)
}

/** The embedded homeserver marks it (MSC2716). */
function isHistory({ unsigned }: RoomEvent): boolean {
  return unsigned?.['org.matrix.msc2716.historical'] === true
}

function isSaid(fact: Fact): fact is SaidFact {
  return fact.fact === 'message' || fact.fact === 'reaction' || fact.fact === 'status'
}

/**
 * Gives a sink of facts to a source of Matrix events. An event that can't be translated by a defect
 * of ours is logged and left out, as it must not stop those beside it each time they come again.
 */
export function translated(sink: EventSink, logger: Pick<Logger, 'error'>): RoomEventSink {
  function factsOrNone(event: RoomEvent): Fact[] {
    try {
      return factsOf(event)
    } catch (error) {
      logger.error({ event: event.event_id, err: error }, 'an event could not be translated and was left out')
      return []
    }
  }

  return {
    accept({ position, events, receipts }) {
      const facts = events.flatMap(factsOrNone)
      for (const receipt of receipts) facts.push({ fact: 'receipt', ...receipt })
      return sink.accept({
        position,
        facts,
        eventCount: events.length,
        newestAt: newestOf(events.filter(event => !isHistory(event))),
      })
    },
    typing: (notices, hearer) => sink.typing?.(notices, hearer),
  }
}

function newestOf(events: readonly RoomEvent[]): number | null {
  return events.reduce<number | null>((newest, { origin_server_ts: at }) => Math.max(newest ?? 0, at), null)
}
