/**
 * Joining: answers the invitations to portal rooms. A join is complete when the room's state has been read and what was said between the
 * invitation and the join has been fetched, since an application service isn't told what happened before it was in.
 */
import type { Chat } from '../../db/schema/index.ts'
import { GatewayError, messageOf } from '../../domain/errors.ts'
import type { MatrixSession, MatrixSessions } from '../../domain/ports.ts'
import type { Hears } from '../../domain/signals.ts'
import { backoffMs } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { saidSinceInvitation } from '../../matrix/history.ts'
import { factsOf } from '../../matrix/translate/facts.ts'
import { Nudge, type Worker } from '../../runtime/worker.ts'
import type { ChatRepository } from '../chats/repository.ts'
import type { JoinedChats } from '../chats/types.ts'
import type { Inbox } from './inbox.ts'

export interface ChatRoomsOptions {
  repository: ChatRepository
  inbox: Pick<Inbox, 'completeJoin' | 'genuine'>
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
  signals: Hears<'invited'>
  clock: Clock
  logger: Logger
}

export interface ChatRooms extends JoinedChats {
  /** Answers invitations as they come, and those left over from before. */
  worker: Worker
}

const RETRY = { baseMs: 1_000, capMs: 300_000 }
/** How often rooms are looked for that no signal told of, in milliseconds. */
const POLL_MS = 30_000
const CONCURRENCY = 8

export function createChatRooms(options: ChatRoomsOptions): ChatRooms {
  const { repository, inbox, sessions, matrixUserOf, signals, clock, logger } = options
  const nudge = new Nudge()
  signals.on('invited', () => nudge.nudge())
  const joining = new Map<string, Promise<Chat>>()
  const failures = new Map<string, { count: number; retryAt: number }>()

  async function join(identityId: string, roomId: string): Promise<Chat> {
    const session = sessions.actingAs(await matrixUserOf(identityId))
    const before = await repository.get(identityId, roomId)
    if (before?.membership !== 'joining') {
      await joinRoom(session, identityId, roomId)
      await repository.setMembership(identityId, roomId, 'joining', clock.now())
    }
    const chat = await existing(identityId, roomId)
    const state = (await session.state(roomId)).flatMap(factsOf)
    await inbox.completeJoin(chat, state, await saidSinceInvitation(session, roomId))
    return existing(identityId, roomId)
  }

  async function joinRoom(session: MatrixSession, identityId: string, roomId: string): Promise<void> {
    try {
      await session.join(roomId)
    } catch (error) {
      const isFinal =
        error instanceof GatewayError && (error.code === 'forbidden' || error.code === 'not_found')
      // The invitation was taken back, or the room is gone: there is nothing to wait for.
      if (isFinal) await repository.setMembership(identityId, roomId, 'left', clock.now())
      throw error
    }
  }

  async function existing(identityId: string, roomId: string): Promise<Chat> {
    const chat = await repository.get(identityId, roomId)
    if (chat) return chat
    throw new GatewayError('not_found', `the chat ${roomId} is gone`)
  }

  /** One join of a room at a time; whoever asks meanwhile shares it. */
  function joinOnce(identityId: string, roomId: string): Promise<Chat> {
    const key = `${identityId} ${roomId}`
    const running = joining.get(key)
    if (running !== undefined) return running
    const started = join(identityId, roomId).finally(() => joining.delete(key))
    joining.set(key, started)
    return started
  }

  /** For a chat that was joined by a version that didn't ask: it is asked once. */
  async function withFeatures(chat: Chat): Promise<Chat> {
    const { identityId, roomId } = chat
    const state = await sessions.actingAs(await matrixUserOf(identityId)).state(roomId)
    const features = state.flatMap(factsOf).filter(told => told.fact === 'features')
    const told = await inbox.genuine(features)
    const content = told.at(-1)?.content ?? null
    return { ...chat, features: await repository.learnFeatures(identityId, roomId, content) }
  }

  async function tryJoin(chat: Chat): Promise<void> {
    const key = `${chat.identityId} ${chat.roomId}`
    try {
      await joinOnce(chat.identityId, chat.roomId)
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

  async function tick(): Promise<void> {
    const isDue = ({ identityId, roomId }: Chat) =>
      (failures.get(`${identityId} ${roomId}`)?.retryAt ?? 0) <= clock.steady()
    const due = (await repository.unfinished()).filter(isDue)
    for (let start = 0; start < due.length; start += CONCURRENCY) {
      await Promise.all(due.slice(start, start + CONCURRENCY).map(tryJoin))
    }
  }

  return {
    async ensureJoined(identityId, roomId) {
      const known = await repository.get(identityId, roomId)
      const joined = known?.membership === 'joined' ? known : await joinOnce(identityId, roomId)
      const chat = joined.features === null ? await withFeatures(joined) : joined
      return { ...chat, takes: await repository.featuresOf(chat) }
    },
    worker: {
      name: 'chat-rooms',
      async run(signal) {
        while (!signal.aborted) {
          await tick()
          const nextRetry = Math.min(
            ...[...failures.values()].map(failure => failure.retryAt - clock.steady()),
          )
          await nudge.wait(clock, Math.max(10, Math.min(POLL_MS, nextRetry)), signal)
        }
      },
    },
  }
}
