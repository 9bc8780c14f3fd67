/** Actions, and how they are done when their turn has come. */
import type { Db } from '../../db/open.ts'
import type { ChatsModule } from '../chats/index.ts'
import type { MediaFiles } from '../media/media.ts'
import { createActRepository } from './action-repository.ts'
import { type ActionsOptions, createActions } from './actions.ts'
import { createForwarding, type ForwardingOptions } from './forwarding.ts'
import { type ActHandlersOptions, createActHandlers } from './handlers.ts'
import { createTargetRepository } from './target-repository.ts'
import { createTargets } from './targets.ts'

export interface ActionsParts
  extends Omit<ActionsOptions, 'acts' | 'targets' | 'chats' | 'media' | 'recipients'>,
    Pick<ForwardingOptions, 'messages'>,
    Pick<ChatsModule, 'chats' | 'chatRooms'> {
  db: Db
  recipients: ActionsOptions['recipients'] & ActHandlersOptions['recipients']
  media: Pick<MediaFiles, 'get' | 'upload' | 'discardAll'> & ForwardingOptions['media']
}

export function createActionsModule(parts: ActionsParts) {
  const acts = createActRepository(parts.db)
  const targets = createTargets(createTargetRepository(parts.db))
  return {
    actions: createActions({ ...parts, acts, targets }),
    forwarding: createForwarding({ ...parts, targets }),
    /** For the outbox. */
    acts: createActHandlers({ ...parts, acts, targets }),
  }
}
