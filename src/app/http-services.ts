/** The gateway's outside: its HTTP server with every service, its readiness, and its metrics. */
import type { BridgeSet } from '../bridges/bridges.ts'
import type { BridgeProcesses } from '../bridges/processes.ts'
import { createHttp, type Http } from '../http/http.ts'
import type { Mount } from '../http/mounts.ts'
import type { Readiness } from '../http/services.ts'
import { createHomeserverProbe } from '../matrix/homeserver-probe.ts'
import { failedUpdate } from '../modules/bridges-attached/bridges-attached.ts'
import { createObservationRepository } from '../modules/operations/observation/repository.ts'
import { createSettingsRepository } from '../modules/tenants/settings-repository.ts'
import type { Supervisor } from '../runtime/supervisor.ts'
import type { BridgesInUse } from './bridges-in-use.ts'
import type { AppContext } from './context.ts'
import type { EventSource } from './event-source.ts'
import type { Messaging } from './messaging.ts'
import type { Phones } from './phones.ts'
import { createReadiness, type ReadinessCheck } from './readiness.ts'
import type { Tenants } from './tenants.ts'

export interface HttpParts {
  tenants: Tenants
  phones: Phones
  messaging: Messaging
  /** Parts besides our own routes: on the clients' port, and on the one for bridges. */
  mounts: { clients: readonly Mount[]; bridges: readonly Mount[] }
  source: EventSource
  bridges: BridgeSet
  inUse: BridgesInUse
  processes: BridgeProcesses
  supervisor: Supervisor
}

export function createHttpServices(
  context: AppContext,
  parts: HttpParts,
): { http: Http; readiness: ReadinessCheck } {
  const { config, secrets, version, metrics, observer, clock, logger } = context
  const { tenants, phones, messaging, mounts, source, processes } = parts
  const readiness = createReadinessOf(context, parts)
  const http = createHttp({
    config,
    logger,
    version,
    services: { ...tenants, ...phones, ...messaging, downloads: messaging.media },
    mounts: mounts.clients,
    bridgeMounts: mounts.bridges,
    readiness: readiness.check,
    metrics: metrics.expose({
      repository: createObservationRepository(context.db),
      maxDevices: config.metrics.maxDevices,
      version,
      databaseFile: config.data.databaseFile,
      checks: async () => wellness(await readiness.check()),
      sync: source.health,
      bridgeRestarts: () => restartsOf(processes),
      clock,
    }),
    metricsToken: secrets.metricsToken,
    observer,
    clock,
  })
  return { http, readiness }
}

function createReadinessOf(
  { config, db, clock }: AppContext,
  { supervisor, source, processes, bridges, inUse }: HttpParts,
): ReadinessCheck {
  const settings = createSettingsRepository(db)
  return createReadiness({
    db,
    tryWrite: () => settings.replace('write_tried_at', String(clock.now())),
    supervisor,
    homeserver: source.state,
    askHomeserver: () => askHomeserver(config.matrix.homeserverUrl),
    processes,
    bridges: () => new Map(bridges.platforms.map(platform => [platform, inUse.urlOf(platform)])),
    failedUpdates: () => failedUpdatesOf(inUse),
    clock,
  })
}

/**
 * @param url undefined: the embedded one, which is always there.
 * @returns `ok`, or what is wrong
 */
async function askHomeserver(url: string | undefined): Promise<string> {
  if (url === undefined) return 'ok'
  const found = await createHomeserverProbe(url).versions()
  return 'error' in found ? `the homeserver can't be reached (${found.error})` : 'ok'
}

function wellness({ checks }: Readiness): ReadonlyMap<string, boolean> {
  return new Map(Object.entries(checks).map(([name, detail]) => [name, detail === 'ok']))
}

function failedUpdatesOf(inUse: BridgesInUse): ReadonlyMap<string, string> {
  const failed = inUse.all().flatMap(bridge => {
    const told = failedUpdate(bridge)
    return told ? [[bridge.platform, `${told.problem} (${told.advice})`] as const] : []
  })
  return new Map(failed)
}

function restartsOf(processes: BridgeProcesses): ReadonlyMap<string, number> {
  return new Map([...processes.states()].map(([platform, { restarts }]) => [platform, restarts]))
}
