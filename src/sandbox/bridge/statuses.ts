/** Tells senders what became of their messages: statuses by the bot, receipts by the readers. */
import pLimit from 'p-limit'
import { answersByItself } from '../network/network.ts'
import type { Chat, Login } from '../network/types.ts'
import { type BridgeContext, DIRECT, ghostUserId } from './context.ts'
import type { MatrixEvent } from './from-matrix.ts'
import type { Portal } from './portals.ts'
import { isRefused, type Refusal } from './refusals.ts'

const CONCURRENT_REQUESTS = 32
/** As many of the largest events as a request may hold. */
const STATUSES_TOGETHER = 16

/** An event's outcome as in com.beeper.message_send_status. */
export type Fate = { status: 'SUCCESS'; deliveredTo: string[] } | Refusal

/** A message event with where it belongs, as far as that is known. */
export interface Addressed {
  event: MatrixEvent
  portal: Portal
  login?: Login
  chat?: Chat
}

type Outcome = Addressed & { fate: Fate }

export function createStatuses(context: BridgeContext) {
  const { facts, homeserver, logger, network } = context
  const places = pLimit(CONCURRENT_REQUESTS)

  /** One status per event: no sender retries a failed send with the same event. */
  function statusOf({ event: { event_id: eventId }, fate }: Outcome) {
    const content = {
      'm.relates_to': { rel_type: 'm.reference', event_id: eventId },
      network: facts.networkId,
      status: fate.status,
      ...(fate.status === 'SUCCESS'
        ? { delivered_to_users: fate.deliveredTo }
        : { reason: fate.reason, error: fate.error, message: fate.message, internal_error: fate.error }),
    }
    return { content, txnId: `status-${eventId}` }
  }

  async function sendToRoom(roomId: string, outcomes: readonly Outcome[]): Promise<void> {
    for (let sent = 0; sent < outcomes.length; ) {
      const next = outcomes.slice(sent, sent + STATUSES_TOGETHER)
      try {
        sent += await homeserver.sendTogether(roomId, 'com.beeper.message_send_status', next.map(statusOf))
      } catch (error) {
        if (!isRefused(error)) throw error
        const { chat, login } = next[0] ?? {}
        logger.warn(
          { err: error, chat: chat?.id, login: login?.id },
          'the status of a message could not be sent',
        )
        sent++
      }
    }
  }

  return {
    async send(outcomes: readonly Outcome[]): Promise<void> {
      const rooms = Map.groupBy(outcomes, ({ portal }) => portal.roomId)
      await Promise.all([...rooms].map(([roomId, ofRoom]) => places(() => sendToRoom(roomId, ofRoom))))
    },

    /** Phones that answer by themselves read first: a receipt per room and ghost, for the last. */
    async markRead(messages: readonly Addressed[]): Promise<void> {
      const last = new Map(messages.map(message => [message.event.room_id, message]))
      const receipts = [...last.values()].flatMap(({ event, chat, login }) =>
        (chat?.members ?? [])
          .filter(phone => phone !== login?.phone && answersByItself(network.store, facts, phone))
          .map(phone => {
            const reader = ghostUserId(context, phone, chat ?? DIRECT)
            return places(() => homeserver.markRead(event.room_id, event.event_id, reader))
          }),
      )
      for (const result of await Promise.allSettled(receipts)) {
        if (result.status === 'rejected')
          logger.debug({ err: result.reason }, 'a read receipt could not be sent')
      }
    },
  }
}
