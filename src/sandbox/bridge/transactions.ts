/**
 * Incoming: the homeserver's pushed transactions, one after another.
 *
 * All messages of a transaction are one write, acknowledged only once they are on the phones and
 * their statuses are sent. A transaction repeated after a crash does nothing twice: event ids
 * identify its messages, and the statuses' transaction ids derive from them.
 */
import pLimit from 'p-limit'
import { z } from 'zod'
import type { Posted } from '../network/network.ts'
import type { Chat, Login, Media, Origin } from '../network/types.ts'
import { changeFromMatrix, isChange } from './changes-from-matrix.ts'
import type { Commands } from './commands.ts'
import { type BridgeContext, ghostUserId, isBridgeUser } from './context.ts'
import type { Downloads } from './downloads.ts'
import type { Ephemeral } from './ephemeral.ts'
import { taken } from './feature-checks.ts'
import { fromMatrix, type Incoming, type MatrixEvent, MESSAGE_EVENTS, matrixEvent } from './from-matrix.ts'
import { createIncomingContent } from './incoming-content.ts'
import { isMember } from './portal-rooms.ts'
import { type Portal, type Portals, recipientGhosts } from './portals.ts'
import { createRefusals, isRefused, mediaFate, nothingToDo, permanent, type Refusal } from './refusals.ts'
import { roomFeatures } from './room-features.ts'
import { type Addressed, createStatuses, type Fate } from './statuses.ts'

const CONCURRENT_DOWNLOADS = 4

/** The words of mautrix-whatsapp for a first message of an account that may start no new chats. */
const RESTRICTED: Refusal = {
  status: 'FAIL_RETRIABLE',
  reason: 'm.event_not_handled',
  message: 'server returned error 463',
}

const list = z.array(z.unknown())
const transactionSchema = z.object({
  events: list.default([]),
  ephemeral: list.optional(),
  'de.sorunome.msc2409.ephemeral': list.default([]),
})

/** A message event in a portal, being processed. */
interface Job extends Addressed {
  incoming?: Incoming
  media?: Media | undefined
  /** Reason for refusal; undefined while accepted. */
  fate?: Refusal | undefined
}

/** A transaction's files by mxc:// URI: a file sent to several chats is downloaded once. */
type UnderWay = Map<string, Promise<Media>>

interface TransactionParts {
  downloads: Downloads
  portals: Portals
  commands: Commands
  ephemeral: Ephemeral
}

