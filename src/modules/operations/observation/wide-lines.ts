/**
 * One wide line for each try at sending, each try at delivering and each batch received. Ids tie
 * them together: a request's line names its `message_ids`, a send's its `event_id`, a batch its
 * `event_ids`, and a delivery its event. Texts, file names and recipients never stand in them,
 * phone numbers only by their last digits. Requests have their lines from src/http/access-log.ts.
 */

import type { Observer } from '../../../domain/observation.ts'
import { groupKey } from '../../../domain/written-recipients.ts'
import type { Logger } from '../../../lib/logger.ts'
import { maskAddresses, maskNames } from '../../../lib/mask-addresses.ts'
import { contactKey, normaliseContact } from '../../../lib/phone-numbers.ts'

/** A batch after an outage may have thousands; `messages` counts them. */
const MAX_EVENT_IDS = 20

/** @param verbose also logs, at debug level, batches that brought nothing for webhooks */
export function createWideLines(
  logger: Pick<Logger, 'debug' | 'info' | 'warn'>,
  verbose: boolean,
): Partial<Observer> {
  return {
    sendAttempted(attempt) {
      const { reason, eventId, outcome } = attempt
      const line = {
        message_id: attempt.messageId,
        device: attempt.deviceRowId,
        platform: attempt.platform,
        attempt: attempt.attempt,
        outcome,
        ...(eventId !== null && { event_id: eventId }),
        ...(reason !== null && { reason: maskNames(reason, spellingsOf(attempt.recipient)) }),
        ms: tenths(attempt.tookMs),
        age_ms: Math.round(attempt.ageMs),
      }
      if (outcome === 'failed') logger.warn(line, 'send')
      else logger.info(line, 'send')
    },

    messageSettled({ messageId, deviceRowId, status, ageMs }) {
      if (!verbose) return
      logger.debug(
        { message_id: messageId, device: deviceRowId, status, age_ms: Math.round(ageMs) },
        'status',
      )
    },

    deliveryAttempted(attempt) {
      const { outcome, status, error } = attempt
      const line = {
        delivery_id: attempt.deliveryId,
        webhook: `${attempt.identityId}/${attempt.webhookId}`,
        event: attempt.event,
        event_id: attempt.eventId,
        device: attempt.deviceRowId,
        attempt: attempt.attempt,
        outcome,
        ...(status !== null && { status }),
        // With a status, the error holds what the endpoint answered: it may say the message back.
        ...(status === null && error !== null && { error: maskAddresses(error) }),
        ms: tenths(attempt.tookMs),
        age_ms: Math.round(attempt.ageMs),
      }
      if (outcome === 'dead') logger.warn(line, 'delivery')
      else logger.info(line, 'delivery')
    },

    batchReceived(batch) {
      const { outcome, messages, lagMs } = batch
      const isQuiet = outcome !== 'failed' && messages.length === 0
      if (isQuiet && !verbose) return
      const line = {
        source: batch.source,
        batch: maskAddresses(batch.origin),
        outcome,
        events: batch.events,
        receipts: batch.receipts,
        messages: messages.length,
        ...(messages.length > 0 && { event_ids: messages.slice(0, MAX_EVENT_IDS) }),
        ms: tenths(batch.tookMs),
        ...(lagMs !== null && { lag_ms: Math.round(lagMs) }),
      }
      if (isQuiet) logger.debug(line, 'batch')
      else if (outcome === 'failed') logger.warn(line, 'batch')
      else logger.info(line, 'batch')
    },
  }
}

/** A reason says the recipient as it was given, or as our bridges were asked for it. */
function spellingsOf(recipient: string): string[] {
  const handle = recipient.trim().replace(/^@/, '')
  return [recipient, handle, normaliseContact(recipient), contactKey(recipient), groupKey(recipient)]
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}
