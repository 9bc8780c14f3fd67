/**
 * Chats and what they take, contacts, and who is behind a number. Sending enters a chat by
 * `chatRooms`; receiving asks `knowledgeOf` about rooms and people; webhooks look senders up in
 * `contacts` and `phones`. The directory (directory.ts) needs devices, so it is made beside it.
 */
import type { Db } from '../../db/open.ts'
import type { Bridges, MatrixSessions } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Avatars } from '../media/avatars.ts'
import { createChatRepository } from './chat-repository.ts'
import { createChatRooms } from './chat-rooms.ts'
import { createContacts } from './contacts.ts'
import { createKnowledge } from './knowledge.ts'
import { createKnownPeople } from './known-people.ts'
import { createPeopleRepository } from './people-repository.ts'
import { createPeoplesPhones } from './phones.ts'

export interface ChatsParts {
  db: Db
  bridges: Bridges
  sessions: Pick<MatrixSessions, 'actingAs'>
  /** The Matrix user of an identity. */
  matrixUserOf(identityId: string): Promise<string>
  avatars: Pick<Avatars, 'urlOf'>
  clock: Clock
  logger: Logger
}

export type ChatsModule = ReturnType<typeof createChatsModule>

export function createChatsModule(parts: ChatsParts) {
  const chats = createChatRepository(parts.db)
  const people = createPeopleRepository(parts.db)
  const knowledgeOf = createKnowledge(parts)
  const phones = createPeoplesPhones({ ...parts, repository: people })
  return {
    /** The rows. */
    chats,
    chatRooms: createChatRooms({ ...parts, repository: chats, knowledgeOf }),
    knowledgeOf,
    contacts: createContacts({ ...parts, repository: people }),
    phones,
    knownPeople: createKnownPeople({ ...parts, repository: people, phones, chats }),
  }
}
