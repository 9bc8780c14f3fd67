/**
 * Linking: walks a bridge's login step by step and shows each step to whoever follows. A link lives in this process alone, as the bridge's
 * login process does; if either ends before the phone has scanned, the user asks for a new one.
 */
import { GatewayError, messageOf } from '../../domain/errors.ts'
import type { Bridge, Bridges, LoginFlow, LoginStep } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import type { LinkEvent, Linking } from './types.ts'

export interface LinkingOptions {
  bridges: Bridges
  devices: Pick<LinkedDevices, 'reconcile' | 'linked'>
  clock: Clock
  logger: Logger
}

interface Link {
  identityId: string
  platform: string
  userId: string
  bridge: Bridge
  /** Null before the first event. */
  latest: LinkEvent | null
  /** When it ended; null while it is under way. */
  endedAt: number | null
  listeners: Set<(event: LinkEvent) => void>
  controller: AbortController
}

/** How long an ended link can still be followed, so that a client that connects late learns how it ended. */
const REMEMBERED_MS = 120_000
/** A login that waits for input (a code, a password) is given up after this. */
const INPUT_PATIENCE_MS = 600_000

export interface LinkingService extends Linking {
  /** Cancels what is under way. */
  stop(): void
}

export function createLinking({ bridges, devices, clock, logger }: LinkingOptions): LinkingService {
  /** Newest last. */
  let links: Link[] = []

  function forgetOld(): void {
    links = links.filter(link => link.endedAt === null || clock.now() - link.endedAt < REMEMBERED_MS)
  }

  function show(link: Link, event: LinkEvent): void {
    if (link.endedAt !== null) return
    if (event.type === 'connected' || event.type === 'error') link.endedAt = clock.now()
    link.latest = event
    for (const listener of link.listeners) listener(event)
  }

  function end(link: Link, code: 'superseded' | 'cancelled', message: string): void {
    if (link.endedAt !== null) return
    show(link, { type: 'error', code, message })
    link.controller.abort()
  }

  async function walk(link: Link, first: LoginStep): Promise<void> {
    const { signal } = link.controller
    for (let step = first; !signal.aborted; ) {
      if (step.kind === 'complete') return connected(link, step.loginId)
      const event = eventOf(step)
      if (event) show(link, event)
      if (step.kind === 'input') {
        await clock.sleep(INPUT_PATIENCE_MS, signal)
        throw new GatewayError('bridge_timeout', 'timed out waiting for input')
      }
      step = await link.bridge.waitForLogin(link.userId, step, signal)
    }
  }

  async function connected(link: Link, loginId: string): Promise<void> {
    await devices.reconcile(link.identityId, link.platform)
    const device = (await devices.linked(link.identityId)).find(
      candidate => candidate.platform === link.platform && candidate.loginId === loginId,
    )
    if (!device)
      throw new GatewayError('bridge_error', 'the bridge says the login is complete but does not list it')
    show(link, { type: 'connected', platform: link.platform, device_id: device.deviceId, name: device.name })
  }

  function failed(link: Link, error: unknown): void {
    if (link.endedAt !== null) return
    const message = messageOf(error)
    logger.info({ platform: link.platform, reason: message }, 'a link ended without success')
    show(link, { type: 'error', code: /time[d-]?\s?-?out/i.test(message) ? 'timeout' : 'failed', message })
  }

  return {
    async start(identity, platform, flow) {
      const bridge = bridges.forPlatform(platform)
      const userId = identity.matrixUserId
      const step = await bridge.startLogin(userId, chooseFlow(await bridge.flows(userId), flow))
      forgetOld()
      for (const other of links) {
        if (other.identityId !== identity.id || other.platform !== platform || other.endedAt !== null)
          continue
        end(other, 'superseded', 'a newer link of this platform was started')
      }
      const link: Link = {
        identityId: identity.id,
        platform,
        userId,
        bridge,
        latest: null,
        endedAt: null,
        listeners: new Set(),
        controller: new AbortController(),
      }
      links.push(link)
      const cancelAtBridge = () => {
        if (step.kind === 'complete') return
        bridge
          .cancelLogin(userId, step.processId)
          .catch(error => logger.debug({ err: error }, 'cancelling a login failed'))
      }
      link.controller.signal.addEventListener('abort', cancelAtBridge, { once: true })
      void walk(link, step).catch(error => failed(link, error))
    },

    follow(identityId, platform, listener) {
      forgetOld()
      const link = links.findLast(
        candidate =>
          candidate.identityId === identityId && (platform === undefined || candidate.platform === platform),
      )
      if (!link) {
        throw new GatewayError(
          'not_found',
          'no device is being linked: ask for one with POST /api/v1/devices first',
        )
      }
      link.listeners.add(listener)
      return { latest: link.latest, unsubscribe: () => link.listeners.delete(listener) }
    },

    stop() {
      for (const link of links) end(link, 'cancelled', 'the gateway is stopping')
    },
  }
}

/** @returns null for a step that has nothing to show */
function eventOf(step: Exclude<LoginStep, { kind: 'complete' }>): LinkEvent | null {
  const { instructions } = step
  if (step.kind === 'input') return { type: 'input', fields: step.fields, instructions }
  if (step.display === 'qr') return { type: 'qr', payload: step.data, instructions }
  return step.display === 'nothing' ? null : { type: 'code', code: step.data, instructions }
}

function chooseFlow(flows: LoginFlow[], wanted: string | undefined): string {
  const ids = flows.map(flow => flow.id)
  if (wanted !== undefined) {
    if (ids.length === 0 || ids.includes(wanted)) return wanted
    throw new GatewayError('bad_request', `flow: "${wanted}" is unknown: expected one of ${ids.join(', ')}`)
  }
  return ids.find(id => id === 'qr') ?? ids.find(id => /qr/i.test(id)) ?? ids[0] ?? 'qr'
}
