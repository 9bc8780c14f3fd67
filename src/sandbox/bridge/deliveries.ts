/**
 * Outgoing: the network's messages go into the rooms of linked accounts.
 *
 * Pending deliveries are rows, written with the message. Each chat of a login has a queue, worked
 * off in order; a row is deleted once the homeserver has the event. A resend after a crash has the
 * same transaction id, so it is the same event.
 */
import pLimit from 'p-limit'
import { backoffMs } from '../../lib/backoff.ts'
import { MatrixError } from '../../lib/matrix-error.ts'
import { refusalOf } from '../../lib/refusal.ts'
import type { Chat, Delivery, Media, Message } from '../network/types.ts'
import type { BridgeContext } from './context.ts'
import type { Ghosts } from './ghosts.ts'
import { createHistory, type Past } from './history.ts'
import { isMember } from './portal-rooms.ts'
import type { Portal, Portals } from './portals.ts'
import { createSender, hasStatus } from './sender.ts'
import { Undeliverable } from './uploads.ts'

const CONCURRENT_SENDS = 32
const RETRY = { baseMs: 250, capMs: 30_000 }
/** Refusals after which a room is replaced; TRIES_IN_ALL give up the message. */
const TRIES_IN_A_ROOM = 4
const TRIES_IN_ALL = 10

interface Queue {
  waiting: Delivery[]
  running: Promise<void> | null
}

export type Deliveries = ReturnType<typeof createDeliveries>

