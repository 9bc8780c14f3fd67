/**
 * Incoming: the homeserver's pushed transactions, one after another.
 *
 * All messages of a transaction are one write, acknowledged only once they are on the phones and
 * their statuses are sent. A transaction repeated after a crash does nothing twice: event ids
 * identify its messages, and the statuses' transaction ids derive from them.
 */

import pLimit from 'p-limit'
import { z } from 'zod'
import { refusalOf } from '../../lib/refusal.ts'
import { FileTooLarge } from '../network/media.ts'
import { answersByItself, type Posted } from '../network/network.ts'
import type { Chat, Content, Login, Media } from '../network/types.ts'
import type { Commands } from './commands.ts'
import { type BridgeContext, DIRECT, ghostUserId, isBridgeUser } from './context.ts'
import { fromMatrix, type Incoming, type MatrixEvent, MESSAGE_EVENTS, matrixEvent } from './from-matrix.ts'
import { MatrixError } from './homeserver-client.ts'
import { type Portal, type Portals, recipientGhosts } from './portals.ts'
import { createRefusals, type Refusal } from './refusals.ts'
import { taken } from './room-features.ts'

const CONCURRENT_STATUSES = 32
/** As many of the largest events as a request may hold. */
const STATUSES_TOGETHER = 16
const CONCURRENT_DOWNLOADS = 4

const transactionSchema = z.object({ events: z.array(z.unknown()).default([]) })

/** An event's outcome as in com.beeper.message_send_status. */
type Fate = { status: 'SUCCESS'; deliveredTo: string[] } | Refusal

/** A message event in a portal, being processed. */
interface Job {
  event: MatrixEvent
  portal: Portal
  login: Login | null
  chat: Chat | null
  incoming: Incoming | null
  media: Media | null
  /** Reason for refusal; null while accepted. */
  fate: Refusal | null
}

/** A transaction's files by mxc address: a file sent to several chats is downloaded once. */
type Downloads = Map<string, Promise<Media>>