export function createTransactions(context: BridgeContext, parts: TransactionParts) {
  const { portals, commands, ephemeral } = parts
  const { botUserId, clock, committer, facts, faults, files, logger, network } = context
  const { store } = network
  const refusals = createRefusals(context)
  const statuses = createStatuses(context)
  const contentOf = createIncomingContent(context)
  const downloadPlaces = pLimit(CONCURRENT_DOWNLOADS)
  let previous: Promise<void> = Promise.resolve()

  async function process(events: readonly MatrixEvent[]): Promise<void> {
    const jobs: Job[] = []
    const orders: MatrixEvent[] = []
    for (const event of events) {
      if (isBridgeUser(context, event.sender)) continue
      if (event.type === 'm.room.member') await unlessRefused(event, () => onMembership(event))
      const isSaid = MESSAGE_EVENTS.has(event.type) && event.state_key === undefined
      if (isSaid || isChange(event)) {
        const portal = await portals.ofRoom(event.room_id)
        const job = portal && open(event, portal)
        if (job) jobs.push(job)
        else if (!portal && event.type === 'm.room.message') orders.push(event)
      }
    }
    if (jobs.length > 0) await carry(jobs)
    for (const order of orders) await unlessRefused(order, () => commands.obey(order))
  }

  /**
   * Gives up an event the homeserver finally refuses, so that it doesn't block later events.
   * @throws errors that may pass
   */
  async function unlessRefused(event: MatrixEvent, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!isRefused(error)) throw error
      logger.warn({ err: error, event: event.event_id }, 'an event was given up')
    }
  }

  async function onMembership(event: MatrixEvent): Promise<void> {
    const { membership } = event.content
    if (event.state_key === botUserId && membership === 'invite') {
      await commands.greet(event.room_id, event.sender)
    } else if (membership === 'leave' || membership === 'ban') {
      const portal = await portals.ofRoom(event.room_id)
      if (portal) portals.doubt(portal)
    }
  }

  /** @returns null for an event of no consequence, which has no status */
  function open(event: MatrixEvent, portal: Portal): Job | null {
    const login = store.login(facts.platform, portal.loginId)
    const chat = store.chat(portal.chatId)
    if (!login || !chat || login.userId !== event.sender)
      return isChange(event)
        ? null
        : { event, portal, fate: permanent('m.no_permission', "You're not logged in", 'not logged in') }
    const job = { event, portal, login, chat }
    if (isChange(event)) return openChange(job)
    if (!isMember(login, chat))
      return { ...job, fate: permanent('m.no_permission', 'You are not in this group any more') }
    const objection = objectionToPost(chat, login)
    if (objection !== null) return { ...job, fate: permanent('com.beeper.unsupported_event', objection) }
    const incoming = fromMatrix(event)
    if ('unsupported' in incoming) {
      const reason =
        event.type === 'm.room.encrypted' ? 'com.beeper.undecryptable_event' : 'com.beeper.unsupported_event'
      return { ...job, fate: permanent(reason, incoming.unsupported) }
    }
    const accepted = taken(roomFeatures(facts.platform, chat), incoming)
    return 'status' in accepted ? { ...job, fate: accepted } : { ...job, incoming: accepted }
  }

  function openChange(job: Required<Addressed>): Job | null {
    const { event, login, chat } = job
    const change = changeFromMatrix(context, event, login, chat)
    if (change === null) return null
    return 'status' in change ? { ...job, fate: change } : { ...job, incoming: change }
  }

  /** As mautrix-whatsapp is set by default (`disable_status_broadcast_send`). */
  function objectionToPost({ group }: Chat, { phone }: Login): string | null {
    if (group?.kind === 'status') return 'sending status messages is disabled'
    return group?.kind === 'channel' && group.owner !== phone ? 'only its owner posts in a channel' : null
  }

  async function carry(jobs: readonly Job[]): Promise<void> {
    const { delay_ms: delayMs } = faults.of(facts.platform)
    if (delayMs > 0) await clock.sleep(delayMs, context.stopping)
    for (const job of jobs) job.fate ??= refusals.of(job.event.event_id)
    for (const job of jobs)
      if (!job.fate && store.messageOfEvent(job.event.event_id) === undefined) spoil(job)
    const downloads: UnderWay = new Map()
    await Promise.all(jobs.map(job => downloadPlaces(() => fetchMedia(job, downloads))))
    const { fates, posted } = await postAll(jobs)
    network.announce(posted)
    for (const job of jobs)
      if (!job.fate && job.incoming?.change) await unlessRefused(job.event, () => follow(job))
    await statuses.send(jobs.map((job, index) => ({ ...job, fate: fates[index] ?? nothingToDo() })))
    await statuses.markRead(jobs.filter(job => !job.fate))
  }

  /** The room follows what its user has changed: the bridge names it anew, and new members come. */
  async function follow({ event, portal, login, chat, incoming }: Job): Promise<void> {
    const now = chat && store.chat(chat.id)
    if (!login || !now) return
    const { name, added = [] } = incoming?.change ?? {}
    if (name !== undefined) await portals.describe(portal, login, now)
    for (const phone of added) {
      if (!now.members.includes(phone)) continue
      await portals.bringGhost(portal.roomId, phone, now)
      // In a group somebody with a hidden id goes by the number: that ghost has come instead.
      const invited = event.state_key ?? ''
      if (invited !== ghostUserId(context, phone, now)) await context.homeserver.kick(portal.roomId, invited)
    }
  }

  /** Each try of a transaction downloads its files again, so a failed one's must go. */
  async function postAll(jobs: readonly Job[]) {
    try {
      return await committer.write(() => post(jobs))
    } finally {
      for (const { media } of jobs) if (media && !store.media(media.id)) await files.discard(media.id)
    }
  }

  /** Applies a failure requested by a user. */
  function spoil(job: Job): void {
    if (job.incoming?.type === 'change' && !faults.of(facts.platform).offline) return
    const failure = faults.takeFailure(facts.platform)
    if (isForbiddenToWrite(job)) job.fate = RESTRICTED
    if (job.fate || !failure) return
    job.fate = {
      status: failure.retriable ? 'FAIL_RETRIABLE' : 'FAIL_PERMANENT',
      reason: failure.reason,
      message: `The sandbox was told to fail this message (${failure.reason})`,
      error: 'failed on purpose',
    }
  }

  function isForbiddenToWrite({ login, chat }: Job): boolean {
    if (!login || !chat || chat.group || !faults.isRestricted(facts.platform)) return false
    return store.lastMessages(login.phone, chat.id, 1).length === 0
  }

  async function fetchMedia(job: Job, downloads: UnderWay): Promise<void> {
    const wanted = job.incoming?.media
    if (!wanted || job.fate || store.messageOfEvent(job.event.event_id) !== undefined) return
    try {
      const known = store.mediaByMxc(wanted.mxc)
      if (!known && !downloads.has(wanted.mxc)) downloads.set(wanted.mxc, parts.downloads.fetch(wanted))
      job.media = known ?? (await downloads.get(wanted.mxc))
    } catch (error) {
      job.fate = mediaFate(error)
    }
  }

  /** Runs inside the transaction, perhaps twice: decides, and changes only the database. */
  function post(jobs: readonly Job[]): { fates: Fate[]; posted: Posted[] } {
    const posted: Posted[] = []
    const fates = jobs.map(job => {
      if (job.fate) refusals.note(job.event.event_id, job.fate)
      if (job.fate || !job.incoming || !job.login || !job.chat) {
        return job.fate ?? nothingToDo()
      }
      const success: Fate = {
        status: 'SUCCESS',
        deliveredTo: recipientGhosts(context, job.login.phone, job.chat),
      }
      if (store.messageOfEvent(job.event.event_id) !== undefined) return success
      const origin = { loginId: job.login.id, roomId: job.portal.roomId, eventId: job.event.event_id }
      const refusal = postOne(
        job.incoming,
        job.media,
        job.login,
        store.chat(job.chat.id) ?? job.chat,
        origin,
        posted,
      )
      return refusal ?? success
    })
    return { fates, posted }
  }

  /** Adds what it posts to `posted`. @returns why the network doesn't take it, else null */
  function postOne(
    incoming: Incoming,
    media: Media | undefined,
    login: Login,
    chat: Chat,
    origin: Origin,
    posted: Posted[],
  ): Refusal | null {
    const { change, isBlocked } = incoming
    if (isBlocked !== undefined) store.setBlocked(chat.id, login.phone, isBlocked)
    if (change)
      posted.push(network.changeInTransaction({ chat, by: login.phone, change, picture: media, origin }))
    if (incoming.type === 'change') return null
    const content = contentOf(incoming, media, login, chat)
    if ('status' in content) return content
    posted.push(...network.postInTransaction({ chat, sender: login.phone, content, origin }))
    return null
  }

  /** Runs when all work before it has ended. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const current = previous.then(work)
    // A failed transaction is pushed again; it must not block later work here.
    previous = current.catch(() => {})
    return current
  }

  return {
    /** Processes a pushed transaction; resolves when it may be acknowledged. */
    receive(body: unknown): Promise<void> {
      const { events, ...transaction } = transactionSchema.parse(body)
      const fleeting = transaction.ephemeral ?? transaction['de.sorunome.msc2409.ephemeral']
      const known = events.flatMap(event => {
        const parsed = matrixEvent.safeParse(event)
        return parsed.success ? [parsed.data] : []
      })
      return inTurn(async () => {
        await process(known)
        if (fleeting.length > 0) await ephemeral.receive(fleeting)
      })
    },
    /** Runs between two transactions: messages that were taken have been reported. */
    between: inTurn,
    /** Resolves when no transaction is running. */
    idle: () => previous,
  }
}