export function createDeliveries(
  context: BridgeContext,
  portals: Portals,
  ghosts: Ghosts,
  mxcOf: (media: Media) => Promise<string>,
) {
  const { clock, committer, facts, faults, homeserver, logger, network } = context
  const { store } = network
  const queues = new Map<string, Queue>()
  const sendPlaces = pLimit(CONCURRENT_SENDS)
  const stopping = new AbortController()
  /** Events sent whose row isn't on disk yet: later messages may refer to them. */
  const unsettledEvents = new Map<string, string>()
  const settling = new Set<Promise<void>>()
  const { sendInto, send, speakerOf } = createSender(context, { portals, ghosts, mxcOf, eventIn })
  const history = createHistory(context, { eventIn, speakerOf, mxcOf })

  function enqueue(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      if (delivery.platform !== facts.platform) continue
      const key = `${delivery.loginId} ${delivery.chatId}`
      const queue = queues.get(key) ?? { waiting: [], running: null }
      queues.set(key, queue)
      queue.waiting.push(delivery)
      wake(key, queue)
    }
  }

  function wake(key: string, queue: Queue): void {
    if (queue.running || stopping.signal.aborted || faults.of(facts.platform).offline) return
    queue.running = drain(queue).finally(() => {
      queue.running = null
      if (queue.waiting.length === 0) queues.delete(key)
      else wake(key, queue)
    })
  }

  async function drain(queue: Queue): Promise<void> {
    let failures = 0
    // An outage says nothing about the room, so only the room's refusals count.
    let refusals = 0
    let delivered = 1
    while (!stopping.signal.aborted && !faults.of(facts.platform).offline) {
      const [delivery] = queue.waiting
      if (!delivery) return
      try {
        delivered = await sendPlaces(() => deliver(delivery, queue.waiting))
      } catch (error) {
        failures++
        if (isOfRoom(error)) refusals++
        if (!isHopeless(error, refusals)) {
          if (failures === 1 || failures % 10 === 0) {
            logger.warn({ err: error, seq: delivery.seq, failures }, 'a message did not reach its room yet')
          }
          if (isOfRoom(error)) await recoverRoom(delivery, refusals)
          await clock.sleep(backoffMs(failures, RETRY), stopping.signal)
          continue
        }
        await giveUp(delivery, error)
        delivered = 1
      }
      queue.waiting.splice(0, delivered)
      failures = 0
      refusals = 0
    }
  }

  /** Checks a room that refuses its own ghosts again, and replaces it if that doesn't help. */
  async function recoverRoom({ loginId, chatId }: Delivery, refusals: number): Promise<void> {
    const portal = portals.find(loginId, chatId)
    if (!portal) return
    portals.doubt(portal)
    if (refusals % TRIES_IN_A_ROOM !== 0) return
    await portals.forget(portal).catch(error => {
      logger.warn({ err: error, room_id: portal.roomId }, 'a room could not be replaced yet')
    })
  }

  /** Reports it in the chat, as a bridge does, and continues with the next message. */
  async function giveUp(delivery: Delivery, error: unknown): Promise<void> {
    const message = store.messageAt(delivery.seq)
    logger.warn({ err: error, message: message?.id }, 'a message was given up: its room will never take it')
    const portal = portals.find(delivery.loginId, delivery.chatId)
    const notice = message && portal && !message.target ? await notifyGivenUp(portal, message, error) : null
    const phones = store.chat(delivery.chatId)?.members ?? []
    settle(delivery, message?.id ?? '', portal?.roomId ?? '', notice, phones)
  }

  /** @returns the notice, or null when the room refuses it too */
  async function notifyGivenUp(portal: Portal, message: Message, error: unknown): Promise<string | null> {
    const body = `A message could not be delivered here: ${error instanceof Error ? error.message : error}`
    const notice = { type: 'm.room.message', content: { msgtype: 'm.notice', body } }
    return send(portal, { ...message, id: `${message.id}-given-up` }, notice).catch(() => null)
  }

  /**
   * @param waiting it and those behind it
   * @returns how many of them were delivered: what is from before the link goes together
   */
  async function deliver(delivery: Delivery, waiting: readonly Delivery[]): Promise<number> {
    const message = store.messageAt(delivery.seq)
    const login = store.login(delivery.platform, delivery.loginId)
    const chat = store.chat(delivery.chatId)
    if (!login) return 1
    if (!message || !chat) throw new Undeliverable('there is no such message or chat')
    // Who leaves a group before it has a room needs none.
    if (!isMember(login, chat) && !portals.find(login.id, chat.id)) return settleUnseen(delivery)
    const portal = await portals.ensure(login, chat)
    const past = history.pastOf(waiting)
    if (past.length > 0 && (await homeserver.takesBatches())) return deliverHistory(portal, past, chat)
    const eventId = eventIn(portal, message.id) ?? (await sendInto(portal, login, chat, message))
    settle(delivery, message.id, portal.roomId, eventId, chat.members)
    return 1
  }

  function settleUnseen(delivery: Delivery): number {
    settle(delivery, '', '', null, [])
    return 1
  }

  async function deliverHistory(portal: Portal, past: readonly Past[], chat: Chat): Promise<number> {
    const missing = past.filter(({ message }) => eventIn(portal, message.id) === undefined)
    const sent = await history.send(
      portal,
      missing.map(({ message }) => message),
      true,
    )
    for (const { delivery, message } of past) {
      const eventId = sent.get(message.id) ?? eventIn(portal, message.id) ?? null
      settle(delivery, message.id, portal.roomId, eventId, chat.members)
    }
    return past.length
  }

  function settle(
    delivery: Delivery,
    messageId: string,
    roomId: string,
    eventId: string | null,
    phones: readonly string[],
  ): void {
    const key = `${roomId} ${messageId}`
    if (eventId !== null) unsettledEvents.set(key, eventId)
    const write = note(() => store.settleDelivery(delivery, messageId, roomId, eventId))
      .then(isNoted => {
        if (isNoted) network.notify({ kind: 'delivered', phones, messageId })
      })
      .finally(() => {
        unsettledEvents.delete(key)
        settling.delete(write)
      })
    settling.add(write)
  }

  /** Retries until there is space. A restart repeats unrecorded deliveries as the same events. */
  async function note(settleRow: () => void): Promise<boolean> {
    for (let failures = 1; !stopping.signal.aborted; failures++) {
      try {
        await committer.write(settleRow)
        return true
      } catch (error) {
        if (failures === 1) logger.error({ err: error }, 'a delivery could not be noted yet')
        await clock.sleep(backoffMs(failures, RETRY), stopping.signal)
      }
    }
    return false
  }

  /** The room's event of the message. */
  function eventIn({ roomId }: Portal, messageId: string | null | undefined): string | undefined {
    if (!messageId) return undefined
    return unsettledEvents.get(`${roomId} ${messageId}`) ?? store.eventOfMessage(messageId, roomId)
  }

  return {
    enqueue,
    /** Continues with deliveries of earlier runs. */
    resume: () => enqueue(store.deliveries(facts.platform)),
    /** Continues after the network came back. */
    nudge(): void {
      for (const [key, queue] of queues) wake(key, queue)
    },
    sendOlder: history.sendOlder,
    /** Drops a removed login's deliveries from memory. */
    forgetLogin(loginId: string): void {
      for (const queue of queues.values()) {
        // The first may be running; it ends by itself, as its login is gone.
        queue.waiting = queue.waiting.filter((delivery, index) => index === 0 || delivery.loginId !== loginId)
      }
    },
    /** Resolves when no delivery is running. */
    async stop(): Promise<void> {
      stopping.abort()
      await Promise.allSettled([...queues.values()].map(queue => queue.running))
      await Promise.allSettled(settling)
    },
  }
}

/** @param refusals of this message by rooms */
function isHopeless(error: unknown, refusals: number): boolean {
  if (error instanceof Undeliverable || refusals === TRIES_IN_ALL) return true
  return error instanceof MatrixError && refusalOf(error.status) === 'final'
}

function isOfRoom(error: unknown): boolean {
  return hasStatus(error, 403) || hasStatus(error, 404)
}
