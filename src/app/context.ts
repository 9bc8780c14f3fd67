/** The parts that all others are made with. Tests put other parts in their place. */
import type { Config, Secrets } from '../config/index.ts'
import { openDbAlone } from '../db/lock.ts'
import { migrateUp } from '../db/migrate.ts'
import type { Db } from '../db/open.ts'
import type { Observer } from '../domain/observation.ts'
import type { Clock } from '../lib/clock.ts'
import { createLogger, type Logger } from '../lib/logger.ts'
import { createProcessClock, type ProcessClock } from '../lib/process-clock.ts'
import { createMetrics, type Metrics } from '../modules/operations/observation/metrics.ts'
import { observeWith } from '../modules/operations/observation/observation.ts'
import { createWideLines } from '../modules/operations/observation/wide-lines.ts'
import { type Keyring, openKeyring, settleSecretKey } from '../modules/operations/secret-key/secret-key.ts'
import { createIdentityRepository } from '../modules/tenants/identity-repository.ts'
import { keepServerName } from '../modules/tenants/server-name.ts'
import { createSettingsRepository } from '../modules/tenants/settings-repository.ts'

export interface AppContext extends Keyring {
  config: Config
  secrets: Secrets
  /** The program's version. */
  version: string
  clock: ProcessClock
  logger: Logger
  metrics: Metrics
  /** Hears of each request, try, batch and commit. */
  observer: Observer
  db: Db
  /** The database's, as most of what they tell is told after a commit. */
  signals: Db['signals']
  /** The address at which clients reach the gateway. */
  publicUrl: ReturnType<typeof createPublicUrl>
}

/** Parts to use instead of those that the configuration asks for. */
export interface ContextOverrides
  extends Partial<Omit<AppContext, 'config' | 'secrets' | 'clock' | 'signals'>> {
  /** The machine's clock, which the process's own follows. */
  clock?: Clock
}

/**
 * @throws Error when the database can't be opened, is in use, belongs to another homeserver or was
 * written by a newer version
 */
export async function createContext(
  config: Config,
  secrets: Secrets,
  overrides: ContextOverrides = {},
): Promise<AppContext> {
  const clock = createProcessClock(overrides.clock)
  const logger = overrides.logger ?? createLogger(config.logLevel, { format: config.logFormat })
  const metrics = overrides.metrics ?? createMetrics()
  const db = overrides.db ?? (await openStorage({ config, secrets, clock, logger }))
  const context: AppContext = {
    version: 'development',
    metrics,
    observer: observeWith([metrics.observer, createWideLines(logger, config.logLevel === 'debug')]),
    publicUrl: createPublicUrl(config),
    ...(await openKeyring(db, secrets)),
    ...overrides,
    config,
    secrets,
    clock,
    logger,
    db,
    signals: db.signals,
  }
  db.committer.watch(context.observer.committed)
  return context
}

/** Opens the database for this process alone, migrated and under the current key. */
async function openStorage({
  config,
  secrets,
  clock,
  logger,
}: Pick<AppContext, 'config' | 'secrets' | 'clock' | 'logger'>): Promise<Db> {
  const db = openDbAlone(config.data.databaseFile)
  try {
    migrateUp(db.connection, clock.now())
    await keepServerName(config.matrix.serverName, createSettingsRepository(db), createIdentityRepository(db))
    await settleSecretKey(db, secrets, { clock, logger })
    return db
  } catch (error) {
    await db.close()
    throw error
  }
}

/** PUBLIC_URL, or how a browser on this machine reaches us. */
export function createPublicUrl({ http }: Pick<Config, 'http'>) {
  let port = http.port
  return {
    /** Without a slash at the end. */
    current: () => http.publicUrl ?? localUrl(http, port),
    /** The server listens on this port, which may have been left to the system. */
    listensOn(actual: number): void {
      port = actual
    },
  }
}

function localUrl({ host, tls }: Config['http'], port: number): string {
  const isEverywhere = ['0.0.0.0', '::', '127.0.0.1', '::1', 'localhost'].includes(host)
  const name = isEverywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `${tls ? 'https' : 'http'}://${name}:${port}`
}
