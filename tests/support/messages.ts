/** The sending use cases on a repository, with nothing around them but what a test replaces. */
import { createBacklog } from '../../src/modules/messages/backlog.ts'
import { createMessages, type MessagesOptions } from '../../src/modules/messages/messages.ts'
import type { MessageRepository } from '../../src/modules/messages/repository.ts'
import { ManualClock } from './manual-clock.ts'

export function messagesOn(repository: MessageRepository, change: Partial<MessagesOptions> = {}) {
  return createMessages({
    repository,
    devices: { find: async () => null },
    media: { discard: async () => undefined, discardAll: async () => undefined },
    backlog: roomyBacklog(),
    paceOf: () => ({ intervalMs: 0, jitter: 0, burst: 1 }),
    onAccepted: () => undefined,
    onDeliveries: () => undefined,
    clock: new ManualClock(),
    ...change,
  })
}

function roomyBacklog() {
  const limits = { perIdentity: 1_000_000, inAll: 1_000_000 }
  return createBacklog({ limits, waiting: new Map(), onRequeued: () => undefined })
}
