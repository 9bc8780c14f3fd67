/** The two flows: what clients send on its way to the phones, and what happens there on its way to the webhooks. */
import type { BridgeSet } from '../bridges/bridges.ts'
import type { Config } from '../config/index.ts'
import type { MatrixSessions } from '../domain/ports.ts'
import { createChatRooms } from '../modules/chats/chat-rooms.ts'
import { createKnowledge } from '../modules/chats/knowledge.ts'
import { createKnowledgeRepository } from '../modules/chats/knowledge-repository.ts'
import type { ChatRepository } from '../modules/chats/repository.ts'
import { Arrivals } from '../modules/feed/arrivals.ts'
import { createStoredCursors } from '../modules/feed/cursor-key.ts'
import { createFeed } from '../modules/feed/feed.ts'
import { createFeedRepository } from '../modules/feed/repository.ts'
import { REMEMBERED_MS } from '../modules/idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../modules/idempotency/repository.ts'
import { createSettingsRepository } from '../modules/identities/settings-repository.ts'
import { createInbox, createInboxCleanup } from '../modules/inbox/inbox.ts'
import { createJoins } from '../modules/inbox/joins.ts'
import { createInboxRepository } from '../modules/inbox/repository.ts'
import { createMediaStore } from '../modules/media/media-store.ts'
import { createMediaRepository } from '../modules/media/repository.ts'
import { sweepMedia } from '../modules/media/sweep.ts'
import { createBacklog } from '../modules/messages/backlog.ts'
import { createMessageEndings } from '../modules/messages/ending-repository.ts'
import { createExpiry } from '../modules/messages/expiry.ts'
import { createMessages } from '../modules/messages/messages.ts'
import { createOutbox } from '../modules/messages/outbox.ts'
import type { Pace } from '../modules/messages/pace.ts'
import { createOutboxQueue } from '../modules/messages/queue-repository.ts'
import { createRecipients } from '../modules/messages/recipients.ts'
import { createReplyTargets } from '../modules/messages/reply-repository.ts'
import { createMessageRepository } from '../modules/messages/repository.ts'
import { createRecipientRooms } from '../modules/messages/room-repository.ts'
import { createSlotReturns } from '../modules/messages/slot-repository.ts'
import { createStatusWriter } from '../modules/messages/status-repository.ts'
import { createStatusTimeout } from '../modules/messages/status-timeout.ts'
import { createUnusedSlots } from '../modules/messages/unused-slots.ts'
import { createVoiding } from '../modules/messages/voiding.ts'
import { createWaitingMessages } from '../modules/messages/waiting-repository.ts'
import { createRetentionRepository } from '../modules/retention/repository.ts'
import { createRetention, type OtherRows } from '../modules/retention/retention.ts'
import { createPayloads } from '../modules/webhooks/payload.ts'
import type { AppContext } from './context.ts'
import type { Phones } from './phones.ts'
import { createWebhookServices } from './webhooks.ts'

export interface MessagingParts {
  bridges: BridgeSet
  sessions: MatrixSessions
  matrixUserOf(identityId: string): Promise<string>
  chats: ChatRepository
  phones: Pick<Phones, 'devices' | 'contacts' | 'peoplesPhones'>
  /** Path of a file that the embedded homeserver keeps. */
  pathOfMedia: ((mxcUri: string) => string | null) | undefined
  /** Embedded homeserver and sandbox forget files from before an instant. */
  forgetCopies(before: number, signal: AbortSignal): Promise<void>
  /** Whether the sandbox plays the platform. */
  isSimulated(platform: string): boolean
  publicUrl(): string
  /** Old rows of other parts. */
  others: readonly OtherRows[]
}

export type Messaging = Awaited<ReturnType<typeof createMessaging>>

/** Between two messages of a device on a real network, in milliseconds. */
const DEFAULT_SEND_INTERVAL_MS = 8_000

