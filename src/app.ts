/** The composition root: makes every part from the configuration and connects them. Nothing else knows more than its neighbours. */
import { createBridgeAttachment, GATEWAY_APPSERVICE_ID } from './app/bridge-attachment.ts'
import { createEventSource } from './app/event-source.ts'
import { bridgeConfigs, createMatrix, createSandboxFor, mountsOf } from './app/matrix-side.ts'
import { readinessOf } from './app/readiness.ts'
import { createBridges } from './bridges/bridges.ts'
import { createBridgeProcesses } from './bridges/processes.ts'
import { createStatusReceiver } from './bridges/status-receiver.ts'
import { type Config, childEnvironment, type Secrets } from './config/index.ts'
import { openDbAlone } from './db/lock.ts'
import { migrateUp } from './db/migrate.ts'
import type { Db } from './db/open.ts'
import { GatewayError } from './domain/errors.ts'
import { createHttp } from './http/http.ts'
import type { RunningServer } from './http/server.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { createLogger, type Logger } from './lib/logger.ts'
import { createHmacHasher, createSealer, deriveKey } from './lib/sealing.ts'
import { createAttachedBridges } from './modules/attached-bridges/attached-bridges.ts'
import { TAKEN_AWAY } from './modules/attached-bridges/detach.ts'
import { createAttachedBridgeRepository } from './modules/attached-bridges/repository.ts'
import { createChatRooms } from './modules/chats/chat-rooms.ts'
import { createChatRepository } from './modules/chats/repository.ts'
import { createContacts } from './modules/contacts/contacts.ts'
import { createDirectory } from './modules/contacts/directory.ts'
import { createContactRepository } from './modules/contacts/repository.ts'
import { createCredentials } from './modules/credentials/credentials.ts'
import { createDeviceProbe } from './modules/devices/device-probe.ts'
import { createDevices } from './modules/devices/devices.ts'
import { rememberDevices } from './modules/devices/remembered-devices.ts'
import { createDeviceRepository } from './modules/devices/repository.ts'
import { createAccessTokenStore } from './modules/identities/access-tokens.ts'
import { createIdentities, type Identities, identityNamespace } from './modules/identities/identities.ts'
import { createIdentityRepository } from './modules/identities/repository.ts'
import { createRetirement } from './modules/identities/retirement.ts'
import { keepServerName } from './modules/identities/server-name.ts'
import { createSettingsRepository } from './modules/identities/settings-repository.ts'
import { createInbox, createInboxCleanup } from './modules/inbox/inbox.ts'
import { createInboxRepository } from './modules/inbox/repository.ts'
import { createLinking } from './modules/linking/linking.ts'
import { createMediaStore } from './modules/media/media-store.ts'
import { createMediaRepository } from './modules/media/repository.ts'
import { sweepMedia } from './modules/media/sweep.ts'
import { createMessages } from './modules/messages/messages.ts'
import { createOutbox } from './modules/messages/outbox.ts'
import type { Pace } from './modules/messages/pace.ts'
import { createRecipients } from './modules/messages/recipients.ts'
import { createMessageRepository } from './modules/messages/repository.ts'
import { createStatusTimeout } from './modules/messages/status-timeout.ts'
import { createPlatforms } from './modules/platforms/platforms.ts'
import { createTokens } from './modules/tokens/tokens.ts'
import { createDispatcher } from './modules/webhooks/dispatcher.ts'
import { createPayloads } from './modules/webhooks/payload.ts'
import { createWebhookRepository } from './modules/webhooks/repository.ts'
import { createWebhooks } from './modules/webhooks/webhooks.ts'
import { Supervisor } from './runtime/supervisor.ts'
import type { Sandbox } from './sandbox/index.ts'
import { createWebhookClient } from './webhooks/client.ts'

