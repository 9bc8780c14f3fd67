/**
 * The links under way, each a login at a bridge that somebody follows. A link lives in this process
 * alone, as the bridge's login process does; if either ends too early, the user asks for a new one.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { LoginFlow } from '../../domain/login-steps.ts'
import type { Bridge, Bridges } from '../../domain/ports.ts'
import type { LinkEvent, LinkView } from '../../domain/views/link.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { nameOf } from './device-state.ts'
import type { LinkedDevices } from './devices.ts'
import { Link, type LinkOptions } from './link.ts'
import { noSuchDevice } from './refusals.ts'

export interface LinkingOptions {
  /** Waits for a bridge that was attached just now. */
  untilCurrent?: (platform: string) => Promise<void>
  bridges: Bridges
  devices: Pick<LinkedDevices, 'awaitLogin' | 'reconcile' | 'linked' | 'find'>
  /** Hears of each other state of a link. */
  changed?: LinkOptions['changed']
  clock: Clock
  logger: Logger
}

/** How long an ended link can be followed: a client that connects late learns how it ended. */
const REMEMBERED_MS = 120_000

/**
 * A person who links a device has an answer within this, in milliseconds, however many of the
 * bridge's answers it takes and however long each of them.
 */
const ANSWER_WITHIN_MS = 14_900
/** A bridge that is starting and a silent bot are told by their own words, and so end before. */
const START_WITHIN_MS = 14_000

export interface LinkSubscription {
  linkId: string
  /** The newest event so far, null before the first. */
  latest: LinkEvent | null
  unsubscribe(): void
}

export interface LinkRequest {
  platform: string
  /** One of the bridge's login flows; by default its QR flow. */
  flow?: string | undefined
  /** A device that is to be linked again, in place of its old login. */
  deviceId?: string | undefined
  /** Answers known beforehand, by a field's id or type; each is given once, when asked for. */
  inputs?: Record<string, string> | undefined
}

type Tenant = { id: string; matrixUserId: string }

export type Linking = ReturnType<typeof createLinking>

