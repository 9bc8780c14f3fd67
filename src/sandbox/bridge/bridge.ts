/** One platform's bridge: appservice, provisioning API, and the flow from and to the network. */

import { backoffMs } from '../../lib/backoff.ts'
import { bearerToken } from '../../lib/bearer-token.ts'
import { quoteMeta } from '../../lib/quote-meta.ts'
import { equalInConstantTime } from '../../lib/sealing.ts'
import { randomToken } from '../../lib/tokens.ts'
import type { NetworkChange } from '../network/network.ts'
import { platformFacts, type SandboxPlatform } from '../platforms.ts'
import { createCommands } from './commands.ts'
import { type BridgeContext, phoneOfGhost } from './context.ts'
import { createDeliveries } from './deliveries.ts'
import { createDirectory } from './directory.ts'
import { createDownloads } from './downloads.ts'
import { createEphemeral } from './ephemeral.ts'
import { createGhosts } from './ghosts.ts'
import { createGroupCreation } from './group-creation.ts'
import { createHomeserverClient, type HomeserverConnection } from './homeserver-client.ts'
import type { LinkCodes } from './link-codes.ts'
import { createLoginDesk } from './logins.ts'
import { createManagementRooms } from './management-rooms.ts'
import { createPortals } from './portals.ts'
import { createProvisioning } from './provisioning.ts'
import { createTransactions } from './transactions.ts'
import { createUploads } from './uploads.ts'

export type SandboxBridge = ReturnType<typeof createBridge>

/**
 * Called when a login's state changes, as a real bridge calls its homeserver's status endpoint.
 * @param login null: the state is the bridge's own
 * @param state a `state_event` of bridgev2
 */
export type ReportState = (
  platform: SandboxPlatform,
  login: { userId: string; loginId: string } | null,
  state: 'BAD_CREDENTIALS' | 'CONNECTED' | 'RUNNING' | 'TRANSIENT_DISCONNECT',
) => void

/** Parts that the bridges of all platforms share. */
export interface BridgeParts
  extends Pick<
    BridgeContext,
    'database' | 'committer' | 'network' | 'files' | 'faults' | 'clock' | 'logger'
  > {
  codes: LinkCodes
  homeserver: HomeserverConnection
  baseUrl: () => string
  reportState: ReportState
}

const RETRY = { baseMs: 200, capMs: 10_000 }