export interface App {
  /** Listens and starts the workers. @throws Error when the port is taken */
  start(): Promise<Started>
  /** Drains what is under way, at most a few seconds, and closes the database. What isn't done by then goes on at the next start. */
  stop(): Promise<void>
  /** Answers a request as the server does, but for WebSockets. */
  handle(request: Request): Promise<Response>
}

export interface Started {
  url: string
  /** Platforms that the sandbox plays. */
  simulated: readonly string[]
  /** Platforms with a real bridge. */
  bridged: readonly string[]
}

/** What tests replace. */
export interface AppOverrides {
  clock?: Clock
  logger?: Logger
  version?: string
}

/** Between two messages of a device on a real network, in milliseconds. */
const DEFAULT_SEND_INTERVAL_MS = 8_000
/** Requests that run may finish for this long after a stop was asked for, then workers may for as long again. */
const DRAIN_MS = 4_000

/** @throws Error when the database can't be opened, is in use, belongs to another homeserver or was written by a newer version */
export async function createApp(
  config: Config,
  secrets: Secrets,
  overrides: AppOverrides = {},
): Promise<App> {
  const clock = overrides.clock ?? systemClock
  const logger = overrides.logger ?? createLogger(config.logLevel)
  const version = overrides.version ?? 'development'

  const db = await openDatabase(config, clock)
  const sealer = createSealer(secrets.secretKey)
  const hasherFor = (purpose: string) => createHmacHasher(deriveKey(secrets.secretKey, purpose))

  let baseUrl = config.http.publicUrl ?? localUrl(config, config.http.port)
  const publicUrl = () => baseUrl

  const identityRepository = createIdentityRepository(db)
  const matrix = createMatrix(config, secrets, {
    db,
    tokens: createAccessTokenStore({ repository: identityRepository, sealer, clock }),
    hasherFor,
    onAccountChange: userId => {
      // Of a change to every account the probe tells, within its interval.
      if (userId === null) return
      for (const platform of bridges.platforms) devices.noteBridgeState(platform, userId)
    },
    clock,
    logger,
  })
  const attached = createAttachedBridges({ repository: createAttachedBridgeRepository(db), sealer })
  const withBridge = new Set((await attached.list()).map(({ platform }) => platform))
  const simulated = config.sandbox.filter(platform => !withBridge.has(platform))
  const sandbox = createSandboxFor(config, simulated, db, matrix.homeserver, publicUrl, clock, logger)
  const bridges = createBridges({
    bridges: bridgeConfigs(config, secrets, sandbox),
    sessions: matrix.sessions,
    clock,
  })
  const processes = createBridgeProcesses({ environment: childEnvironment(), clock, logger })
  const attachment = createBridgeAttachment({
    attached,
    bridges,
    processes,
    homeserver: matrix.homeserver,
    sandbox,
    settings: config,
    secrets,
    onGone: platform => devices.logOutAll(platform, TAKEN_AWAY),
    clock,
    logger,
  })

  const identities = createIdentities({ db, provisioner: matrix.accounts, sealer, clock })
  const matrixUserOf = createMatrixUserLookup(identities)
  const { sessions } = matrix
  const sessionOf = async (identityId: string) => sessions.actingAs(await matrixUserOf(identityId))

  const tokens = createTokens({
    db,
    identities,
    hasher: hasherFor('tokens'),
    onCreated: () => source.nudge(),
    onRemoved: () => retirement.nudge(),
    clock,
  })
  const credentials = createCredentials({
    db,
    hasher: hasherFor('credentials'),
    clock,
    onChange: () => {
      tokens.forget()
      retirement.nudge()
      dispatcher.nudge()
    },
  })
  const mediaRepository = createMediaRepository(db)
  const media = createMediaStore({
    repository: mediaRepository,
    dir: config.data.mediaDir,
    maxBytes: config.media.maxBytes,
    urlTtlS: config.media.urlTtlS,
    sign: hasherFor('media-addresses'),
    sessionOf,
    clock,
  })
  const contacts = createContacts({
    repository: createContactRepository(db),
    bridges,
    matrixUserOf,
    clock,
    logger,
  })
  const deviceRepository = rememberDevices(createDeviceRepository(db), clock)
  const devices = createDevices({
    repository: deviceRepository,
    bridges,
    matrixUserOf,
    identityOf: async userId => (await identities.findByUser(userId))?.id ?? null,
    accountTrouble: matrix.sessions.accountTrouble,
    onLinked: device => void contacts.refresh(device),
    onSettled: device => outbox.wake(device.id),
    onDeliveries: () => dispatcher.nudge(),
    clock,
    logger,
  })
  const deviceProbe = createDeviceProbe({ devices, repository: deviceRepository, bridges, clock, logger })
  const linking = createLinking({ bridges, devices, clock, logger })
  const platforms = createPlatforms({ bridges, clock })

  const chats = createChatRepository(db)
  const directory = createDirectory({ bridges, devices, chats, matrixUserOf })
  const inboxRepository = createInboxRepository(db)
  const inbox = createInbox({
    repository: inboxRepository,
    bridges,
    learnDevices: devices.reconcile,
    onDeliveries: () => dispatcher.nudge(),
    onJoins: () => chatRooms.nudge(),
    clock,
    logger,
  })
  const chatRooms = createChatRooms({ repository: chats, inbox, sessions, matrixUserOf, clock, logger })
  const messageRepository = createMessageRepository(db)
  const outbox = createOutbox({
    repository: messageRepository,
    recipients: createRecipients({ repository: messageRepository, chats, devices, bridges, clock }),
    devices,
    chatRooms,
    media,
    sessions,
    matrixUserOf,
    paceOf: createPaces(config, sandbox),
    onDeliveries: () => dispatcher.nudge(),
    clock,
    logger,
  })
  const messages = createMessages({
    repository: messageRepository,
    devices,
    media,
    onAccepted: () => outbox.nudge(),
    clock,
  })
  const webhookRepository = createWebhookRepository(db)
  const dispatcher = createDispatcher({
    repository: webhookRepository,
    payloads: createPayloads({
      devices,
      contacts,
      media,
      publicUrl,
      inlineMaxBytes: config.media.inlineMaxBytes,
    }),
    client: createWebhookClient({
      timeoutMs: config.webhooks.timeoutMs,
      userAgent: `Meshgate/${version}`,
      clock,
    }),
    sealer,
    concurrencyPerEndpoint: config.webhooks.concurrencyPerEndpoint,
    clock,
    logger,
  })
  const webhooks = createWebhooks({
    repository: webhookRepository,
    sealer,
    onActivated: () => dispatcher.nudge(),
    clock,
  })

  const retirement = createRetirement({
    unreachable: identities.unreachable,
    belongings: { logOutDevices: devices.removeAll, removeWebhooks: webhooks.removeAll },
    clock,
    logger,
  })

  const source = createEventSource(matrix, {
    sink: inbox,
    positions: identityRepository.syncPositions,
    clock,
    logger,
  })
  const bridgeStatus = createStatusReceiver({
    asTokenOf: platform => attachment.attachedTo(platform)?.asToken,
    onState: devices.noteBridgeState,
  })
  const supervisor = new Supervisor(clock, logger)
  const http = createHttp({
    config,
    logger,
    version,
    services: {
      credentials,
      tokens,
      devices,
      linking,
      platforms,
      directory,
      messages,
      media,
      downloads: media,
      webhooks,
    },
    mounts: mountsOf(matrix.homeserver, sandbox, source, bridgeStatus),
    readiness: () => readinessOf(db, supervisor, source.state(), processes),
    clock,
  })
  let server: RunningServer | undefined

  return {
    handle: http.handle,

    async start() {
      await credentials.ensureSuperAdmin(secrets.clientId, secrets.clientSecret)
      const mediaSweep = await sweepMedia({ dir: config.data.mediaDir, repository: mediaRepository, logger })
      await matrix.homeserver?.sweep()
      await sandbox?.sweep()
      server = http.listen()
      if (config.http.publicUrl === undefined) baseUrl = localUrl(config, server.port)
      if (matrix.appservice && source.fetch) {
        const { asToken, hsToken } = matrix.appservice
        await matrix.homeserver?.registerAppservice({
          id: GATEWAY_APPSERVICE_ID,
          url: null,
          asToken,
          hsToken,
          senderLocalpart: GATEWAY_APPSERVICE_ID,
          namespaces: { users: [{ regex: identityNamespace(config.matrix.serverName), exclusive: true }] },
          receiveEphemeral: true,
          deliver: source.fetch,
        })
      }
      for (const bridge of sandbox?.bridges ?? [])
        await matrix.homeserver?.registerAppservice(bridge.registration)
      await attachment.begin()
      matrix.homeserver?.start()
      sandbox?.start()
      for (const worker of [
        outbox.worker,
        dispatcher.worker,
        chatRooms.worker,
        retirement.worker,
        attachment.worker,
        deviceProbe,
        createStatusTimeout({
          repository: messageRepository,
          timeoutMs: config.send.statusTimeoutMs,
          onDeliveries: () => dispatcher.nudge(),
          clock,
        }),
        createInboxCleanup(inboxRepository, clock),
        tokens.cleanup,
        tokens.usage,
        mediaSweep,
        ...source.workers,
      ]) {
        supervisor.start(worker)
      }
      const played = (sandbox?.bridges ?? []).map(bridge => bridge.platform)
      return {
        url: baseUrl,
        simulated: played,
        bridged: bridges.platforms.filter(platform => !played.some(other => other === platform)),
      }
    },

    async stop() {
      // First what holds connections open: they would keep the server from draining.
      linking.stop()
      await sandbox?.stop()
      // Bridges end while requests finish: neither waits for the other.
      await Promise.all([server?.stop(DRAIN_MS), processes.stopAll()])
      await supervisor.stop(DRAIN_MS)
      await matrix.homeserver?.stop()
      db.close()
    },
  }
}

