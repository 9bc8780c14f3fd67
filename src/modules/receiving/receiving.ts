/**
 * Takes batches of facts from any source. A batch becomes a plan, the plan one transaction; only
 * then is the batch acknowledged.
 */
import type { Chat } from '../../db/schema/index.ts'
import { GatewayError, isBridgeAway } from '../../domain/errors.ts'
import type { Fact, SaidFact } from '../../domain/facts.ts'
import type { Observer, ReceivedBatch } from '../../domain/observation.ts'
import type { EventBatch, EventSink, MatrixSessions } from '../../domain/ports.ts'
import type { Emits } from '../../domain/signals.ts'
import { UNDECRYPTABLE } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { KnowledgeOf } from '../chats/knowledge.ts'
import type { PeoplesPhones } from '../chats/phones.ts'
import { createEarlierEvents } from './earlier-events.ts'
import { chatKey, loginsOf, phoneKey, planBatch, planJoin } from './plan.ts'
import type { Knowledge, Plan } from './plan-types.ts'
import type { ReceivingRepository } from './receiving-repository.ts'

export interface ReceivingOptions {
  repository: ReceivingRepository
  knowledgeOf: KnowledgeOf
  sessions: Pick<MatrixSessions, 'actingAs'>
  /** Phone numbers of senders. */
  phones: Pick<PeoplesPhones, 'ofSender' | 'learn'>
  /** Asks the bridge for the identity's logins. @throws GatewayError as bridges do */
  learnDevices(identityId: string, platform: string): Promise<void>
  observer?: Pick<Observer, 'batchReceived'>
  /** Hears of history; undefined: nobody waits for any. */
  signals?: Emits<'history-stored'>
  clock: Clock
  logger: Logger
}

export interface Receiving extends Pick<EventSink, 'accept'> {
  /**
   * Ends the join of a chat that was entered: stores people's names and the messages from before.
   * @param state of the room, in full
   * @param said from the invitation on, oldest first
   * @throws GatewayError bridge_unavailable when no bridge can tell whose they are: they stay held
   */
  completeJoin(
    chat: Pick<Chat, 'identityId' | 'roomId'>,
    state: readonly Fact[],
    said: readonly SaidFact[],
  ): Promise<void>
}

/** Chats whose warning isn't repeated. */
const MAX_WARNED_OF = 10_000
/** Plans are made again at most this often before the batch is given back to its source. */
const MAX_REPLANS = 10

export function createReceiving(options: ReceivingOptions): Receiving {
  const { repository, knowledgeOf, phones, learnDevices, observer, signals, clock, logger } = options
  const earlierEvents = createEarlierEvents(options)
  const warnedOf = new Set<string>()
  async function knowledgeFor(...about: Parameters<KnowledgeOf>): Promise<Knowledge> {
    const [facts] = about
    const known = await knowledgeOf(...about)
    return { ...known, earlier: await earlierEvents(facts, known), phones: await phonesOf(facts, known) }
  }

  async function phonesOf(
    facts: readonly Fact[],
    { chats, devices }: Pick<Knowledge, 'chats' | 'devices'>,
  ): Promise<Knowledge['phones']> {
    const found = new Map<string, string | null | undefined>()
    for (const fact of facts) {
      const speaker = whoActs(fact)
      if (speaker === null) continue
      const { roomId, userId: sender } = speaker
      for (const chat of chats.filter(candidate => candidate.roomId === roomId)) {
        if (fact.fact === 'membership' && chat.membership !== 'joined') continue
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
      announceHistory(planned)
      for (const { fact, error } of planned.givenUp) {
        const event = 'eventId' in fact ? fact.eventId : null
        logger.error({ event, err: error }, 'an event could not be understood and was given up')
      }
      return planned
    }
    throw new GatewayError('conflict', 'the chats of a batch kept changing while it was being stored')
  }

  function announceHistory({ messages }: Plan): void {
    const past = messages.filter(({ payload, isRemoval }) => payload === null && !isRemoval)
    const byChat = Map.groupBy(past, ({ history }) => chatKey(history.identityId, history.roomId))
    for (const [first, ...rest] of byChat.values())
      if (first)
        signals?.emit('history-stored', first.history.identityId, first.history.roomId, rest.length + 1)
  }

  /** Once for each chat and run: nobody may have asked for the event that tells of it. */
  function warnOfEncryption({ messages }: Plan): void {
    for (const { payload } of messages) {
      if (!payload) continue
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
    const { position, facts } = batch
    const hearers = position.kind === 'transaction' ? [] : [position.userId]
    return await settle(
      async unanswered =>
        planBatch(batch, { ...(await knowledgeFor(facts, { users: hearers })), unanswered }),
      plan => repository.store(plan, clock.now()),
    )
  }

  function observe(
    { position, facts, eventCount, newestAt }: EventBatch,
    outcome: ReceivedBatch['outcome'],
    plan: Plan | null,
    startedAt: number,
  ): void {
    observer?.batchReceived({
      source: position.kind,
      origin: position.kind === 'transaction' ? position.txnId : position.userId,
      outcome,
      events: eventCount,
      receipts: facts.filter(fact => fact.fact === 'receipt').length,
      messages: plan?.messages.flatMap(({ payload }) => payload?.id ?? []) ?? [],
      tookMs: performance.now() - startedAt,
      // The homeserver's clock may be ahead of ours.
      lagMs: newestAt ? Math.max(0, clock.now() - newestAt) : null,
    })
  }

  return {
    async accept(batch: EventBatch) {
      const startedAt = performance.now()
      try {
        const plan = await take(batch)
        observe(batch, plan ? 'stored' : 'repeat', plan, startedAt)
      } catch (error) {
        observe(batch, 'failed', null, startedAt)
        throw error
      }
    },

    async completeJoin(chat, state, said) {
      let heldCount = 0
      await settle(
        async unanswered => {
          const held = await repository.held(chat.identityId, chat.roomId)
          heldCount = held.count
          const seen = new Set(said.map(({ eventId }) => eventId))
          const all = [...said, ...held.facts.filter(({ eventId }) => !seen.has(eventId))]
          const names = state.filter(fact => fact.fact === 'name')
          const known = await knowledgeFor([...names, ...all], { rooms: [chat.roomId] })
          const plan = planJoin(chat, names, all, { ...known, unanswered })
          if (plan.held.length === 0) return plan
          throw new GatewayError('bridge_unavailable', 'the bridge can’t be asked whose chat it is')
        },
        plan => repository.storeJoin(plan, chat, heldCount, clock.now()),
      )
    },
  }
}

/** @returns whose number an event of the fact shows; null for a fact without such an event */
function whoActs(fact: Fact): { roomId: string; userId: string } | null {
  if (fact.fact === 'message' || fact.fact === 'reaction') return { roomId: fact.roomId, userId: fact.sender }
  return fact.fact === 'membership' && fact.change ? fact : null
}
