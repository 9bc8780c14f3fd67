/** Composes the Matrix side: the homeserver (our own or another), the sandbox, and the bridges. */
import type { BridgeConfig } from '../bridges/bridge.ts'
import { STATUS_PATH, type StatusReceiver } from '../bridges/status-receiver.ts'
import type { Config, Secrets } from '../config/index.ts'
import type { AccountProvisioner, MatrixSessions } from '../domain/ports.ts'
import { createHomeserver, type Homeserver } from '../homeserver/index.ts'
import type { Mount } from '../http/mounts.ts'
import type { Clock } from '../lib/clock.ts'
import { maskingNumbers } from '../lib/masking-logger.ts'
import type { PeerAddress } from '../lib/peer-request.ts'
import { randomToken } from '../lib/tokens.ts'
import { type AccountAccess, createAppserviceAccess, createOwnTokenAccess } from '../matrix/account-access.ts'
import { createAppserviceAccounts } from '../matrix/accounts/appservice-accounts.ts'
import { createMasAccounts } from '../matrix/accounts/mas-accounts.ts'
import { createMasClient } from '../matrix/accounts/mas-client.ts'
import { createSharedSecretAccounts } from '../matrix/accounts/shared-secret-accounts.ts'
import { createMatrixCalls, type MatrixCalls } from '../matrix/matrix-calls.ts'
import { createMatrixSessions } from '../matrix/sessions.ts'
import { PASSWORDS } from '../modules/operations/secret-key/secret-key.ts'
import { identityNamespace } from '../modules/tenants/identities.ts'
import { createIdentityRepository } from '../modules/tenants/identity-repository.ts'
import { createAccessTokenStore } from '../modules/tenants/matrix-access-tokens.ts'
import { createSandbox, type Sandbox } from '../sandbox/index.ts'
import { GATEWAY_APPSERVICE_ID } from './bridge-attachment.ts'
import type { AppContext } from './context.ts'

/** The homeserver, and how we speak to it. */
export interface Matrix {
  /** The embedded homeserver; undefined with an external one. */
  homeserver: Homeserver | undefined
  accounts: AccountProvisioner
  calls: MatrixCalls
  sessions: MatrixSessions
  /** Our registration as an application service; undefined where identities have access tokens. */
  appservice: Appservice | undefined
}

interface Appservice {
  asToken: string
  hsToken: string
  access: AccountAccess
  /** True when the homeserver is another program, which pushes to us over HTTP. */
  isExternal: boolean
}

/** The homeserver, our own or another, and how accounts are made and used there. */
export function createMatrix(context: AppContext): Matrix {
  const { config, clock } = context
  const homeserver = config.matrix.homeserverUrl === undefined ? createEmbedded(context) : undefined
  const address: PeerAddress = homeserver
    ? { baseUrl: 'http://homeserver', fetch: request => homeserver.fetch(request) }
    : { baseUrl: config.matrix.homeserverUrl ?? '' }
  const { accounts, access, appservice } = accountsAt(address, context)
  const calls = createMatrixCalls({ address, access, clock })
  const sessions = createMatrixSessions(calls, homeserver !== undefined)
  return { homeserver, accounts, calls, sessions, appservice }
}

function createEmbedded({ config: { matrix, data, media }, db, clock, logger }: AppContext): Homeserver {
  return createHomeserver({
    serverName: matrix.serverName,
    database: db.connection,
    committer: db.committer,
    mediaDir: data.homeserverMediaDir,
    maxUploadBytes: media.maxBytes,
    clock,
    logger: maskingNumbers(logger.child({ part: 'homeserver' })),
  })
}

/** Which way accounts are made decides how they are used. */
function accountsAt(
  address: PeerAddress,
  { config, secrets, db, sealer, hasherFor, signals, clock, logger }: AppContext,
): { accounts: AccountProvisioner; access: AccountAccess; appservice: Appservice | undefined } {
  const { serverName } = config.matrix
  // Within the process nobody else has to know the tokens, so each start makes its own.
  const own = { kind: 'appservice', asToken: randomToken('as_'), hsToken: randomToken('hs_') } as const
  const way = secrets.accounts ?? own
  const accounts = provisionerOf(way, { address, serverName, passwordOf: hasherFor(PASSWORDS), clock })
  if (way.kind === 'appservice') {
    const { asToken, hsToken } = way
    const access = createAppserviceAccess({ asToken, logger, signals })
    return { accounts, access, appservice: { asToken, hsToken, access, isExternal: way !== own } }
  }
  const tokens = createAccessTokenStore({ repository: createIdentityRepository(db), sealer, clock })
  const access = createOwnTokenAccess({ tokens, provisioner: accounts, clock, logger, signals })
  return { accounts, access, appservice: undefined }
}

