/** The two flows: from clients to the phones, and from the phones to the webhooks. */
import type { BridgeSet } from '../bridges/bridges.ts'
import type { Config } from '../config/index.ts'
import type { MatrixSessions } from '../domain/ports.ts'
import type { Homeserver } from '../homeserver/index.ts'
import { createActionsModule } from '../modules/actions/index.ts'
import { createRecipientRepository } from '../modules/chats/recipient-repository.ts'
import { createConversations } from '../modules/conversations/conversations.ts'
import { createErasure } from '../modules/conversations/erasure.ts'
import { Arrivals } from '../modules/events/arrivals.ts'
import { createStoredCursors } from '../modules/events/cursor.ts'
import { createFeed } from '../modules/events/feed.ts'
import { createFeedRepository } from '../modules/events/feed-repository.ts'
import { LiveEvents } from '../modules/events/live-events.ts'
import { createChatActHandlers } from '../modules/groups/handlers.ts'
import { createGroupsModule } from '../modules/groups/index.ts'
import { createFindAnswered } from '../modules/history/answered-repository.ts'
import { createMedia } from '../modules/media/media.ts'
import { createMediaRepository } from '../modules/media/repository.ts'
import { sweepMedia } from '../modules/media/sweep.ts'
import { createReceivingModule } from '../modules/receiving/index.ts'
import type { Pace } from '../modules/sending/limits.ts'
import { createBacklog } from '../modules/sending/limits.ts'
import { createMessageRepository } from '../modules/sending/message-repository.ts'
import { createOutbox } from '../modules/sending/outbox.ts'
import { createClosedRooms } from '../modules/sending/queue/closed-rooms.ts'
import { releaseFirstMessages } from '../modules/sending/queue/first-messages.ts'
import { createWaitingMessages } from '../modules/sending/queue/lane-repository.ts'
import { createOutboxQueue } from '../modules/sending/queue/queue-repository.ts'
import { createRecipients } from '../modules/sending/recipients.ts'
import { createMessages } from '../modules/sending/sending.ts'
import { createMessageEndings } from '../modules/sending/statuses/ending-repository.ts'
import { createStatusWriter } from '../modules/sending/statuses/status-repository.ts'
import { createUrlFileRepository } from '../modules/sending/url-files/url-file-repository.ts'
import { createUrlFiles } from '../modules/sending/url-files/url-files.ts'
import { createSettingsRepository } from '../modules/tenants/settings-repository.ts'
import { createUpkeep } from '../modules/upkeep/index.ts'
import type { OtherRows } from '../modules/upkeep/retention.ts'
import { createPayloads } from '../modules/webhooks/payload.ts'
import { createEndpointGuard } from '../outbound/endpoint-guard.ts'
import { createFileClient } from '../outbound/file-client.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type { AppContext } from './context.ts'
import type { Phones } from './phones.ts'
import { createWebhookServices } from './webhooks.ts'

export interface MessagingParts {
  bridges: BridgeSet
  sessions: MatrixSessions
  matrixUserOf(identityId: string): Promise<string>
  phones: Phones
  /** The embedded homeserver and the sandbox have files and rows of their own. */
  homeserver: Homeserver | undefined
  sandbox: Sandbox | undefined
}

export type Messaging = Awaited<ReturnType<typeof createMessaging>>

/** For fetching one file by its URL. */
const FILE_URL_TIMEOUT_MS = 30_000
/** Between two messages of a device on a real network, in milliseconds. */
const DEFAULT_SEND_INTERVAL_MS = 8_000