export async function createMessaging(context: AppContext, parts: MessagingParts) {
  const { config, db, hasherFor, observer, clock, logger } = context
  const { bridges, sessions, matrixUserOf, chats, publicUrl } = parts
  const { devices, contacts, peoplesPhones } = parts.phones

  const mediaRepository = createMediaRepository(db)
  const media = createMediaStore({
    repository: mediaRepository,
    dir: config.data.mediaDir,
    maxBytes: config.media.maxBytes,
    quotaBytes: config.media.quotaBytes,
    copyOf: parts.pathOfMedia,
    urlTtlS: config.media.urlTtlS,
    sign: hasherFor('media-addresses'),
    signBefore: context.previousHasherFor?.('media-addresses'),
    sessionOf: async identityId => sessions.actingAs(await matrixUserOf(identityId)),
    clock,
  })

  const waiting = createWaitingMessages(db)
  const backlog = createBacklog({
    limits: config.queue,
    waiting: await waiting.countByIdentity(),
  })
  const inboxRepository = createInboxRepository(db, observer, backlog)
  const knowledgeOf = createKnowledge({ repository: createKnowledgeRepository(db), bridges, logger })
  const chatRooms = createChatRooms({ repository: chats, knowledgeOf, sessions, matrixUserOf, clock })
  const inbox = createInbox({
    repository: inboxRepository,
    knowledgeOf,
    phones: peoplesPhones,
    learnDevices: devices.reconcile,
    observer,
    clock,
    logger,
  })
  const joins = createJoins({
    repository: chats,
    chatRooms,
    inbox,
    sessions,
    matrixUserOf,
    signals: db.signals,
    clock,
    logger,
  })

  const statuses = createStatusWriter(observer, backlog)
  const paceOf = createPaces(config, parts.isSimulated)
  const unusedSlots = createUnusedSlots({
    slots: createSlotReturns(db),
    paceOf,
    clock,
  })
  const endings = createMessageEndings(db, statuses, observer, unusedSlots.note)
  const replies = createReplyTargets(db)
  const recipients = createRecipients({
    rooms: createRecipientRooms(db),
    chats,
    devices,
    bridges,
    phones: peoplesPhones,
    clock,
  })
  const outbox = createOutbox({
    queue: createOutboxQueue(db, statuses),
    recipients,
    replies,
    devices,
    chatRooms,
    media,
    sessions,
    matrixUserOf,
    paceOf,
    signals: db.signals,
    observer,
    clock,
    logger,
  })
  const voiding = createVoiding({ endings, discard: media.discardAll, clock })
  const messages = createMessages({
    repository: createMessageRepository(db),
    waiting,
    endings,
    replies,
    phones: peoplesPhones,
    recipients,
    devices,
    bridges,
    media,
    backlog,
    paceOf,
    clock,
  })

  const { inlineMaxBytes } = config.media
  const payloads = createPayloads({
    devices,
    contacts,
    phones: peoplesPhones,
    media,
    publicUrl,
    inlineMaxBytes,
  })
  const webhookServices = createWebhookServices(context, payloads)
  const { dispatcher, webhooks, deliveries, replays } = webhookServices
  const feedRepository = createFeedRepository(db)
  const cursors = createStoredCursors(createSettingsRepository(db))
  // The key is made now: when it is needed for the first time the disk may be full.
  cursors().catch(error => logger.warn({ err: error }, 'the key of the feed could not be stored yet'))
  const feed = createFeed({
    repository: feedRepository,
    arrivals: new Arrivals({
      repository: feedRepository,
      watchCommits: watcher => db.committer.watch(watcher),
    }),
    payloads,
    cursors,
    clock,
  })

  return {
    media,
    inbox,
    outbox,
    voiding,
    messages,
    dispatcher,
    webhooks,
    deliveries,
    replays,
    feed,
    workers: [
      outbox.worker,
      ...webhookServices.workers,
      joins,
      createStatusTimeout({
        endings,
        timeoutMs: config.send.statusTimeoutMs,
        clock,
      }),
      voiding.worker,
      unusedSlots.worker,
      createExpiry({ endings, discard: media.discardAll, clock }),
      createRetention({
        repository: createRetentionRepository(db),
        ...config.retention,
        others: parts.others,
        forgetKeys: createIdempotencyRepository(db).forget,
        keysMs: REMEMBERED_MS,
        forgetCopies: parts.forgetCopies,
        discard: media.discardAll,
        clock,
        logger,
      }),
      createInboxCleanup(inboxRepository, clock),
    ],
    /** Removes files that no row speaks of. @returns the worker that goes on with it */
    sweepMedia: () => sweepMedia({ dir: config.data.mediaDir, repository: mediaRepository, logger }),
  }
}

/** The sandbox has no one to be careful of, unless the configuration says so. */
function createPaces(
  { send }: Config,
  isSimulated: (platform: string) => boolean,
): (platform: string) => Pace {
  const pace = (intervalMs: number): Pace => ({ intervalMs, jitter: send.jitter, burst: send.burst })
  const real = pace(send.intervalMs ?? DEFAULT_SEND_INTERVAL_MS)
  const simulated = pace(send.intervalMs ?? 0)
  return platform => (isSimulated(platform) ? simulated : real)
}