/** Migrated, and of nobody else until it is closed. */
async function openDatabase(config: Config, clock: Clock): Promise<Db> {
  const db = openDbAlone(config.data.databaseFile)
  try {
    migrateUp(db.connection, clock.now())
    await keepServerName(config.matrix.serverName, createSettingsRepository(db), createIdentityRepository(db))
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** An identity's Matrix user never changes, so it is looked up once. */
function createMatrixUserLookup(identities: Identities): (identityId: string) => Promise<string> {
  const known = new Map<string, string>()
  return async identityId => {
    const userId = known.get(identityId) ?? (await identities.find(identityId))?.matrixUserId
    if (userId === undefined) throw new GatewayError('not_found', 'the identity is gone')
    known.set(identityId, userId)
    return userId
  }
}

/** The sandbox has no one to be careful of, unless the configuration says so. */
function createPaces({ send }: Config, sandbox: Sandbox | undefined): (platform: string) => Pace {
  const pace = (intervalMs: number): Pace => ({ intervalMs, jitter: send.jitter, burst: send.burst })
  const real = pace(send.intervalMs ?? DEFAULT_SEND_INTERVAL_MS)
  const simulated = pace(send.intervalMs ?? 0)
  const isSimulated = (platform: string) => sandbox?.bridges.some(bridge => bridge.platform === platform)
  return platform => (isSimulated(platform) ? simulated : real)
}

/** How a browser on this machine reaches us. */
function localUrl({ http }: Config, port: number): string {
  const isEverywhere = ['0.0.0.0', '::', '127.0.0.1', '::1', 'localhost'].includes(http.host)
  const host = isEverywhere ? 'localhost' : http.host.includes(':') ? `[${http.host}]` : http.host
  return `${http.tls ? 'https' : 'http'}://${host}:${port}`
}
