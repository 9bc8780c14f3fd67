/**
 * The inbox: the one pipeline for what homeservers tell, whichever source brings it. A batch becomes a plan, the plan one transaction;
 * only then is the batch acknowledged.
 */
import type { Chat } from '../../db/schema/index.ts'
import { GatewayError, isBridgeAway } from '../../domain/errors.ts'
import type { Observer, ReceivedBatch } from '../../domain/observation.ts'
import type { Bridges, EventBatch, EventSink, RoomEvent } from '../../domain/ports.ts'
import { UNDECRYPTABLE } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { STATUS_EVENT_TYPE } from '../../matrix/message-status.ts'
import { describeRoom } from '../../matrix/portal.ts'
import type { Worker } from '../../runtime/worker.ts'
import type { PeoplesPhones } from '../contacts/phones.ts'
import { checkBridgeEvents } from './forged-events.ts'
import { loginsOf, phoneKey, planBatch, planJoin } from './plan.ts'
import type { Knowledge, Plan } from './plan-types.ts'
import { takenBack } from './reactions.ts'
import type { InboxRepository } from './repository.ts'

export interface InboxOptions {
  repository: InboxRepository
  bridges: Pick<Bridges, 'platforms' | 'platformOfBot' | 'ownsUser'>
  /** Phone numbers of senders. */
  phones: Pick<PeoplesPhones, 'ofSender' | 'learn'>
  /** Asks the bridge for the identity's logins, when a message came for one we don't know. @throws GatewayError as bridges do */
  learnDevices(identityId: string, platform: string): Promise<void>
  observer?: Pick<Observer, 'batchReceived'>
  clock: Clock
  logger: Logger
}

export interface Inbox extends EventSink {
  /**
   * Ends a join: stores what the room's state says of the chat and what was said there before we were in.
   * @param state of the room, in full
   * @param events from the invitation on, oldest first
   * @throws GatewayError bridge_unavailable when it can't be found out for which device they are; what is held stays held
   */
  completeJoin(chat: Chat, state: RoomEvent[], events: RoomEvent[]): Promise<void>
  /** The events of a room that we are in, without those that falsely claim to be its bridge's. */
  genuine(events: readonly RoomEvent[]): Promise<RoomEvent[]>
}

/** Chats whose warning isn't repeated. */
const MAX_WARNED_OF = 10_000
/** Plans are made again at most this often before the batch is given back to its source. */
const MAX_REPLANS = 10