export function createBridge(platform: SandboxPlatform, parts: BridgeParts) {
  const { clock, codes, faults, network } = parts
  const facts = platformFacts(platform)
  const botLocalpart = `${facts.networkId}bot`
  const asToken = randomToken('as_')
  const hsToken = randomToken('hs_')
  const sharedSecret = randomToken('')
  const homeserver = createHomeserverClient(parts.homeserver, asToken)
  const logger = parts.logger.child({ bridge: `sandbox-${platform}` })
  const stopping = new AbortController()
  const context: BridgeContext = {
    ...parts,
    facts,
    homeserver,
    logger,
    botUserId: homeserver.userId(botLocalpart),
    stopping: stopping.signal,
  }
  const mxcOf = createUploads(context)
  const ghosts = createGhosts(context, mxcOf)
  const portals = createPortals(context, ghosts, mxcOf)
  const rooms = createManagementRooms(context)
  const directory = createDirectory(context, portals, ghosts)
  const desk = createLoginDesk({ context, codes, baseUrl: parts.baseUrl })
  const services = { context, desk, directory, portals, rooms }
  const commands = createCommands(services)
  const deliveries = createDeliveries(context, portals, ghosts, mxcOf)
  const downloads = createDownloads(context)
  const ephemeral = createEphemeral(context, portals)
  const transactions = createTransactions(context, { portals, commands, ephemeral, downloads })
  const groups = createGroupCreation(context, { directory, portals, downloads })
  const provisioning = createProvisioning({ ...services, deliveries, groups }, sharedSecret)

  const ready = Promise.withResolvers<void>()
  let starting: Promise<void> | null = null
  let unsubscribe = () => {}
  let before = faults.of(platform)

  /** Retries until the homeserver answers; it may not be up yet. */
  async function begin(): Promise<void> {
    for (let failures = 1; !stopping.signal.aborted; failures++) {
      try {
        await homeserver.register(botLocalpart)
        await homeserver.setDisplayName(context.botUserId, `${facts.displayName} bridge bot`)
        await portals.recover()
        break
      } catch (error) {
        logger.warn({ err: error }, 'the homeserver does not take the bridge yet')
        await clock.sleep(backoffMs(failures, RETRY), stopping.signal)
      }
    }
    ready.resolve()
    if (stopping.signal.aborted) return
    parts.reportState(platform, null, 'RUNNING')
    unsubscribe = network.subscribe(onNetworkChange)
    deliveries.resume()
  }

  function onNetworkChange(change: NetworkChange): void {
    if (change.kind === 'posted') deliveries.enqueue(change.posted.deliveries)
    else if (change.kind === 'linked') deliveries.enqueue(change.deliveries)
    else if (change.kind === 'unlinked' && change.login.platform === platform) onUnlinked(change)
    else if (change.kind === 'moved') void follow(change)
    else if (change.kind === 'directory') followConnection()
    else if (change.kind === 'typing' && change.chat.platform === platform)
      void ephemeral.tell(change.chat, change.phone, change.isTyping)
  }

  /** A chat that could not be moved is, before its next message. */
  async function follow({ phone, isNewRoom }: Extract<NetworkChange, { kind: 'moved' }>): Promise<void> {
    await transactions
      .between(() => portals.move(phone, isNewRoom))
      .catch(error => {
        logger.warn({ err: error }, 'a chat could not be moved yet')
      })
  }

  /** The platform may have gone offline or be online again, or restrict its phones otherwise. */
  function followConnection(): void {
    deliveries.nudge()
    const { offline, restricted_until } = faults.of(platform)
    if (offline === before.offline && restricted_until === before.restricted_until) return
    before = faults.of(platform)
    for (const { id: loginId, userId } of network.store.loginsOn(platform))
      parts.reportState(platform, { userId, loginId }, offline ? 'TRANSIENT_DISCONNECT' : 'CONNECTED')
  }

  function onUnlinked({ login, by }: Extract<NetworkChange, { kind: 'unlinked' }>): void {
    deliveries.forgetLogin(login.id)
    if (by === 'user') return
    parts.reportState(platform, { userId: login.userId, loginId: login.id }, 'BAD_CREDENTIALS')
    const reason = `\`BAD_CREDENTIALS\` (\`${facts.networkId}-logged-out\`)`
    const text = `State update for +${login.phone}: ${reason}: You were logged out from your phone`
    void rooms.notify(login.userId, `logged-out-${login.id}-${clock.now()}`, text)
  }

  async function deliver(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const token = bearerToken(request) ?? searchParams.get('access_token')
    if (!equalInConstantTime(token ?? '', hsToken)) {
      return Response.json({ errcode: 'M_FORBIDDEN', error: 'wrong homeserver token' }, { status: 403 })
    }
    const [, what, rest = ''] =
      /^(?:\/_matrix\/app\/v1)?\/(transactions|ping|users|rooms)\/?(.*)$/.exec(pathname) ?? []
    if (what === 'transactions' && request.method === 'PUT') {
      await ready.promise
      if (stopping.signal.aborted)
        return Response.json({ errcode: 'M_UNKNOWN', error: 'stopping' }, { status: 503 })
      await transactions.receive(await request.json())
      return Response.json({})
    }
    if (what === 'ping') return Response.json({})
    if (what === 'users') {
      const userId = decodeURIComponent(rest)
      const phone = phoneOfGhost(context, userId)
      if (phone !== null) {
        await ghosts.ensureUser(userId, phone)
        return Response.json({})
      }
    }
    return Response.json({ errcode: 'M_NOT_FOUND', error: 'not here' }, { status: 404 })
  }

  return {
    platform,
    /** `Authorization: Bearer <sharedSecret>` with `?user_id=` opens the provisioning API. */
    sharedSecret,
    /** The provisioning API: paths below /_matrix/provision/v3/, on any host. */
    fetch: provisioning.fetch,
    /** The bridge's registration at a homeserver, with in-process delivery. */
    registration: {
      id: `sandbox-${platform}`,
      url: null,
      asToken,
      hsToken,
      senderLocalpart: botLocalpart,
      namespaces: {
        users: [
          { regex: `@${facts.networkId}_.*:${quoteMeta(homeserver.serverName)}`, exclusive: true },
          { regex: quoteMeta(context.botUserId), exclusive: true },
        ],
      },
      receiveEphemeral: true,
      /** The application service API: transactions, ping, and queries for users and rooms. */
      deliver,
    },
    /** Call it once the bridge is registered with the homeserver. */
    start() {
      starting ??= begin()
    },
    async stop(): Promise<void> {
      stopping.abort()
      unsubscribe()
      ready.resolve()
      desk.stop()
      await starting
      await transactions.idle()
      await deliveries.stop()
    },
  }
}
