/**
 * Answers the invitations to portal rooms. A join is complete when the room was entered and the
 * messages since the invitation have been fetched: homeservers don't push those from before a join.
 */
import pLimit from 'p-limit'
import type { Chat } from '../../db/schema/index.ts'
import { GatewayError, messageOf } from '../../domain/errors.ts'
import type { MatrixSessions } from '../../domain/ports.ts'
import type { Emits, Hears } from '../../domain/signals.ts'
import { backoffMs } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { saidSinceInvitation } from '../../matrix/history.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import type { ChatRepository } from '../chats/chat-repository.ts'
import type { ChatRooms } from '../chats/chat-rooms.ts'
import { chatKey } from './plan.ts'
import type { Receiving } from './receiving.ts'

export interface JoinsOptions {
  repository: Pick<ChatRepository, 'unfinished'>
  chatRooms: Pick<ChatRooms, 'enter'>
  receiving: Pick<Receiving, 'completeJoin'>
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
  signals: Hears<'invited'> & Emits<'joined'>
  clock: Clock
  logger: Logger
}

const RETRY = { baseMs: 1_000, capMs: 300_000 }
/** How often rooms are looked for that no signal told of, in milliseconds. */
const POLL_MS = 30_000
const CONCURRENCY = 8

export function createJoins(options: JoinsOptions): Worker {
  const { repository, chatRooms, receiving, sessions, matrixUserOf, signals, clock, logger } = options
  const nudge = new Nudge()
  signals.on('invited', () => nudge.nudge())
  const failures = new Map<string, { count: number; retryAt: number }>()

  async function join({ identityId, roomId }: Chat): Promise<void> {
    const state = await chatRooms.enter(identityId, roomId)
    const session = sessions.actingAs(await matrixUserOf(identityId))
    await receiving.completeJoin({ identityId, roomId }, state, await saidSinceInvitation(session, roomId))
    signals.emit('joined', identityId, roomId)
  }

  async function tryJoin(chat: Chat): Promise<void> {
    const key = keyOf(chat)
    try {
      await join(chat)
      failures.delete(key)
    } catch (error) {
      const count = (failures.get(key)?.count ?? 0) + 1
      const waitMs =
        error instanceof GatewayError && error.retryAfterS !== undefined ? error.retryAfterS * 1000 : 0
      failures.set(key, { count, retryAt: clock.steady() + Math.max(waitMs, backoffMs(count, RETRY)) })
      logger.warn(
        { room: chat.roomId, reason: messageOf(error), failures: count },
        'a chat could not be joined',
      )
    }
  }

  /** @returns when it has to be done again, in milliseconds */
  async function tick(): Promise<number> {
    const unfinished = new Map((await repository.unfinished()).map(chat => [keyOf(chat), chat]))
    for (const key of failures.keys()) if (!unfinished.has(key)) failures.delete(key)
    const isDue = (chat: Chat) => (failures.get(keyOf(chat))?.retryAt ?? 0) <= clock.steady()
    const due = [...unfinished.values()].filter(isDue)
    await pLimit(CONCURRENCY).map(due, tryJoin)
    const nextRetry = Math.min(...[...failures.values()].map(failure => failure.retryAt - clock.steady()))
    return Math.max(10, Math.min(POLL_MS, nextRetry))
  }

  return every('chat-rooms', POLL_MS, tick, { clock, nudge })
}

function keyOf({ identityId, roomId }: Chat): string {
  return chatKey(identityId, roomId)
}
