/**
 * Retires identities whose last token is gone: nothing of theirs is sent any more, their webhooks
 * are removed and their devices logged out, so that nobody goes on receiving what they may no
 * longer read. The host identity stays: new tokens can share it.
 */
import { messageOf } from '../../domain/errors.ts'
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'

/** Things of an identity that outlive its tokens. */
export interface Belongings {
  /** Gives up all that waits to be sent. */
  discardQueues(identityId: string): Promise<void>
  /** Logs all devices of the identity out. If a bridge doesn't answer it rejects: call it again. */
  logOutDevices(identityId: string): Promise<void>
  removeWebhooks(identityId: string): Promise<void>
}

export interface RetirementOptions {
  /** Identities without a token that still have something, the host identity never. */
  unreachable(): Promise<string[]>
  belongings: Belongings
  signals: Hears<'token-removed' | 'credential-changed'>
  clock: Clock
  logger: Logger
}

/** How often those are tried again that could not be retired completely, in milliseconds. */
const INTERVAL_MS = 600_000

export function createRetirement(options: RetirementOptions): Worker {
  const { unreachable, belongings, signals, clock, logger } = options
  const nudge = new Nudge()
  signals.onAny(['token-removed', 'credential-changed'], () => nudge.nudge())

  async function retire(identityId: string): Promise<void> {
    try {
      await belongings.discardQueues(identityId)
      await belongings.removeWebhooks(identityId)
      await belongings.logOutDevices(identityId)
      logger.info({ identity: identityId }, 'an identity without tokens was retired')
    } catch (error) {
      logger.warn({ identity: identityId, reason: messageOf(error) }, 'an identity could not be retired yet')
    }
  }

  async function retireAll(): Promise<void> {
    for (const identityId of await unreachable()) await retire(identityId)
  }

  return every('identity-retirement', INTERVAL_MS, retireAll, { clock, nudge })
}
