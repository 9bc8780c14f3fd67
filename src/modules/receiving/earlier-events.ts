/**
 * Finds what was said earlier that a batch refers to: as it was stored, else as the homeserver has
 * it, such as a poll that the owner made at the phone, or a reaction from before the link.
 */
import { LRUCache } from 'lru-cache'
import { GatewayError, isPassing, messageOf } from '../../domain/errors.ts'
import type { Fact } from '../../domain/facts.ts'
import type { MatrixSessions, RoomEvent } from '../../domain/ports.ts'
import { type Clock, within } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { saidIn } from '../../matrix/translate/facts.ts'
import type { ChatKnowledge } from '../chats/knowledge.ts'
import { type Earlier, referredTo } from './earlier-said.ts'
import type { ReceivingRepository } from './receiving-repository.ts'

export interface EarlierEventsOptions {
  repository: Pick<ReceivingRepository, 'earlier'>
  sessions: Pick<MatrixSessions, 'actingAs'>
  clock: Clock
  logger: Logger
}

/** A batch waits no longer than this for the homeserver, in milliseconds. */
const PATIENCE_MS = 1_000
/** Whoever clears a chat takes back thousands. */
const MAX_ASKED = 20
const MAX_REMEMBERED = 1_000

type Found = Map<string, Earlier | null>
/** Without `said` the event is neither poll nor reaction, or can't be read. */
type Answer = { said?: Earlier | null | undefined }

/** @returns by the events' ids; null where nothing is left to tell. Rejects as the database does */
export function createEarlierEvents({ repository, sessions, clock, logger }: EarlierEventsOptions) {
  /** A poll is voted on more than once, and a plan is made more than once. */
  const remembered = new LRUCache<string, Answer>({ max: MAX_REMEMBERED })

  /** @returns null when the homeserver may answer another time */
  async function ask(userId: string, roomId: string, eventId: string): Promise<Answer | null> {
    try {
      return { said: earlierOf(await sessions.actingAs(userId).event(roomId, eventId)) }
    } catch (error) {
      logger.debug({ event: eventId, reason: messageOf(error) }, 'an earlier event could not be read')
      return error instanceof GatewayError && !isPassing(error) ? {} : null
    }
  }

  return async (
    facts: readonly Fact[],
    { chats, identities }: Pick<ChatKnowledge, 'chats' | 'identities'>,
  ): Promise<Found> => {
    const wanted = referredTo(facts)
    if (wanted.length === 0) return new Map()
    const ids = wanted.map(({ eventId }) => eventId)
    const found: Found = new Map(await repository.earlier([...identities.values()], ids))
    const asking: Promise<void>[] = []
    const learn = (eventId: string, answer: Answer | null) => {
      if (!answer) return
      remembered.set(eventId, answer)
      if (answer.said !== undefined) found.set(eventId, answer.said)
    }
    for (const { roomId, eventId } of wanted.filter(one => !found.has(one.eventId)).slice(0, MAX_ASKED)) {
      const known = remembered.get(eventId)
      const chat = chats.find(one => one.roomId === roomId && one.membership === 'joined')
      const [userId] = [...identities].find(([, identityId]) => identityId === chat?.identityId) ?? []
      if (known) learn(eventId, known)
      else if (userId) asking.push(ask(userId, roomId, eventId).then(answer => learn(eventId, answer)))
    }
    if (asking.length > 0) await within(clock, PATIENCE_MS, Promise.all(asking))
    return found
  }
}

/** @returns null for a reaction of which nothing is left; undefined for what nobody refers to */
function earlierOf(event: RoomEvent): Earlier | null | undefined {
  for (const said of saidIn([event]))
    if (said.fact === 'reaction' || (said.fact === 'message' && said.content.poll)) return said.content
  return undefined
}