export async function createMessaging(context: AppContext, parts: MessagingParts) {
  const { config, db, hasherFor, observer, publicUrl, clock, logger } = context
  const { bridges, sessions, matrixUserOf, homeserver, sandbox } = parts
  const { chats, devices, phones } = parts.phones

  const mediaRepository = createMediaRepository(db)
  const media = createMedia({
    ...config.media,
    repository: mediaRepository,
    dir: config.data.mediaDir,
    copyOf: homeserver && (mxcUri => homeserver.pathOfMedia(mxcUri)),
    sign: hasherFor('media-addresses'),
    signBefore: context.previousHasherFor?.('media-addresses'),
    sessionOf: async identityId => sessions.actingAs(await matrixUserOf(identityId)),
    clock,
  })

  const waiting = createWaitingMessages(db)
  const backlog = createBacklog({ limits: config.queue, waiting: await waiting.countByIdentity() })
  const live = new LiveEvents()
  const { sink, forget, ...receivingModule } = createReceivingModule({
    ...context,
    ...parts,
    ...parts.phones,
    learnDevices: devices.reconcile,
    backlog,
    live,
  })

  const statuses = createStatusWriter(observer, backlog)
  const paceOf = createPaces(config, sandbox)
  const endings = createMessageEndings(db, statuses)
  const repository = createMessageRepository(db)
  const recipients = createRecipients({
    repository: createRecipientRepository(db),
    chats,
    devices,
    bridges,
    phones,
    clock,
  })
  const queue = createOutboxQueue(db, statuses)
  const messages = createMessages({
    ...parts,
    ...parts.phones,
    repository,
    waiting,
    endings,
    recipients,
    media,
    backlog,
    paceOf,
    clock,
  })
  const { actions, forwarding, acts } = createActionsModule({
    ...parts.phones,
    db,
    recipients,
    waiting,
    endings,
    statuses,
    messages,
    media,
    backlog,
    paceOf,
    clock,
  })
  releaseFirstMessages({ ...context, chats, devices, recipients, queue })
  const outbox = createOutbox({
    ...context,
    ...parts,
    ...parts.phones,
    queue,
    recipients,
    messages: repository,
    acts: { ...acts, ...createChatActHandlers({ ...parts.phones, media }) },
    media,
    paceOf,
  })

  const urlFiles = createUrlFiles({
    ...context,
    repository: createUrlFileRepository(db, statuses),
    client: createFileClient({
      maxBytes: config.media.maxBytes,
      timeoutMs: FILE_URL_TIMEOUT_MS,
      userAgent: `Meshgate/${context.version}`,
      guard: createEndpointGuard({ ...config.fileUrls, clock }),
    }),
    media,
  })

  const payloads = createPayloads({
    ...parts.phones,
    ...config.media,
    answered: createFindAnswered(db),
    media,
    publicUrl: publicUrl.current,
  })
  const webhookServices = createWebhookServices(context, { payloads, chats, bridges })
  const feedRepository = createFeedRepository(db)
  const cursors = createStoredCursors(createSettingsRepository(db))
  // The key is made now: when it is needed for the first time the disk may be full.
  cursors().catch(error => logger.warn({ err: error }, 'the key of the feed could not be stored yet'))
  const arrivals = new Arrivals({
    repository: feedRepository,
    watchCommits: watcher => db.committer.watch(watcher),
  })
  const feed = createFeed({ repository: feedRepository, arrivals, payloads, live, cursors, clock })

  const conversations = createConversations({
    ...context,
    ...parts.phones,
    media,
    matrixUserOf,
    publicUrl: publicUrl.current,
  })
  const erasure = createErasure({
    ...context,
    ...parts.phones,
    media,
    eraseRoom: homeserver && (roomId => homeserver.eraseRoom(roomId)),
  })
  const groups = createGroupsModule({
    ...context,
    ...parts,
    ...parts.phones,
    media,
    recipients,
    waiting,
    backlog,
    paceOf,
  })

  const upkeep = createUpkeep({
    ...context,
    ...config.retention,
    endings,
    statusTimeoutMs: config.send.statusTimeoutMs,
    others: othersRows(parts),
    async forgetCopies(before, signal) {
      await homeserver?.forgetMedia(before, signal)
      await sandbox?.forgetFiles(before, signal)
    },
    discard: media.discardAll,
    forgetReceived: forget,
  })

  return {
    ...webhookServices,
    conversations,
    erasure,
    groups,
    media,
    sink,
    messages,
    actions,
    forwarding,
    feed,
    workers: [
      outbox,
      urlFiles,
      createClosedRooms({ ...context, queue }),
      ...webhookServices.workers,
      ...receivingModule.workers,
      ...upkeep,
    ],
    /** A bridge's bot says that the network has these events of ours. */
    passedOn: (bot: string, eventIds: readonly string[]) =>
      db.write(async tx => {
        for (const eventId of eventIds)
          await statuses.report(tx, { eventId, sender: bot, status: 'sent', reason: null }, clock.now())
      }),
    /** Removes files that no row speaks of. @returns the worker that goes on with it */
    sweepMedia: () => sweepMedia({ dir: config.data.mediaDir, repository: mediaRepository, logger }),
  }
}

/** Retention has the embedded homeserver and the sandbox forget their old rows, too. */
function othersRows({ homeserver, sandbox }: MessagingParts): OtherRows[] {
  return Object.entries({ 'homeserver events': homeserver, 'sandbox messages': sandbox }).flatMap(
    ([name, part]) => (part ? [{ name, forget: part.forget.bind(part) }] : []),
  )
}

/** The sandbox has no one to be careful of, unless the configuration says so. */
function createPaces({ send }: Config, sandbox: Sandbox | undefined): (platform: string) => Pace {
  const pace = (intervalMs: number): Pace => ({ intervalMs, jitter: send.jitter, burst: send.burst })
  const real = pace(send.intervalMs ?? DEFAULT_SEND_INTERVAL_MS)
  const simulated = pace(send.intervalMs ?? 0)
  const played = new Set<string>(sandbox?.bridges.map(({ platform }) => platform))
  return platform => (played.has(platform) ? simulated : real)
}