/** Makes users in the way that the settings name. */
export function provisionerOf(
  way: NonNullable<Secrets['accounts']>,
  options: {
    address: PeerAddress
    serverName: string
    passwordOf: (localpart: string) => string
    clock: Clock
  },
): AccountProvisioner {
  switch (way.kind) {
    case 'appservice':
      return createAppserviceAccounts({ ...way, ...options })
    case 'shared_secret':
      return createSharedSecretAccounts({ ...way, ...options })
    case 'mas':
      return createMasAccounts({ mas: createMasClient({ ...way, ...options }), ...options })
  }
}

/**
 * Makes the sandbox if there are platforms to play; its bridges attach to the embedded homeserver.
 */
export function createSandboxFor(
  { config, db, publicUrl, signals, clock, logger }: AppContext,
  platforms: Config['sandbox'],
  homeserver: Homeserver | undefined,
): Sandbox | undefined {
  if (!homeserver || platforms.length === 0) return undefined
  return createSandbox({
    database: db.connection,
    committer: db.committer,
    mediaDir: config.data.sandboxMediaDir,
    baseUrl: publicUrl.current,
    homeserver,
    platforms,
    reportState: (platform, login, stateEvent) =>
      signals.emit('bridge-state', platform, {
        matrixUserId: login?.userId ?? null,
        loginId: login?.loginId ?? null,
        stateEvent,
        errorCode: null,
      }),
    maxUploadBytes: config.media.maxBytes,
    clock,
    logger: maskingNumbers(logger.child({ part: 'sandbox' })),
  })
}

/** Real bridges first; the sandbox plays what is left. */
export function bridgeConfigs({ config, secrets }: AppContext, sandbox: Sandbox | undefined): BridgeConfig[] {
  const real = config.bridges.map(({ platform, url, bot }) => ({
    platform,
    baseUrl: url,
    bot,
    sharedSecret: secrets.bridges.get(platform) ?? '',
  }))
  const simulated = (sandbox?.bridges ?? []).map(bridge => ({
    platform: bridge.platform,
    baseUrl: 'http://sandbox',
    sharedSecret: bridge.sharedSecret,
    users: bridge.registration.namespaces.users.map(({ regex }) => regex),
    fetch: (request: Request) => bridge.fetch(request),
  }))
  return [...real, ...simulated]
}

/**
 * Has the embedded homeserver, if there is one, push our users' events to us and to the sandbox.
 */
export async function registerOurs(
  { homeserver, appservice }: Pick<Matrix, 'homeserver' | 'appservice'>,
  source: { fetch: ((request: Request) => Promise<Response>) | undefined },
  sandbox: Sandbox | undefined,
  serverName: string,
): Promise<void> {
  if (!homeserver) return
  if (appservice && source.fetch) {
    await homeserver.registerAppservice({
      id: GATEWAY_APPSERVICE_ID,
      url: null,
      asToken: appservice.asToken,
      hsToken: appservice.hsToken,
      senderLocalpart: GATEWAY_APPSERVICE_ID,
      namespaces: { users: [{ regex: identityNamespace(serverName), exclusive: true }] },
      receiveEphemeral: true,
      deliver: source.fetch,
    })
  }
  for (const bridge of sandbox?.bridges ?? []) await homeserver.registerAppservice(bridge.registration)
}

/** The endpoints that bridges and an external homeserver call. */
export function bridgeMountsOf(
  { homeserver, appservice }: Pick<Matrix, 'homeserver' | 'appservice'>,
  source: { fetch: Mount['fetch'] | undefined; isRightToken: Mount['isRightToken'] },
  bridgeStatus: StatusReceiver,
): Mount[] {
  const mounts: Mount[] = [{ prefix: STATUS_PATH, ...bridgeStatus }]
  // The embedded homeserver pushes within the process.
  if (appservice?.isExternal && source.fetch)
    mounts.push({ prefix: '/_matrix/app', fetch: source.fetch, isRightToken: source.isRightToken })
  if (homeserver)
    mounts.push({
      prefix: '/_matrix',
      fetch: request => homeserver.fetch(request),
      isRightToken: token => homeserver.isRightToken(token),
    })
  return mounts
}

/** The sandbox's pages, for clients' browsers. */
export function sandboxMountsOf(sandbox: Sandbox | undefined): Mount[] {
  if (!sandbox) return []
  return [{ prefix: '/sandbox', fetch: request => sandbox.fetch(request), onlyOwnPages: true }]
}
