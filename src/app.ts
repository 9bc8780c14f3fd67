/**
 * The composition root makes every part and connects them. Nothing else knows more than its
 * neighbours.
 */
import { createBridgeAttachment } from './app/bridge-attachment.ts'
import { createBridgeService } from './app/bridge-service.ts'
import { BridgesInUse } from './app/bridges-in-use.ts'
import { type ContextOverrides, createContext } from './app/context.ts'
import { createEventSource } from './app/event-source.ts'
import { createHttpServices } from './app/http-services.ts'
import {
  bridgeConfigs,
  bridgeMountsOf,
  createMatrix,
  createSandboxFor,
  registerOurs,
  sandboxMountsOf,
} from './app/matrix.ts'
import { createMessaging } from './app/messaging.ts'
import { createPhones } from './app/phones.ts'
import { refuseAccidentalSandbox } from './app/sandbox-leftovers.ts'
import { createKnownIdentities, createTenants } from './app/tenants.ts'
import { createVisitors } from './app/visitors.ts'
import { createBridges } from './bridges/bridges.ts'
import { createBridgeProcesses } from './bridges/processes.ts'
import { createStatusReceiver } from './bridges/status-receiver.ts'
import { type Config, childEnvironment, type Secrets } from './config/index.ts'
import { messageOf } from './domain/errors.ts'
import type { RunningServer } from './http/server.ts'
import { yieldToEventLoop } from './lib/turn-budget.ts'
import { createAttachedBridges } from './modules/bridges-attached/bridges-attached.ts'
import { createLoopLag } from './modules/operations/observation/observation.ts'
import { createTimekeepingRepository } from './modules/upkeep/clock-repository.ts'
import { createClockWatch } from './modules/upkeep/clock-watch.ts'
import { Supervisor } from './runtime/supervisor.ts'

export interface App {
  /** Listens and starts the workers. @throws Error when the port is taken */
  start(): Promise<Started>
  /**
   * Drains for a few seconds at most, and closes the database. The next start goes on with the
   * rest.
   */
  stop(): Promise<void>
  /** Reads the TLS certificate anew; logs when it can't be used, and goes on with the old one. */
  reloadCertificate(): void
  /** Answers a request as the server does, but for WebSockets. */
  handle(request: Request): Promise<Response>
}

export interface Started {
  url: string
  /** Platforms that the sandbox plays. */
  simulated: readonly string[]
  /** Platforms with a real bridge. */
  bridged: readonly string[]
  /** Where bridges and homeservers are served; null: there are none. */
  bridgeUrl: string | null
}

/**
 * After a stop was asked for, requests may finish for this long, then workers for as long again.
 */
const DRAIN_MS = 4_000