export function createInbox(options: InboxOptions): Inbox {
  const { repository, bridges, phones, learnDevices, observer, clock, logger } = options
  const warnedOf = new Set<string>()
  /** Platforms that the log has been told of. */
  const uncheckedPlatforms = new Set<string>()

  async function knowledgeFor(
    events: readonly RoomEvent[],
    others: readonly string[] = [],
  ): Promise<Knowledge> {
    const rooms = new Set<string>()
    const users = new Set(others)
    for (const event of events) {
      // What became of our messages is told by their ids alone.
      if (event.type === STATUS_EVENT_TYPE) continue
      rooms.add(event.room_id)
      users.add(event.sender)
      if (event.type === 'm.room.member' && event.state_key) users.add(event.state_key)
    }
    const known = await repository.knowledge([...rooms], [...users])
    const reactions = await repository.reactions([...known.identities.values()], takenBack(events))
    const platforms = new Map<string, string | null>()
    for (const event of events) {
      const { bridgeBot } = describeRoom([event])
      const [anyUser] = known.identities.keys()
      if (bridgeBot !== undefined && anyUser !== undefined && !platforms.has(bridgeBot)) {
        platforms.set(bridgeBot, await bridges.platformOfBot(bridgeBot, anyUser))
      }
    }
    const forged = forgedOf(events, known, platforms)
    return { ...known, reactions, platforms, forged, phones: await phonesOf(events, known) }
  }

  function forgedOf(
    events: readonly RoomEvent[],
    known: Pick<Knowledge, 'identities' | 'chats' | 'devices'>,
    platforms: Knowledge['platforms'],
  ): Knowledge['forged'] {
    const devices = [...known.devices.values()].flat()
    const { forged, unchecked } = checkBridgeEvents(events, { ...known, bridges, platforms, devices })
    if (forged.size > 0)
      logger.warn({ events: forged.size }, "state of a portal that isn't its bridge's was left out")
    for (const platform of unchecked.difference(uncheckedPlatforms)) {
      uncheckedPlatforms.add(platform)
      logger.warn(
        { platform },
        "it isn't known which Matrix users are this bridge's, so anybody on its homeserver is believed to be one: " +
          'attach it by `meshgate bridge add` instead of BRIDGES, which takes them from its registration',
      )
    }
    return forged
  }

  async function phonesOf(
    events: readonly RoomEvent[],
    { chats, devices }: Pick<Knowledge, 'chats' | 'devices'>,
  ): Promise<Knowledge['phones']> {
    const found = new Map<string, string | null | undefined>()
    for (const { room_id: roomId, sender, state_key, type } of events) {
      if (state_key !== undefined || type === STATUS_EVENT_TYPE) continue
      for (const chat of chats.filter(candidate => candidate.roomId === roomId)) {
        for (const device of devices.get(chat.identityId) ?? []) {
          const key = phoneKey(device.id, sender)
          if (!found.has(key)) found.set(key, await phones.ofSender(device, sender))
        }
      }
    }
    return found
  }

  /**
   * Plans and stores, again as long as the ground moves under the plan.
   * @param plan is given the logins that bridges couldn't be asked about
   * @param store returns false when the plan has to be made anew
   */
  async function settle(
    plan: (unanswered: ReadonlySet<string>) => Promise<Plan>,
    store: (plan: Plan) => Promise<boolean>,
  ): Promise<Plan> {
    const asked = new Set<string>()
    const unanswered = new Set<string>()
    for (let attempt = 0; attempt < MAX_REPLANS; attempt++) {
      const planned = await plan(unanswered)
      if (await learnUnknownDevices(planned, asked, unanswered)) continue
      if (await learnUnknownSenders(planned, asked)) continue
      if (!(await store(planned))) continue
      warnOfEncryption(planned)
      for (const { eventId, error } of planned.givenUp)
        logger.error({ event: eventId, err: error }, 'an event could not be understood and was given up')
      return planned
    }
    throw new GatewayError('conflict', 'the chats of a batch kept changing while it was being stored')
  }

  /** Once for each chat and run: nobody may have asked for the event that tells of it. */
  function warnOfEncryption({ messages }: Plan): void {
    for (const { payload } of messages) {
      const room = payload.chat.id
      if (payload.event !== UNDECRYPTABLE || warnedOf.has(room)) continue
      if (warnedOf.size < MAX_WARNED_OF) warnedOf.add(room)
      logger.warn(
        { room, platform: payload.platform },
        'a chat is end-to-end encrypted: what is said there can’t be read. Turn encryption off in the configuration of its bridge, and let that make the room anew',
      )
    }
  }

  /** @returns whether a device was asked about, so that the plan has to be made anew */
  async function learnUnknownDevices(
    plan: Plan,
    asked: Set<string>,
    unanswered: Set<string>,
  ): Promise<boolean> {
    const before = asked.size
    for (const { identityId, platform } of plan.unknownDevices) {
      const logins = loginsOf(identityId, platform)
      if (asked.has(logins)) continue
      asked.add(logins)
      await learnDevices(identityId, platform).catch(error => {
        if (error instanceof GatewayError && isBridgeAway(error)) unanswered.add(logins)
        logger.debug({ err: error }, 'asking for logins failed')
      })
    }
    return asked.size > before
  }

  /** @returns whether a bridge was asked about somebody, so that the plan has to be made anew */
  async function learnUnknownSenders({ unknownSenders }: Plan, asked: Set<string>): Promise<boolean> {
    const fresh = unknownSenders.filter(({ device, userId }) => !asked.has(phoneKey(device.id, userId)))
    for (const { device, userId } of fresh) asked.add(phoneKey(device.id, userId))
    const byDevice = Map.groupBy(fresh, ({ device }) => device.id)
    await Promise.all(
      [...byDevice.values()].map(senders => {
        const [first] = senders
        return first && phones.learn(first.device, [...new Set(senders.map(({ userId }) => userId))])
      }),
    )
    return fresh.length > 0
  }

  /** @returns null when the batch has been stored before */
  async function take(batch: EventBatch): Promise<Plan | null> {
    if (await repository.isRepeat(batch.position)) return null
    const users = batch.receipts.map(receipt => receipt.userId)
    if (batch.position.kind !== 'transaction') users.push(batch.position.userId)
    return await settle(
      async unanswered => planBatch(batch, { ...(await knowledgeFor(batch.events, users)), unanswered }),
      plan => repository.store(plan, clock.now()),
    )
  }

  function tell(
    { position, events, receipts }: EventBatch,
    outcome: ReceivedBatch['outcome'],
    plan: Plan | null,
    startedAt: number,
  ): void {
    const newest = events.reduce((latest, event) => Math.max(latest, event.origin_server_ts), 0)
    observer?.batchReceived({
      source: position.kind,
      origin: position.kind === 'transaction' ? position.txnId : position.userId,
      outcome,
      events: events.length,
      receipts: receipts.length,
      messages: plan?.messages.map(message => message.payload.id) ?? [],
      tookMs: performance.now() - startedAt,
      // The homeserver's clock may be ahead of ours.
      lagMs: newest === 0 ? null : Math.max(0, clock.now() - newest),
    })
  }

  return {
    async accept(batch: EventBatch) {
      const startedAt = performance.now()
      try {
        const plan = await take(batch)
        tell(batch, plan ? 'stored' : 'repeat', plan, startedAt)
      } catch (error) {
        tell(batch, 'failed', null, startedAt)
        throw error
      }
    },

    async completeJoin(chat, state, events) {
      let heldCount = 0
      await settle(
        async unanswered => {
          const held = await repository.held(chat.identityId, chat.roomId)
          heldCount = held.length
          const seen = new Set(events.map(event => event.event_id))
          const all = [...events, ...held.filter(event => !seen.has(event.event_id))]
          const knowledge = { ...(await knowledgeFor([...state, ...all])), unanswered }
          const plan = planJoin(chat, state, all, knowledge)
          if (plan.held.length === 0) return plan
          throw new GatewayError('bridge_unavailable', 'the bridge can’t be asked whose chat it is')
        },
        plan => repository.storeJoin(plan, chat, heldCount, clock.now()),
      )
    },

    async genuine(events) {
      const { forged } = await knowledgeFor(events)
      return events.filter(event => !forged.has(event.event_id))
    },
  }
}

/** Repeats of a transaction come within minutes; after this they are forgotten. */
const REMEMBERED_MS = 7 * 24 * 3_600_000
const CLEANUP_INTERVAL_MS = 3_600_000

/** Forgets transaction ids and early statuses that nothing will ask for any more. */
export function createInboxCleanup(repository: InboxRepository, clock: Clock): Worker {
  return {
    name: 'inbox-cleanup',
    async run(signal) {
      while (!signal.aborted) {
        await repository.forget(clock.now() - REMEMBERED_MS)
        await clock.sleep(CLEANUP_INTERVAL_MS, signal)
      }
    },
  }
}
