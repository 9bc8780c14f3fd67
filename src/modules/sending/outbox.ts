/**
 * The outbox: sends the messages of lanes that are due, and does the acts that wait between them. A
 * crash between a send and its settlement repeats the send with the same transaction id, which the
 * homeserver answers with the same event.
 */
import type { Device, Message } from '../../db/schema/index.ts'
import { GatewayError, isPassing, messageOf } from '../../domain/errors.ts'
import type { Observer } from '../../domain/observation.ts'
import type { MatrixSession, MatrixSessions } from '../../domain/ports.ts'
import type { Hears } from '../../domain/signals.ts'
import type { ActType, DeviceState } from '../../domain/states.ts'
import { backoffMs } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { maskingNumbers } from '../../lib/masking-logger.ts'
import { createLaneWorker, type ItemEnd } from '../../runtime/lane-worker.ts'
import type { Worker } from '../../runtime/worker.ts'
import type { ChatRooms } from '../chats/chat-rooms.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { DeviceRestricted, refuseNewChat, restrictedUntil } from '../devices/restriction.ts'
import type { MediaFiles } from '../media/media.ts'
import { type Act, isAct } from './act-repository.ts'
import { quotedEvent } from './content/replies.ts'
import { createHandover, type HandedOver, isPlainText, takeWhile, transactionId } from './handover.ts'
import type { Pace } from './limits.ts'
import { type MessageRepository, waitsSince } from './message-repository.ts'
import type { ClaimedLane, OutboxQueue, Settlement } from './queue/queue-repository.ts'
import type { Recipients } from './recipients.ts'
import { DEVICE_DELETED, expiredReason, isDiscarded, isExpired } from './statuses/ending-repository.ts'

/** A try at an act. */
export interface ActTry {
  act: Act
  device: Device
  session: MatrixSession
  /** The same for each repeat of a try. */
  txnId: string
  /** True when an earlier try, whose end isn't known, may have gone through. */
  isRepeat: boolean
}

/**
 * @returns where it was done: `eventId` is null where no bridge will report on it; `waits` as long
 * as the message that it is for is still to be sent, `unreported` while the bridge may still have
 * to read the event that it takes back
 * @throws GatewayError when the act can't be done
 */
export type ActHandler = (
  attempt: ActTry,
) => Promise<{ eventId: string | null; roomId: string; bridgeBot: string | null } | 'waits' | 'unreported'>

export interface OutboxOptions {
  queue: OutboxQueue
  recipients: Pick<Recipients, 'resolve' | 'mentioned' | 'closedRooms' | 'follow' | 'forget'>
  messages: Pick<MessageRepository, 'isUnderWay' | 'answered'>
  devices: Pick<LinkedDevices, 'get' | 'reconcile'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  media: Pick<MediaFiles, 'get' | 'upload'>
  acts: Readonly<Record<ActType, ActHandler>>
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
  paceOf(platform: string): Pace
  signals: Hears<'accepted' | 'clock-moved' | 'device-settled'>
  observer?: Pick<Observer, 'sendAttempted'>
  clock: Clock
  logger: Logger
}

/** Lanes in flight at a time, and messages taken from one at a time. */
const MAX_LANES = 128
const MAX_MESSAGES_PER_LANE = 32
const RETRY = { baseMs: 500, capMs: 60_000 }
/** A message that could not be handed over for this long since its first try has failed. */
const GIVE_UP_AFTER_MS = 24 * 3_600_000

/**
 * A message that the bridge refuses for this long and this often, with the device connected, has
 * failed.
 */
const PASSES_WITHIN_MS = 600_000
const PASSES_WITHIN_ATTEMPTS = 5
/**
 * States in which a device can't send for now. One that was logged out can when it is linked again,
 * until its messages are given up.
 */
const AWAY: readonly DeviceState[] = ['connecting', 'disconnected', 'logged_out']
/** An unexpected error is a defect of ours; it is tried again this often in case it passes. */
const MAX_UNEXPECTED_ATTEMPTS = 5

const UNREPORTED = 'what it takes back is with the bridge, which hasn’t said yet that it passed it on'
/** Reports mostly come within this time. */
const LOOK_AGAIN_MS = 500
const MOVING = 'the chat moves to another room: what its bridge didn’t take in the old one goes first'

type Sent = Extract<Settlement, { outcome: 'submitted' }> & HandedOver