/** @throws Error as `createContext` */
export async function createApp(
  config: Config,
  secrets: Secrets,
  overrides: ContextOverrides = {},
): Promise<App> {
  const context = await createContext(config, secrets, overrides)
  const { db, signals, clock, logger, metrics, publicUrl } = context

  const matrix = createMatrix(context)
  const attached = createAttachedBridges(db, context.sealer)
  const withBridge = new Set((await attached.list()).map(({ platform }) => platform))
  const simulated = config.sandbox.filter(platform => !withBridge.has(platform))
  const sandbox = createSandboxFor(context, simulated, matrix.homeserver)
  const played = (sandbox?.bridges ?? []).map(bridge => bridge.platform as string)
  const bridged = [...withBridge, ...config.bridges.map(({ platform }) => platform)]
  await refuseAccidentalSandbox(config, db, { played, bridged }, logger)

  const bridges = createBridges({
    bridges: bridgeConfigs(context, sandbox),
    sessions: matrix.sessions,
    signals,
    clock,
    logger,
  })
  const known = createKnownIdentities(context, matrix.accounts)
  const inUse = new BridgesInUse(config)
  const untilCurrent = (platform: string) => inUse.untilCurrent(platform, attached, clock)
  const phones = createPhones(context, { ...known, ...matrix, bridges, untilCurrent })
  const messaging = await createMessaging(context, { ...known, ...matrix, sandbox, bridges, phones })
  const { identities } = known
  const tenants = createTenants(context, {
    identities,
    devices: phones.devices,
    webhooks: messaging.webhooks,
  })
  const source = createEventSource(context, matrix, messaging.sink)
  const clockWatch = createClockWatch({
    clock,
    repository: createTimekeepingRepository(db),
    signals,
    logger,
  })

  const hsToken = matrix.appservice?.isExternal ? matrix.appservice.hsToken : undefined
  const visitors = createVisitors(context, token => {
    if (token === hsToken) return 'homeserver'
    const platform = inUse.platformOf(token)
    return platform === undefined ? undefined : { platform }
  })
  const bridgeStatus = createStatusReceiver({
    asTokenOf: platform => inUse.get(platform)?.asToken,
    signals,
    passedOn(platform, eventIds) {
      const bot = `@${inUse.get(platform)?.botLocalpart}:${config.matrix.serverName}`
      return messaging.passedOn(bot, eventIds)
    },
  })
  const bridgeMounts = bridgeMountsOf(matrix, source, bridgeStatus)
  const processes = createBridgeProcesses({ environment: childEnvironment(), clock, logger })
  const supervisor = new Supervisor(clock, logger)
  const { http, readiness } = createHttpServices(context, {
    tenants,
    phones,
    messaging,
    mounts: {
      clients: [...visitors.atMainPort(bridgeMounts), ...sandboxMountsOf(sandbox)],
      bridges: visitors.atBridgePort(bridgeMounts),
    },
    source,
    bridges,
    inUse,
    processes,
    supervisor,
  })
  const isPushed = hsToken !== undefined
  const service = createBridgeService(context, { visitors, inUse, isPushed, http })
  const attachment = createBridgeAttachment(context, {
    attached,
    inUse,
    bridges,
    processes,
    homeserver: matrix.homeserver,
    sandbox,
    service,
    devices: phones.devices,
  })
  let server: RunningServer | undefined
  let isStarted = false

  return {
    handle: http.handle,

    async start() {
      await clockWatch.begin()
      await tenants.credentials.ensureSuperAdmin(secrets.clientId, secrets.clientSecret)
      const mediaSweep = await messaging.sweepMedia()
      await matrix.homeserver?.sweep()
      await sandbox?.sweep()
      server = http.listen()
      publicUrl.listensOn(server.port)
      await registerOurs(matrix, source, sandbox, config.matrix.serverName)
      await attachment.begin()
      matrix.homeserver?.start()
      sandbox?.start()
      for (const worker of [
        clockWatch.worker,
        ...messaging.workers,
        ...phones.workers,
        ...tenants.workers,
        attachment.worker,
        mediaSweep,
        createLoopLag(metrics.loopLagged, clock),
        ...source.workers,
      ]) {
        supervisor.start(worker)
        // Each begins with a look at the database: requests get their turn in between.
        await yieldToEventLoop()
      }
      isStarted = true
      return {
        url: publicUrl.current(),
        simulated: played,
        bridged: bridges.platforms.filter(platform => !played.includes(platform)),
        bridgeUrl: service.url(),
      }
    },

    reloadCertificate() {
      try {
        const served = server?.reloadCertificate()
        logger.info(
          served ?? {},
          served ? 'the TLS certificate was read anew' : 'nothing to read anew without TLS',
        )
      } catch (error) {
        logger.error({ reason: messageOf(error) }, 'the TLS certificate stays the old one')
      }
    },

    async stop() {
      /**
       * Bridges are sent nothing more, as what one takes while it ends may be lost, and are served
       * until they have ended, as they hand over what they have of their networks.
       */
      const endBridges = async () => {
        await matrix.homeserver?.stopPushing()
        await processes.stopAll()
        return await service.stop(DRAIN_MS)
      }
      const begunAt = clock.steady()
      readiness.drain()
      // After a start that failed there is nothing to say: why it failed is said by itself.
      if (isStarted) logger.info('stopping: nothing new is taken on, and what is under way may finish')
      // First what holds connections open: they would keep the server from draining.
      phones.linking.stop()
      messaging.feed.stop()
      bridges.stop()
      await sandbox?.stop()
      // Bridges end while requests finish: neither waits for the other.
      const [isDrained, areBridgesDone] = await Promise.all([server?.stop(DRAIN_MS), endBridges()])
      const haveEnded = await supervisor.stop(DRAIN_MS)
      await matrix.homeserver?.stop()
      await db.close()
      if (!isStarted) return
      const drained = isDrained === true && areBridgesDone && haveEnded
      logger[drained ? 'info' : 'warn']({ drained, ms: Math.round(clock.steady() - begunAt) }, 'stopped')
    },
  }
}