export function createTransactions(context: BridgeContext, portals: Portals, commands: Commands) {
  const { botUserId, clock, committer, facts, faults, files, homeserver, logger, network } = context
  const { store } = network
  const refusals = createRefusals(context)
  const statusLimit = pLimit(CONCURRENT_STATUSES)
  const downloadLimit = pLimit(CONCURRENT_DOWNLOADS)
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
      if (!(error instanceof MatrixError) || refusalOf(error.status) === 'passing') throw error
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
    const job: Job = { event, portal, login: null, chat: null, incoming: null, media: null, fate: null }
    const login = store.login(facts.platform, portal.loginId)
    const chat = store.chat(portal.chatId)
    if (!login || !chat || login.userId !== event.sender) {
      job.fate = permanent('m.no_permission', "You're not logged in", 'not logged in')
      return job
    }
    job.login = login
    job.chat = chat
    const incoming = fromMatrix(event)
    if ('unsupported' in incoming) {
      const reason =
        event.type === 'm.room.encrypted' ? 'com.beeper.undecryptable_event' : 'com.beeper.unsupported_event'
      job.fate = permanent(reason, incoming.unsupported)
      return job
    }
    const accepted = taken(facts.platform, incoming)
    if ('status' in accepted) job.fate = accepted
    else job.incoming = accepted
    return job
  }

  async function carry(jobs: readonly Job[]): Promise<void> {
    const { delayMs } = faults.of(facts.platform)
    if (delayMs > 0) await clock.sleep(delayMs, context.stopping)
    for (const job of jobs) job.fate ??= refusals.of(job.event.event_id)
    for (const job of jobs)
      if (!job.fate && store.messageOfEvent(job.event.event_id) === undefined) spoil(job)
    const downloads: Downloads = new Map()
    await Promise.all(jobs.map(job => downloadLimit(() => fetchMedia(job, downloads))))
    const { fates, posted } = await postAll(jobs)
    network.announce(posted)
    const statuses = jobs.map((job, index) =>
      statusOf(job, fates[index] ?? permanent('m.event_not_handled', '')),
    )
    const ofRooms = Map.groupBy(statuses, ({ job }) => job.portal.roomId)
    await Promise.all([...ofRooms].map(([roomId, ofRoom]) => statusLimit(() => tell(roomId, ofRoom))))
    await markRead(jobs)
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
    if (!failure) return
    job.fate = {
      status: failure.retriable ? 'FAIL_RETRIABLE' : 'FAIL_PERMANENT',
      reason: failure.reason,
      message: `The sandbox was told to fail this message (${failure.reason})`,
      error: 'failed on purpose',
    }
  }

  async function fetchMedia(job: Job, downloads: Downloads): Promise<void> {
    const wanted = job.incoming?.media
    if (!wanted || job.fate || store.messageOfEvent(job.event.event_id) !== undefined) return
    job.media = store.mediaByMxc(wanted.mxc) ?? null
    if (job.media) return
    try {
      const download = downloads.get(wanted.mxc) ?? downloadMedia(wanted)
      downloads.set(wanted.mxc, download)
      job.media = await download
    } catch (error) {
      job.fate = mediaFate(error)
    }
  }

  async function downloadMedia({ mxc, name, mimeType, durationMs }: NonNullable<Incoming['media']>) {
    const response = await homeserver.download(mxc)
    const declared = mimeType || (response.headers.get('content-type') ?? '')
    const saved = await files.save(response.body ?? new Blob([]).stream(), {
      name,
      mimeType: declared,
      isTypeKnown: mimeType !== '',
      durationMs,
    })
    const copy = homeserver.pathOfMedia(mxc)
    if (copy !== null) await files.share(saved.id, copy)
    return { ...saved, mxc }
  }

  /** Runs inside the transaction, perhaps twice: decides, and changes only the database. */
  function post(jobs: readonly Job[]): { fates: Fate[]; posted: Posted[] } {
    const posted: Posted[] = []
    const fates = jobs.map(job => {
      if (job.fate) refusals.note(job.event.event_id, job.fate)
      if (job.fate || !job.incoming || !job.login || !job.chat) {
        return job.fate ?? permanent('m.event_not_handled', 'nothing to do')
      }
      const success: Fate = {
        status: 'SUCCESS',
        deliveredTo: recipientGhosts(context, job.login.phone, job.chat),
      }
      if (store.messageOfEvent(job.event.event_id) !== undefined) return success
      const content = contentOf(job.incoming, job.media)
      if ('status' in content) return content
      const origin = { loginId: job.login.id, roomId: job.portal.roomId, eventId: job.event.event_id }
      posted.push(...network.postInTransaction({ chat: job.chat, sender: job.login.phone, content, origin }))
      return success
    })
    return { fates, posted }
  }

  function contentOf(incoming: Incoming, media: Media | null): Content | Fate {
    const { type, text, emoji, latitude, longitude } = incoming
    if (incoming.targetEvent !== undefined) return relatedContent(incoming, incoming.targetEvent)
    const { replyToEvent } = incoming
    const replyTo = replyToEvent === undefined ? undefined : store.messageOfEvent(replyToEvent)
    return {
      type,
      text,
      emoji,
      latitude,
      longitude,
      media: media ?? undefined,
      fileName: incoming.media?.name,
      replyTo,
    }
  }

  function relatedContent({ type, text, emoji }: Incoming, targetEvent: string): Content | Fate {
    const target = store.messageOfEvent(targetEvent)
    if (target === undefined)
      return permanent('m.event_not_handled', 'The message that this is about is not known')
    const original = type === 'delete' ? store.message(target) : undefined
    // Redacting a reaction retracts it; redacting an edit or a message deletes the message.
    if (original?.type === 'reaction')
      return { type: 'reaction', text: '', target: original.target, emoji: '' }
    return { type, text, emoji, target: original?.type === 'edit' ? original.target : target }
  }

  function statusOf(job: Job, fate: Fate) {
    const eventId = job.event.event_id
    const content = {
      'm.relates_to': { rel_type: 'm.reference', event_id: eventId },
      network: facts.networkId,
      status: fate.status,
      ...(fate.status === 'SUCCESS'
        ? { delivered_to_users: fate.deliveredTo }
        : { reason: fate.reason, error: fate.error, message: fate.message, internal_error: fate.error }),
    }
    // One status per event: no sender retries a failed send with the same event.
    return { job, content, txnId: `status-${eventId}` }
  }

  async function tell(roomId: string, statuses: readonly ReturnType<typeof statusOf>[]): Promise<void> {
    for (let told = 0; told < statuses.length; ) {
      const next = statuses.slice(told, told + STATUSES_TOGETHER)
      try {
        told += await homeserver.sendTogether(roomId, 'com.beeper.message_send_status', next)
      } catch (error) {
        if (!(error instanceof MatrixError) || refusalOf(error.status) === 'passing') throw error
        const { chat, login } = next[0]?.job ?? {}
        logger.warn(
          { err: error, chat: chat?.id, login: login?.id },
          'the status of a message could not be told',
        )
        told++
      }
    }
  }

  /** Phones that answer by themselves read first: a receipt per room and ghost, for the last. */
  async function markRead(jobs: readonly Job[]): Promise<void> {
    const last = new Map<string, Job>()
    for (const job of jobs) if (!job.fate && job.chat) last.set(job.event.room_id, job)
    const receipts = [...last.values()].flatMap(({ event, chat, login }) =>
      (chat?.members ?? [])
        .filter(phone => phone !== login?.phone && answersByItself(store, facts, phone))
        .map(phone =>
          statusLimit(() =>
            homeserver.markRead(event.room_id, event.event_id, ghostUserId(context, phone, chat ?? DIRECT)),
          ),
        ),
    )
    for (const result of await Promise.allSettled(receipts)) {
      if (result.status === 'rejected')
        logger.debug({ err: result.reason }, 'a read receipt could not be sent')
    }
  }

  return {
    /** Processes a pushed transaction; resolves when it may be acknowledged. */
    receive(body: unknown): Promise<void> {
      const { events } = transactionSchema.parse(body)
      const known = events.flatMap(event => {
        const parsed = matrixEvent.safeParse(event)
        return parsed.success ? [parsed.data] : []
      })
      const current = previous.then(() => process(known))
      // A failed transaction is pushed again; it must not block later ones here.
      previous = current.catch(() => {})
      return current
    },
    /** Resolves when no transaction is running. */
    idle: () => previous,
  }
}

function permanent(reason: string, message: string, error = message): Refusal {
  return { status: 'FAIL_PERMANENT', reason, message, error }
}

function mediaFate(error: unknown): Refusal {
  if (error instanceof FileTooLarge) return permanent('com.beeper.unsupported_event', error.message)
  if (error instanceof MatrixError && error.status === 404) {
    return permanent('m.event_not_handled', 'The file does not exist on the homeserver', error.message)
  }
  const message = error instanceof Error ? error.message : String(error)
  return {
    status: 'FAIL_RETRIABLE',
    reason: 'm.event_not_handled',
    message: 'The file could not be fetched',
    error: message,
  }
}