export function createOutbox(options: OutboxOptions): Worker {
  const {
    queue,
    recipients,
    messages,
    devices,
    chatRooms,
    media,
    acts,
    sessions,
    matrixUserOf,
    paceOf,
    signals,
    observer,
    clock,
  } = options
  // Errors of the parts below may name the recipient.
  const logger = maskingNumbers(options.logger)
  signals.on('device-settled', deviceRowId => {
    queue
      .wake(deviceRowId, clock.now())
      .catch(error =>
        logger.error({ device: deviceRowId, err: error }, 'lanes could not be woken; they wait on'),
      )
  })
  const handOver = createHandover({ queue, media })

  /**
   * @param behind messages of the lane that may go with it
   * @param sentJustNow events of messages of the lane whose sending isn't stored yet
   * @param stored resolves once all before it in the lane are stored
   * @returns `waits` for the message that it answers, for one before it, or for its file
   */
  async function send(
    message: Message,
    behind: readonly Message[],
    sentJustNow: ReadonlyMap<string, string>,
    stored: () => Promise<unknown>,
  ): Promise<Settlement | Sent | 'waits'> {
    if (isExpired(message, clock.now())) return { outcome: 'failed', reason: expiredReason(message) }
    const device = await connectedDevice(message)
    const userId = await matrixUserOf(message.identityId)
    const session = sessions.actingAs(userId)
    if (isAct(message)) return doAct(message, device, session)
    const quoted = await quotedEvent(messages, message, sentJustNow)
    if (quoted === 'waits') return 'waits'
    if (message.mediaId !== null && (await media.get(message.mediaId)).sourceUrl !== null) return 'waits'
    const roomId = await recipients.resolve(device, userId, message.recipientKind, message.recipient)
    await holdFirstAgain(device, message, roomId)
    const mentioned = await recipients.mentioned(device, userId, message.content?.mentions)
    const along = takeWhile(behind, other => goesAlong(other) && !isDiscarded(other, device))
    try {
      const chat = await chatRooms.ensureEntered(message.identityId, roomId)
      const closedRooms = await recipients.closedRooms(device, message.recipient, roomId, chat.roomId)
      // Messages that went into a closed room just now count as well.
      if (closedRooms.length > 0) await stored()
      for (const closed of closedRooms) {
        const waitMs = await queue.settleClosedRoom(message.identityId, closed, clock.now())
        if (waitMs !== null)
          return { outcome: 'retry', reason: MOVING, refusedSince: null, retryInMs: waitMs }
      }
      // The worker of closed rooms may have been faster, and sent back what comes before.
      if (closedRooms.length > 0 && (await queue.overtakes(message))) return 'waits'
      const handedOver = await handOver(
        chat,
        session,
        { ...message, replyTo: quoted.eventId },
        along,
        mentioned,
      )
      if (chat.roomId !== roomId) await recipients.follow(device, roomId, chat.roomId)
      return { outcome: 'submitted', roomId: chat.roomId, ...handedOver }
    } catch (error) {
      if (isGone(error)) await recipients.forget(device, roomId)
      // The room that was known may be out of date: once more with what the bridge says now.
      if (isGone(error) && message.attempts === 1)
        return { outcome: 'retry', reason: messageOf(error), refusedSince: null }
      throw error
    }
  }

  async function doAct(act: Act, device: Device, session: MatrixSession): Promise<Settlement | 'waits'> {
    const attempt = { act, device, session, txnId: transactionId(act), isRepeat: act.attempts > 1 }
    const done = await acts[act.act](attempt)
    if (done === 'waits') return 'waits'
    if (done === 'unreported')
      return { outcome: 'retry', reason: UNREPORTED, refusedSince: null, retryInMs: LOOK_AGAIN_MS }
    const { eventId, ...at } = done
    return eventId === null ? { outcome: 'done' } : { outcome: 'submitted', eventId, ...at }
  }

  /**
   * A network refuses a device's first messages before its bridge reports the restriction. One that
   * was sent back is still a first message, unless something was said in its chat since.
   * @throws DeviceRestricted
   */
  async function holdFirstAgain(device: Device, message: Message, roomId: string): Promise<void> {
    if (message.resends === 0 || message.recipientKind !== 'contact') return
    if (restrictedUntil(device, clock.now()) === null) return
    if (!(await messages.isUnderWay(device.identityId, roomId))) refuseNewChat(device, clock.now())
  }

  /** True when it can be sent with the one before: nothing needs to be asked or uploaded for it. */
  function goesAlong(message: Message): boolean {
    return isPlainText(message) && message.replyTo === null && !isExpired(message, clock.now())
  }

  /** @throws GatewayError bridge_unavailable while the device has no connection */
  async function connectedDevice(message: Message): Promise<Device> {
    const id = message.deviceRowId
    let device = await devices.get(id)
    if (device && device.removedAt === null && AWAY.includes(device.state)) {
      await devices.reconcile(device.identityId, device.platform)
      device = await devices.get(id)
    }
    if (!device || isDiscarded(message, device)) throw new GatewayError('not_found', DEVICE_DELETED)
    if (!AWAY.includes(device.state)) return device
    throw new GatewayError('bridge_unavailable', `the device is ${inWords(device)}`)
  }

  /**
   * Decides what a failed try means for the message. Its time counts from its first try: in the
   * queue of its device's pace it may wait for days.
   */
  async function settlementOf(error: unknown, message: Message): Promise<Settlement> {
    const reason = messageOf(error)
    if (error instanceof DeviceRestricted) return { outcome: 'held', reason, until: error.until }
    if (error instanceof GatewayError) {
      if (!isPassing(error)) return { outcome: 'failed', reason }
      const refusedSince = error.code.startsWith('bridge_') ? await refusedSinceOf(message) : null
      const now = clock.now()
      const isOften = message.attempts >= PASSES_WITHIN_ATTEMPTS
      if (refusedSince !== null && now - refusedSince > PASSES_WITHIN_MS && isOften)
        return { outcome: 'failed', reason }
      const heldUpSince = message.failingSince ?? now
      if (now - heldUpSince > GIVE_UP_AFTER_MS)
        return { outcome: 'failed', reason: `given up after a day: ${reason}`, heldUpSince }
      const { retryAfterS } = error
      return {
        outcome: 'retry',
        reason,
        refusedSince,
        ...(retryAfterS === undefined ? {} : { retryInMs: retryAfterS * 1000 }),
      }
    }
    logger.error({ message: message.id, err: error }, 'sending failed unexpectedly')
    const unexpected = `internal error: ${reason}`
    return message.attempts >= MAX_UNEXPECTED_ATTEMPTS
      ? { outcome: 'failed', reason: unexpected }
      : { outcome: 'retry', reason: unexpected, refusedSince: null }
  }

  /**
   * @returns since when the bridge refuses the message that it has just refused; null while the
   * device has no connection, which is reason enough
   */
  async function refusedSinceOf({ deviceRowId, refusedSince }: Message): Promise<number | null> {
    const device = await devices.get(deviceRowId)
    if (device?.state !== 'connected') return null
    return Math.max(refusedSince ?? clock.now(), device.stateSince)
  }

  function tell({ platform }: ClaimedLane, message: Message, settlement: Settlement, tookMs: number): void {
    const { id: messageId, identityId, deviceRowId, recipient, attempts: attempt } = message
    const isDone = settlement.outcome === 'submitted' || settlement.outcome === 'done'
    observer?.sendAttempted({
      messageId,
      identityId,
      deviceRowId,
      platform,
      recipient,
      attempt,
      outcome: settlement.outcome === 'done' ? 'submitted' : settlement.outcome,
      reason: isDone ? null : settlement.reason,
      eventId: settlement.outcome === 'submitted' ? settlement.eventId : null,
      tookMs,
      ageMs: clock.now() - waitsSince(message),
    })
  }

  /** Sends a lane's messages. */
  function begin(lane: ClaimedLane) {
    const sentJustNow = new Map<string, string>()
    let stored: Promise<unknown> = Promise.resolve()
    return async (message: Message, behind: readonly Message[]): Promise<ItemEnd> => {
      const startedAt = performance.now()
      const settle = (which: Message, settlement: Settlement) => {
        if (settlement.outcome === 'submitted') sentJustNow.set(which.id, settlement.eventId)
        tell(lane, which, settlement, performance.now() - startedAt)
        const settling = queue.settle(which, settlement, clock.now())
        stored = settling
        return settling
      }
      const settlement = await send(message, behind, sentJustNow, () => stored).catch(error =>
        settlementOf(error, message),
      )
      // The next claim finds it at the head of its lane, and puts the lane off.
      if (settlement === 'waits') return { heldUntil: clock.now() }
      const settling = settle(message, settlement)
      if (settlement.outcome === 'held') return { settling, heldUntil: settlement.until }
      if (settlement.outcome === 'retry') {
        const waitMs = settlement.retryInMs ?? backoffMs(message.attempts, RETRY)
        return { settling, heldUntil: clock.now() + waitMs }
      }
      if (!('alsoSent' in settlement)) return { settling }
      const { alsoSent, said: _, ...submitted } = settlement
      const others = behind
        .slice(0, alsoSent.length)
        .map((other, index) => settle(other, { ...submitted, eventId: alsoSent[index] ?? '' }))
      return { settling: Promise.all([settling, ...others]), alsoDone: others.length }
    }
  }

  return createLaneWorker<ClaimedLane, Message>({
    name: 'outbox',
    queue,
    maxLanes: MAX_LANES,
    claim: due => queue.claim({ ...due, maxMessagesPerLane: MAX_MESSAGES_PER_LANE, paceOf }),
    itemsOf: lane => lane.messages,
    begin,
    listen: wake => signals.onAny(['accepted', 'clock-moved'], wake),
    // Not the lane, which is called after its recipient.
    describe: lane => ({ device: lane.messages[0]?.deviceRowId }),
    clock,
    logger,
  })
}

function inWords({ state, stateReason }: Device): string {
  const reason = stateReason ?? 'no reason given'
  return state === 'logged_out'
    ? `logged out, the message waits for it to be linked again: ${reason}`
    : `${state}: ${reason}`
}

function isGone(error: unknown): boolean {
  return error instanceof GatewayError && (error.code === 'forbidden' || error.code === 'not_found')
}
