/** The Matrix side of the composition: the homeserver (our own or another), the sandbox, and the bridges. */
import type { BridgeConfig } from '../bridges/bridges.ts'
import type { Config, Secrets } from '../config/index.ts'
import type { Db } from '../db/open.ts'
import type { MatrixSessions } from '../domain/ports.ts'
import { createHomeserver, type Homeserver } from '../homeserver/index.ts'
import type { Mount } from '../http/mounts.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { randomToken } from '../lib/tokens.ts'
import { createAppserviceAccounts } from '../matrix/accounts.ts'
import type { HomeserverAddress } from '../matrix/http-api.ts'
import { createMatrixSessions } from '../matrix/sessions.ts'
import { createSandbox, type Sandbox } from '../sandbox/index.ts'

/** The homeserver, and how we speak to it. */
export interface Matrix {
  /** The embedded homeserver; undefined with an external one. */
  homeserver: Homeserver | undefined
  sessions: MatrixSessions
  accounts: ReturnType<typeof createAppserviceAccounts>
  asToken: string
  hsToken: string
}

/** The homeserver, our own or another, as the application service that speaks for all identities sees it. */
export function createMatrix(config: Config, secrets: Secrets, db: Db, clock: Clock, logger: Logger): Matrix {
  const { serverName, homeserverUrl } = config.matrix
  const homeserver =
    homeserverUrl === undefined
      ? createHomeserver({
          serverName,
          database: db.connection,
          committer: db.committer,
          mediaDir: config.data.homeserverMediaDir,
          maxUploadBytes: config.media.maxBytes,
          clock,
          logger: logger.child({ part: 'homeserver' }),
        })
      : undefined
  // Within the process nobody else has to know the tokens, so each start makes its own.
  const { asToken, hsToken } = secrets.appservice ?? {
    asToken: randomToken('as_'),
    hsToken: randomToken('hs_'),
  }
  const address: HomeserverAddress = homeserver
    ? { baseUrl: 'http://homeserver', fetch: request => homeserver.fetch(request) }
    : { baseUrl: homeserverUrl ?? '' }
  return {
    homeserver,
    sessions: createMatrixSessions(address, asToken),
    accounts: createAppserviceAccounts(address, asToken, serverName),
    asToken,
    hsToken,
  }
}

/** The sandbox, where there are platforms left to play; its bridges attach to the embedded homeserver. */
export function createSandboxFor(
  config: Config,
  platforms: Config['sandbox'],
  db: Db,
  homeserver: Homeserver | undefined,
  baseUrl: () => string,
  clock: Clock,
  logger: Logger,
): Sandbox | undefined {
  if (!homeserver || platforms.length === 0) return undefined
  return createSandbox({
    database: db.connection,
    committer: db.committer,
    mediaDir: config.data.sandboxMediaDir,
    baseUrl,
    homeserver: { serverName: homeserver.serverName, fetch: request => homeserver.fetch(request) },
    platforms,
    maxUploadBytes: config.media.maxBytes,
    clock,
    logger: logger.child({ part: 'sandbox' }),
  })
}

/** Real bridges first; the sandbox plays what is left. */
export function bridgeConfigs(
  config: Config,
  secrets: Secrets,
  sandbox: Sandbox | undefined,
): BridgeConfig[] {
  const real = config.bridges.map(({ platform, url }) => ({
    platform,
    baseUrl: url,
    sharedSecret: secrets.bridges.get(platform) ?? '',
  }))
  const simulated = (sandbox?.bridges ?? []).map(bridge => ({
    platform: bridge.platform,
    baseUrl: 'http://sandbox',
    sharedSecret: bridge.sharedSecret,
    fetch: (request: Request) => bridge.fetch(request),
  }))
  return [...real, ...simulated]
}

/** What answers requests besides our own routes. */
export function mountsOf(
  homeserver: Homeserver | undefined,
  sandbox: Sandbox | undefined,
  source: { fetch(request: Request): Promise<Response> },
): Mount[] {
  return [
    { prefix: '/_matrix/app', fetch: source.fetch },
    ...(homeserver ? [{ prefix: '/_matrix', fetch: (request: Request) => homeserver.fetch(request) }] : []),
    ...(sandbox ? [{ prefix: '/sandbox', fetch: (request: Request) => sandbox.fetch(request) }] : []),
  ]
}
