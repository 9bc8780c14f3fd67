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
import type { Chat, Content, Login, Media, Message } from '../network/types.ts'
import type { Commands } from './commands.ts'
import { type BridgeContext, isBridgeUser } from './context.ts'
import { objectionTo, taken, unsupportedByBridge } from './feature-checks.ts'
import { fromMatrix, type Incoming, type MatrixEvent, MESSAGE_EVENTS, matrixEvent } from './from-matrix.ts'
import { optionIds } from './polls-and-calls.ts'
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

const transactionSchema = z.object({ events: z.array(z.unknown()).default([]) })

/** A message event in a portal, being processed. */
interface Job extends Addressed {
  incoming?: Incoming
  media?: Media | undefined
  /** Reason for refusal; undefined while accepted. */
  fate?: Refusal | undefined
}

/** A transaction's files by mxc:// URI: a file sent to several chats is downloaded once. */
type Downloads = Map<string, Promise<Media>>

export function createTransactions(context: BridgeContext, portals: Portals, commands: Commands) {
  const { botUserId, clock, committer, facts, faults, files, homeserver, logger, network } = context
  const { store } = network
  const refusals = createRefusals(context)
  const statuses = createStatuses(context)
  const downloadPlaces = pLimit(CONCURRENT_DOWNLOADS)
  let previous: Promise<void> = Promise.resolve()

  async function process(events: readonly MatrixEvent[]): Promise<void> {
    const jobs: Job[] = []
    const orders: MatrixEvent[] = []
    for (const event of events) {
      if (isBridgeUser(context, event.sender)) continue
      if (event.type === 'm.room.member') await unlessRefused(event, () => onMembership(event))
      else if (MESSAGE_EVENTS.has(event.type) && event.state_key === undefined) {
        const portal = await portals.ofRoom(event.room_id)
        if (portal) jobs.push(open(event, portal))
        else if (event.type === 'm.room.message') orders.push(event)
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

  function open(event: MatrixEvent, portal: Portal): Job {
    const login = store.login(facts.platform, portal.loginId)
    const chat = store.chat(portal.chatId)
    if (!login || !chat || login.userId !== event.sender)
      return { event, portal, fate: permanent('m.no_permission', "You're not logged in", 'not logged in') }
    const job = { event, portal, login, chat }
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
    const downloads: Downloads = new Map()
    await Promise.all(jobs.map(job => downloadPlaces(() => fetchMedia(job, downloads))))
    const { fates, posted } = await postAll(jobs)
    network.announce(posted)
    await statuses.send(jobs.map((job, index) => ({ ...job, fate: fates[index] ?? nothingToDo() })))
    await statuses.markRead(jobs.filter(job => !job.fate))
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

  async function fetchMedia(job: Job, downloads: Downloads): Promise<void> {
    const wanted = job.incoming?.media
    if (!wanted || job.fate || store.messageOfEvent(job.event.event_id) !== undefined) return
    try {
      const known = store.mediaByMxc(wanted.mxc)
      if (!known && !downloads.has(wanted.mxc)) downloads.set(wanted.mxc, downloadMedia(wanted))
      job.media = known ?? (await downloads.get(wanted.mxc))
    } catch (error) {
      job.fate = mediaFate(error)
    }
  }

  async function downloadMedia({ mxc, name, mimeType, durationMs }: NonNullable<Incoming['media']>) {
    const response = await homeserver.download(mxc)
    const declared = mimeType || (response.headers.get('content-type') ?? '')
    const source = {
      copy: homeserver.pathOfMedia(mxc),
      stream: () => response.body ?? new Blob([]).stream(),
    }
    const about = { name, mimeType: declared, isTypeKnown: mimeType !== '', durationMs }
    return { ...(await files.take(source, about)), mxc }
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
      const content = contentOf(job.incoming, job.media, job.chat)
      if ('status' in content) return content
      const origin = { loginId: job.login.id, roomId: job.portal.roomId, eventId: job.event.event_id }
      posted.push(...network.postInTransaction({ chat: job.chat, sender: job.login.phone, content, origin }))
      return success
    })
    return { fates, posted }
  }

  function contentOf(incoming: Incoming, media: Media | undefined, chat: Chat): Content | Fate {
    const { type, text, emoji, latitude, longitude, poll } = incoming
    if (incoming.targetEvent !== undefined) return relatedContent(incoming, incoming.targetEvent, chat)
    const { replyToEvent } = incoming
    const replyTo = replyToEvent === undefined ? undefined : store.messageOfEvent(replyToEvent)
    return { type, text, emoji, latitude, longitude, poll, media, fileName: incoming.media?.name, replyTo }
  }

  function relatedContent(incoming: Incoming, targetEvent: string, chat: Chat): Content | Fate {
    const { type, text, emoji, answers } = incoming
    const original = store.message(store.messageOfEvent(targetEvent) ?? '')
    if (answers) return voteOn(original, answers)
    if (!original) return permanent('m.event_not_handled', 'The message that this is about is not known')
    // Redacting a reaction retracts it; redacting an edit or a message deletes the message.
    if (type === 'delete' && original.type === 'reaction')
      return { type: 'reaction', text: '', target: original.target, emoji: '' }
    const target = (type === 'delete' && original.type === 'edit' && original.target) || original.id
    const edits = store.editsOf(target) ?? 0
    const features = roomFeatures(facts.platform, chat)
    return objectionTo(incoming, original, edits, features, clock.now()) ?? { type, text, emoji, target }
  }

  function voteOn(target: Message | undefined, answers: readonly string[]): Content | Fate {
    const { poll } = target ?? {}
    const ids = poll && optionIds(facts.platform, poll)
    if (!target || !poll || !ids) return unsupportedByBridge('vote target poll not found')
    const options = poll.options.filter((_, index) => answers.includes(ids[index] ?? ''))
    return { type: 'vote', text: '', target: target.id, options }
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
      const { events } = transactionSchema.parse(body)
      const known = events.flatMap(event => {
        const parsed = matrixEvent.safeParse(event)
        return parsed.success ? [parsed.data] : []
      })
      return inTurn(() => process(known))
    },
    /** Runs between two transactions: messages that were taken have been reported. */
    between: inTurn,
    /** Resolves when no transaction is running. */
    idle: () => previous,
  }
}