export function createLinking(options: LinkingOptions) {
  const { bridges, devices, untilCurrent, changed, clock, logger } = options
  /** Newest last. */
  let links: Link[] = []

  function forgetOld(): void {
    links = links.filter(link => link.endedAt === null || clock.now() - link.endedAt < REMEMBERED_MS)
  }

  function remember(link: Link): void {
    forgetOld()
    if (!links.includes(link)) links.push(link)
  }

  function failed(link: Link, error: unknown): void {
    link.fail(error)
    remember(link)
  }

  function find(identityId: string, linkId: string): Link {
    forgetOld()
    const link = links.find(candidate => candidate.id === linkId && candidate.identityId === identityId)
    if (link?.latest) return link
    throw new GatewayError('not_found', `there is no link ${linkId}, or it ended a while ago`)
  }

  function linksOf(identityId: string, platform: string | undefined): Link[] {
    return links.filter(
      link => link.identityId === identityId && (platform === undefined || link.platform === platform),
    )
  }

  async function connected(
    identityId: string,
    platform: string,
    loginId: string,
  ): Promise<LinkEvent & { type: 'connected' }> {
    await devices.reconcile(identityId, platform)
    const device = (await devices.linked(identityId)).find(
      candidate => candidate.platform === platform && candidate.loginId === loginId,
    )
    if (!device)
      throw new GatewayError('bridge_error', 'the bridge says the login is complete but does not list it')
    return { type: 'connected', platform, device_id: device.deviceId, name: nameOf(device) }
  }

  /** The login that is replaced; undefined when the bridge has forgotten it, as after a logout. */
  async function loginToReplace(
    identity: Tenant,
    bridge: Bridge,
    { platform, deviceId }: { platform: string; deviceId: string },
    until: number,
  ): Promise<string | undefined> {
    const device = await devices.find(identity.id, deviceId, platform)
    if (!device) throw await noSuchDevice(devices, identity.id, deviceId, platform)
    const logins = await bridge.logins(identity.matrixUserId, until)
    return logins.find(login => login.id === device.loginId)?.id
  }

  async function start(
    identity: Tenant,
    { platform, flow: wantedFlow, deviceId, inputs = {} }: LinkRequest,
    late: AbortSignal,
  ): Promise<Link> {
    await untilCurrent?.(platform)
    const bridge = bridges.forPlatform(platform)
    const { id: identityId, matrixUserId: userId } = identity
    const until = clock.steady() + START_WITHIN_MS
    const flow = chooseFlow(await bridge.flows(userId, until), wantedFlow)
    const replaced =
      deviceId === undefined
        ? undefined
        : await loginToReplace(identity, bridge, { platform, deviceId }, until)
    if (late.aborted) throw late.reason
    const link = new Link({
      identityId,
      userId,
      platform,
      flow,
      bridge,
      inputs,
      connected: loginId => connected(identityId, platform, loginId),
      ...(changed && { changed }),
      clock,
      logger,
    })
    late.addEventListener('abort', () => failed(link, late.reason), { once: true })
    await devices.awaitLogin(identityId, platform)
    if (late.aborted) throw late.reason
    const first = await bridge.startLogin(userId, flow, replaced, until).catch(error => {
      failed(link, error)
      throw error
    })
    if (late.aborted) {
      link.giveUp(first)
      throw late.reason
    }
    for (const older of linksOf(identityId, platform))
      older.end('superseded', 'a newer link of this platform was started')
    remember(link)
    await link.begin(first)
    return link
  }

  /** Fails when `start` takes too long, and cancels a login that begins all the same. */
  async function startInTime(identity: Tenant, request: LinkRequest) {
    const late = new AbortController()
    const ended = new AbortController()
    const started = start(identity, request, late.signal)
    const limit = clock.sleep(ANSWER_WITHIN_MS, ended.signal).then(() => {
      if (!ended.signal.aborted) late.abort(tooSlow(request.platform))
      late.signal.throwIfAborted()
      return started
    })
    return Promise.race([started, limit]).finally(() => ended.abort())
  }

  /** The newest that goes on, else the newest: a login that couldn't be started hides no other. */
  function newest(identityId: string, platform: string | undefined): Link | undefined {
    const own = linksOf(identityId, platform)
    return own.findLast(({ endedAt }) => endedAt === null) ?? own.at(-1)
  }

  return {
    /**
     * Starts the platform's login at its bridge. Supersedes the identity's link of this platform.
     * @returns once the first step waits for the person, so a bridge that can't start fails here
     * @throws GatewayError bad_request (unknown platform or flow, an input that isn't taken),
     * not_found (no such device), bridge_error, bridge_unavailable, bridge_timeout
     */
    async start(identity: Tenant, request: LinkRequest): Promise<LinkView> {
      const link = await startInTime(identity, request)
      if (link.failure === null) return link.view()
      links = links.filter(other => other !== link)
      throw link.failure
    },

    /** @throws GatewayError not_found, also two minutes after its end */
    get: (identityId: string, linkId: string) => find(identityId, linkId).view(),

    /**
     * Gives what the link's step asks for, by a field's id or type.
     * @returns once the bridge has answered with the next step
     * @throws GatewayError not_found; conflict when nothing is asked for; bad_request naming the
     * field and saying whether the link goes on; bridge_error, bridge_unavailable, bridge_timeout
     */
    async answer(
      identityId: string,
      linkId: string,
      inputs: Readonly<Record<string, string>>,
    ): Promise<LinkView> {
      const link = find(identityId, linkId)
      await link.answer(inputs)
      return link.view()
    },

    /** @throws GatewayError not_found; conflict when it has ended */
    cancel(identityId: string, linkId: string): void {
      const link = find(identityId, linkId)
      if (link.endedAt !== null) throw new GatewayError('conflict', `the link ${linkId} has ended already`)
      link.end('cancelled', 'the link was cancelled')
    },

    /**
     * Follows the identity's newest link (of `platform`, if given): `latest` is to be shown at
     * once, `listener` gets later events. A link that ended in the last two minutes, or that the
     * bridge couldn't even start, can still be followed: `latest` is then its end.
     * @throws GatewayError not_found when there is none
     */
    follow(
      identityId: string,
      platform: string | undefined,
      listener: (event: LinkEvent) => void,
    ): LinkSubscription {
      forgetOld()
      const link = newest(identityId, platform)
      if (!link) {
        throw new GatewayError(
          'not_found',
          'no device is being linked: ask for one with POST /api/v1/devices first',
        )
      }
      return { linkId: link.id, latest: link.latest, unsubscribe: link.follow(listener) }
    },

    /**
     * Follows this one link. @returns what ends the subscription
     * @throws GatewayError not_found, also two minutes after its end
     */
    followOne(identityId: string, linkId: string, listener: (event: LinkEvent) => void): () => void {
      return find(identityId, linkId).follow(listener)
    },

    /** Cancels what is under way. */
    stop(): void {
      for (const link of links) link.end('cancelled', 'the gateway is stopping')
    },
  }
}

function tooSlow(platform: string): GatewayError {
  return new GatewayError(
    'bridge_unavailable',
    `the ${platform} bridge didn't begin a login within 15 s; try again, and if it stays so, restart the bridge`,
  )
}

function chooseFlow(flows: LoginFlow[], wanted: string | undefined): string {
  const ids = flows.map(flow => flow.id)
  if (wanted !== undefined) {
    if (ids.length === 0 || ids.includes(wanted)) return wanted
    throw new GatewayError('bad_request', `flow: "${wanted}" is unknown: expected one of ${ids.join(', ')}`)
  }
  return ids.find(id => id === 'qr') ?? ids.find(id => /qr/i.test(id)) ?? ids[0] ?? 'qr'
}
