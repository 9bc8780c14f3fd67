/**
 * Receiving: plans what a batch of facts means, stores it, and accepts invitations. `receiving` is
 * the sink of every source of events.
 */
import type { Db } from '../../db/open.ts'
import type { Observer } from '../../domain/observation.ts'
import type { ChatsModule } from '../chats/index.ts'
import type { Backlog } from '../sending/limits.ts'
import { createJoins, type JoinsOptions } from './invitations.ts'
import { createReceiving, type ReceivingOptions } from './receiving.ts'
import { createReceivingRepository } from './receiving-repository.ts'
import { createTyping, type TypingOptions } from './typing.ts'

export interface ReceivingParts
  extends Pick<JoinsOptions, 'sessions' | 'matrixUserOf'>,
    Omit<ReceivingOptions, 'repository' | 'observer' | 'phones' | 'signals'>,
    Pick<TypingOptions, 'live'>,
    Pick<ChatsModule, 'chats' | 'chatRooms' | 'phones'> {
  db: Db
  observer: Observer
  signals: JoinsOptions['signals'] & NonNullable<ReceivingOptions['signals']>
  backlog: Backlog
}

export function createReceivingModule(parts: ReceivingParts) {
  const repository = createReceivingRepository(parts.db, parts.observer, parts.backlog)
  const receiving = createReceiving({ ...parts, repository })
  return {
    /** Where events come in. */
    sink: { accept: receiving.accept, typing: createTyping(parts) },
    /** Forgets what only served to recognise repeats. */
    forget: repository.forget,
    workers: [createJoins({ ...parts, repository: parts.chats, receiving })],
  }
}
