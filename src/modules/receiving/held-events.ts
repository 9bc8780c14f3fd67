/**
 * The form in which facts wait for the join of their room. Earlier versions stored the Matrix event
 * itself; a fact is stored as an event of a type of our own, which they leave alone.
 */
import type { MessageFact, ReactionFact } from '../../domain/facts.ts'
import type { RoomEvent } from '../../domain/ports.ts'
import { saidIn } from '../../matrix/translate/facts.ts'

export type HeldFact = MessageFact | ReactionFact

const TYPES = { message: 'org.meshgate.message', reaction: 'org.meshgate.reaction' } as const

export function heldEventOf(said: HeldFact) {
  const { fact, eventId, roomId, sender, sentAt, isHistory, isPuppeted, content } = said
  return {
    event_id: eventId,
    room_id: roomId,
    sender,
    type: TYPES[fact],
    origin_server_ts: sentAt,
    content: { ...content },
    ...(isHistory ? { is_history: true } : {}),
    ...(isPuppeted ? { is_puppeted: true } : {}),
  }
}

/** @param event as stored by this version or an earlier one */
export function heldFactsOf(event: RoomEvent & { is_history?: true; is_puppeted?: true }): HeldFact[] {
  const { event_id: eventId, room_id: roomId, sender, origin_server_ts: sentAt } = event
  const kind = { isHistory: event.is_history ?? false, isPuppeted: event.is_puppeted ?? false }
  const said = { eventId, roomId, sender, sentAt, ...kind }
  const content = event.content as unknown as MessageFact['content']
  if (event.type === TYPES.message) return [{ fact: 'message', ...said, content }]
  if (event.type === TYPES.reaction) return [{ fact: 'reaction', ...said, content }]
  return saidIn([event]).filter(said => said.fact !== 'status')
}
